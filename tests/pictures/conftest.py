"""Runs with untrained networks."""

from untrained_runs import make_run, own_cache, world  # noqa: F401
