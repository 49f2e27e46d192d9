"""Behind docs/studies/bytes.md."""
