"""Which exceptions are the user's or the machine's doing, and the one line that says so.

Anything not named here is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import errno
import os

from typer.exceptions import TyperException

from unmask.cli.elsewhere import option_hint
from unmask.errors import Error
from unmask.lines import excerpt

# The system's words, then how torch.save says that its file ended early.
_NO_SPACE = ("No space left on device", "os error 28", "PytorchStreamWriter failed writing file", ". unexpected pos ")
_TOO_LARGE = ("File too large", "os error 27")
_DISK = {errno.EFBIG, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE}
"""The disk or a limit of the system refuses, whatever the file; Python often does not say which."""
_NO_MEMORY = "can't allocate memory"  # torch on a CPU


def explain(failure: Exception) -> str | None:
    """Return the line to print for ``failure``, or ``None`` if it is a bug that needs its traceback."""
    if isinstance(failure, Error):
        return str(failure)
    if isinstance(failure, TyperException):
        return _explain_usage(failure)
    if _disk_full(failure):
        where = getattr(failure, "filename", None) or os.getcwd()
        return f"no space left on the disk that holds {where}. Free some, or write elsewhere with --output."
    if isinstance(failure, OSError) and failure.errno in _DISK:
        return _refused(str(failure.strerror), failure.filename)
    if any(words in str(failure) for words in _TOO_LARGE):
        return _refused("File too large", None)
    if isinstance(failure, OSError) and failure.errno == errno.EROFS:
        return f"cannot write {failure.filename}: the disk is read-only. Write elsewhere with --output."
    if isinstance(failure, OSError) and failure.filename is not None:
        return f"{excerpt(str(failure.filename), 160)}: {failure.strerror}. Check the path and its permissions."
    if isinstance(failure, UnicodeEncodeError) and failure.reason == "surrogates not allowed":
        return f"{excerpt(failure.object, 160)!r} is not UTF-8. Give it a name, or a text, that is."
    if isinstance(failure, MemoryError) or type(failure).__name__ == "OutOfMemoryError" or _NO_MEMORY in str(failure):
        return "out of memory. Lower the batch size, the context length or the model's width."
    return None


def _refused(why: str, name: object) -> str:
    where = f"{excerpt(str(name), 160)}: " if name is not None else ""
    return f"{where}the system refuses to read or write ({excerpt(why)}). Check the disk, and the limits of ulimit -a."


def _disk_full(failure: Exception) -> bool:
    if isinstance(failure, OSError) and failure.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    # Writers in Rust and C++ (safetensors, torch) raise their own types around the same system error.
    return any(words in str(failure) for words in _NO_SPACE)


def _explain_usage(failure: TyperException) -> str:
    context = getattr(failure, "ctx", None)
    see = f" See '{context.command_path} --help'." if context is not None else ""
    wrong = getattr(failure, "option_name", None)
    if wrong is not None and hasattr(failure, "possibilities"):
        known = [name for parameter in context.command.params for name in parameter.opts] if context else []
        # certify's -o takes settings; the others' take keys of a recipe
        recipe_keys = context is not None and "--option" in known and context.command.name != "certify"
        return f"unknown option {wrong!r}.{option_hint(wrong, known, recipe_keys)}{see}"
    text = " ".join(failure.format_message().split())
    return f"{text[:1].lower()}{text[1:]}{'' if text.endswith('.') else '.'}{see}" if text else ""
