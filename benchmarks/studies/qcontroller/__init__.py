"""Behind docs/qcontroller.md."""
