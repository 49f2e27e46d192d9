"""``python -m unmask`` is ``unmask``."""

from unmask.cli.app import main

main()
