"""Behind docs/studies/eco.md, eco-speed.md and eco-slots.md."""
