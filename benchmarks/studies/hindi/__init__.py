"""Behind docs/studies/hindi-languages.md and its neighbours."""
