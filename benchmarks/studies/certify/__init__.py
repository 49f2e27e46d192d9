"""Behind docs/certify.md."""
