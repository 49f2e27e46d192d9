"""Behind docs/studies/intervals.md."""
