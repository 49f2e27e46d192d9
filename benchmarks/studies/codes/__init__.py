"""Behind docs/codes.md."""
