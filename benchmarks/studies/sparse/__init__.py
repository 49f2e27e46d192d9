"""Behind docs/sparse.md."""
