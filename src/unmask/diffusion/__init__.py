"""The processes that corrupt text, their schedules, losses and likelihoods."""
