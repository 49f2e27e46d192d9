"""Behind docs/studies/certify.md."""
