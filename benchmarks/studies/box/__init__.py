"""The model in the box: how it is packed, and what it is worth."""
