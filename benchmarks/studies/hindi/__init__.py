"""Behind docs/hindi.md."""
