"""``python -m unmask`` is ``unmask``."""

import sys

if not sys.flags.safe_path and sys.path[:1] != [""]:
    del sys.path[0]  # `python -m` puts the current folder first: whoever's files lie there, none of them is a module

from unmask.cli.app import main  # noqa: E402

main()
