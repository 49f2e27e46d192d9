"""From a run to measures: bits per byte, text quality, judges, latency. Each measure stands beside its control."""
