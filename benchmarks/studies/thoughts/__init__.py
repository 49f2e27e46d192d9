"""Behind docs/thoughts.md."""
