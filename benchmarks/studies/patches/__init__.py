"""Behind docs/patches.md."""
