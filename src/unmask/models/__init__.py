"""The networks, and only they: no loss, no noise, no files."""
