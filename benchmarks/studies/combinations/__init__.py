"""Behind docs/reference/combinations.md."""
