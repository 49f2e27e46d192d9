"""Readers: pages on which people choose between texts, and what their choices say."""
