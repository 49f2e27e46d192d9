"""Several runs, one honest report: the same held-out text, the same measures, the same controls."""
