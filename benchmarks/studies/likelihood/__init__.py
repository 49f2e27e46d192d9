"""Behind docs/studies/window-lengths.md."""
