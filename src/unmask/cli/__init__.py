"""The command line: one thin typed function a verb, over the functions of ``unmask.api``."""
