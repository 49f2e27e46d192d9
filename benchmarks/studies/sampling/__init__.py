"""Behind docs/sampling.md."""
