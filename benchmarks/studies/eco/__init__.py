"""Behind docs/eco.md."""
