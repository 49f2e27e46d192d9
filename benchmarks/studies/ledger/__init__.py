"""Behind docs/studies/ledger.md."""
