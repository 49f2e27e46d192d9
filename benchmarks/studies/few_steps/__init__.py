"""Studies of docs/few-steps.md."""
