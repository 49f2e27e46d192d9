"""Behind docs/evidence.md."""
