"""Serving: one engine thread that writes the texts of all clients, and the HTTP in front of it."""
