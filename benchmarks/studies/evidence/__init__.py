"""Behind docs/studies/evidence.md."""
