"""Which exceptions are the user's or the machine's doing, and the one line that says so.

Anything not named here is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import errno
import os

from typer.exceptions import TyperException

from unmask.cli.elsewhere import option_hint
from unmask.errors import Error

# The system's words, then how torch.save says that its file ended early.
_NO_SPACE = ("No space left on device", "os error 28", "PytorchStreamWriter failed writing file", ". unexpected pos ")
_NO_MEMORY = "can't allocate memory"  # torch on a CPU
_FILE_FAULTS = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)


def explain(failure: Exception) -> str | None:
    """Return the line to print for ``failure``, or ``None`` if it is a bug that needs its traceback."""
    if isinstance(failure, Error):
        return str(failure)
    if isinstance(failure, TyperException):
        return _explain_usage(failure)
    if _disk_full(failure):
        where = getattr(failure, "filename", None) or os.getcwd()
        return f"no space left on the disk that holds {where}. Free some, or write elsewhere with --output."
    if isinstance(failure, OSError) and failure.errno == errno.EROFS:
        return f"cannot write {failure.filename}: the disk is read-only. Write elsewhere with --output."
    if isinstance(failure, _FILE_FAULTS) and failure.filename is not None:
        return f"{failure.filename}: {failure.strerror}. Check the path and its permissions."
    if isinstance(failure, MemoryError) or type(failure).__name__ == "OutOfMemoryError" or _NO_MEMORY in str(failure):
        return "out of memory. Lower the batch size, the context length or the model's width."
    return None


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
