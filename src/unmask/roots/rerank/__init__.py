"""Candidates of a search in a new order, by their words or their bytes."""
