"""Behind docs/studies/patches.md."""
