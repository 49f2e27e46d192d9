"""Behind docs/roots-frontier.md."""
