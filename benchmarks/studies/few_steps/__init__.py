"""Behind docs/few-steps.md and its neighbours: what few steps cost, and what they are worth."""
