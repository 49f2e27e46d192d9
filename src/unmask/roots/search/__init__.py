"""From a query to texts: which shelves, how far, what was read, and whether the answer is complete."""
