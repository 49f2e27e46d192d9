"""A chat as a run's prompt: by the template beside its tokenizer, else by the plain one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from unmask.data.chat_template import STOP as STOP
from unmask.data.chat_template import Messages, prompt_ids, template_of
from unmask.errors import Error
from unmask.training.own_text import own_text
from unmask.training.run import Run


@dataclass(frozen=True)
class Prompt:
    """Messages as a run reads them.

    Attributes:
        ids: Token ids, without BOS.
        stops: Where an answer ends besides the end of the text.
        plain: Whether the plain template was used.
    """

    ids: list[int]
    stops: list[str]
    plain: bool


def prompt_of(run: Run, messages: Messages) -> Prompt:
    """Return the prompt of a chat.

    Args:
        run: The run.
        messages: Each with ``role`` and ``content``.

    Raises:
        Error: messages that the template does not take.
    """
    template = template_of(run.path / "tokenizer")
    try:
        ids = prompt_ids(run.tokenizer, template, messages, partial(own_text, run=run))
    except Error as error:
        raise Error(f"run {run.path}: {error}") from error
    return Prompt(ids, [STOP] if template is None else [], template is None)
