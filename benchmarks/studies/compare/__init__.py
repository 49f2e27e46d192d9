"""Behind docs/compare.md."""
