"""Behind docs/studies/roots-routing.md."""
