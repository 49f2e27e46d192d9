"""Behind docs/uniform.md."""
