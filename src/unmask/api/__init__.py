"""The public functions, one a verb: what the shell can do, Python can do."""
