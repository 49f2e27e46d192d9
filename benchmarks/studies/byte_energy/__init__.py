"""Behind docs/byte-energy.md."""
