"""Behind docs/combinations.md."""
