"""Benchmarks: what the project promises about speed, measured where you are. See README.md in this folder."""
