"""Behind docs/studies/roots-frontier.md."""
