"""Parts that a contributor might add: one file each, and one line each in ``plugin``."""
