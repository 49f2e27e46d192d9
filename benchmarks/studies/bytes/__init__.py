"""Behind docs/bytes.md."""
