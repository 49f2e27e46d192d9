"""Behind docs/ledger.md."""
