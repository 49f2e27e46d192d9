"""A process that works for another: calls come on its standard input, answers go to its standard output, both pickled.

It holds nothing that must be saved, so it may be ended at any time. It ends when its input does, which is so as well
when the process that started it is killed.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from typing import Any

from unmask.errors import Error


def attempt(call: bytes) -> tuple[bool, Any]:
    """Call a pickled function with its pickled argument, and return (done, answer), or (not done, one line)."""
    try:
        function, item = pickle.loads(call)
        return True, function(item)
    except Error as error:
        return False, str(error)
    except Exception as error:
        traceback.print_exc()
        return False, f"a worker failed ({type(error).__name__}: {error}); see its traceback."


def serve() -> None:
    """Answer calls until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    while True:
        try:
            call = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            pickle.dump(attempt(call), answers, protocol=5)
            answers.flush()
        except BrokenPipeError:
            os._exit(1)  # nobody waits for it any more


if __name__ == "__main__":
    serve()
