"""Behind docs/roots-routing.md."""
