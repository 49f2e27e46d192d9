"""ROOTS: which few shelves of a collection a query has to open, and when the answer is known to be complete."""
