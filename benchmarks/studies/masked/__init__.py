"""Behind docs/masked.md."""
