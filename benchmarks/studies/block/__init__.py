"""Behind docs/block.md."""
