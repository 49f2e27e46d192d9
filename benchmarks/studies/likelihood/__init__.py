"""Behind docs/likelihood.md."""
