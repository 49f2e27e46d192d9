"""Behind docs/studies/byte-energy.md."""
