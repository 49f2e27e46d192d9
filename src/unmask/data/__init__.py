"""Data: from text to blocks of tokens."""
