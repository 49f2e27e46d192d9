"""Behind docs/studies/masked.md, masked-against-causal.md and warm-start.md."""
