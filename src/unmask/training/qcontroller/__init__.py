"""The Q-controller: a table of Q values that steers an optimiser's learning rate and momentum while it trains."""
