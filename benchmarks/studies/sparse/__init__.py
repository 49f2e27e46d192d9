"""Behind docs/studies/sparse.md and sparse-original.md."""
