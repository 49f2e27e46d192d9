"""Training: from a validated recipe to a run folder."""
