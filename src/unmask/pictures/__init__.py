"""Pictures: of a run, its patches and levels, of a thought's course, and of a trace that plays."""
