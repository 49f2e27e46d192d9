"""Behind docs/studies/roots.md."""
