"""Behind docs/studies/block.md and block-speed.md."""
