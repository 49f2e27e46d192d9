"""Certificates: worlds whose every probability is known, and whether a sampler writes their texts."""
