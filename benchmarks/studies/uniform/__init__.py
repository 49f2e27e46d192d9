"""Behind docs/studies/uniform.md."""
