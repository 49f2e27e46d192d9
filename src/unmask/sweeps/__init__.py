"""Plans of runs: expanded, trained, stopped, scored on one text, and told in one report."""
