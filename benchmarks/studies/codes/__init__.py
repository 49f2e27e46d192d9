"""Behind docs/studies/codes.md."""
