"""Behind docs/energies.md."""
