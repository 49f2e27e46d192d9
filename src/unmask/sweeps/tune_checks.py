"""What a search for settings needs, and what may be chosen of its front: checked before torch is imported."""

from __future__ import annotations

from typing import Any, Literal, get_args

from unmask.errors import Error

Choice = Literal["fast", "good", "balanced", "none"]


def check_choice(choice: str) -> None:
    """Refuse what chooses nothing.

    Raises:
        Error: neither a word of ``Choice`` nor a number from 1.
    """
    if choice not in get_args(Choice) and not (choice.isascii() and choice.isdigit() and int(choice) > 0):
        raise Error(f"choose is {choice!r}; say fast, good, balanced, none, or the number of a row of the front.")


def import_optuna() -> Any:
    """Return the module ``optuna``, which says nothing by itself from then on.

    Raises:
        Error: Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise Error(
            "unmask tune needs Optuna, which is not installed; get it with: pip install 'unmask[tune]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
