"""Runs with untrained networks."""

from untrained_runs import make_run, own_cache, pytest_runtest_protocol, world  # noqa: F401
