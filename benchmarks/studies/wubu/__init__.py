"""Behind docs/studies/wubu.md."""
