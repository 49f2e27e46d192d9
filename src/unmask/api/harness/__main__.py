"""``python -m unmask.api.harness ...``: the harness's own command line, which then knows ``--model unmask``.

The harness looks its models up in a registry and loads no plug-ins, so somebody has to import us first; that is all
that happens here. Every argument is the harness's own.
"""

from __future__ import annotations

import sys

import unmask.api.harness  # noqa: F401  (registers the model)
from unmask.errors import Error


def main() -> int:
    """Run the harness's command line; a user's mistake of ours is one line and exit status 2."""
    from lm_eval.__main__ import cli_evaluate

    try:
        cli_evaluate()
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
