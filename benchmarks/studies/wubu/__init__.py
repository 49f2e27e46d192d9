"""Behind docs/wubu.md."""
