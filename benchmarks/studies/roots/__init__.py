"""Behind docs/roots.md."""
