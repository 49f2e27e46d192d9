"""What several benchmarks share: how is measured and stored, small networks, rivals in plain PyTorch, corpora."""
