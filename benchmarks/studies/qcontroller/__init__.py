"""Behind docs/studies/qcontroller.md."""
