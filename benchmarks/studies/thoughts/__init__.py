"""Behind docs/studies/thoughts.md."""
