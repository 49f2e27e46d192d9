"""Behind docs/studies/energies.md."""
