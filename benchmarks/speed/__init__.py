"""What times this machine: ``python -m benchmarks.speed`` lists and runs it, with the promises beside the numbers."""
