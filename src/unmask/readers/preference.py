"""From readers' choices to a preference: wins, losses, ties, the rate with its interval, and what could spoil it.

The unit is the pair, not the vote: readers of one pair are not independent, so their votes are first settled to one
answer (more votes win, equal ones are a tie). A rate is wins / (wins + losses); ties stand beside it. ``overall``
settles the criteria of a pair in the same way.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.errors import Error
from unmask.lines import counted
from unmask.readers.blind import FORMAT, KEY
from unmask.readers.votes import Rate, agreement, rate
from unmask.result import Result

ANSWERS = ("left", "none", "right")
OVERALL = "overall"


@dataclass(frozen=True)
class Preference:
    """One criterion, or all of them together.

    Attributes:
        name: The criterion.
        wins: Pairs in which the first run was preferred.
        losses: Pairs in which the second one was.
        ties: Pairs with no preference.
        rate: How often the first run won, of the pairs that were decided.
        verdict: ``NAME preferred``, or ``no difference shown`` where the interval covers 1/2.
        agreement: How often two readers gave the same answer; ``None`` for one reader.
        alpha: Krippendorff's alpha; ``None`` for one reader, or where it is not defined.
    """

    name: str
    wins: int
    losses: int
    ties: int
    rate: Rate
    verdict: str
    agreement: float | None
    alpha: float | None


@dataclass(frozen=True, repr=False)
class TallyResult(Result):
    """What readers preferred.

    Attributes:
        names: Of the first and the second run.
        page: Identity of the page.
        raters: The readers, as they called themselves.
        pairs: Pairs that each of them judged.
        criteria: One row a criterion, then ``overall``.
        left: How often the left text was chosen, of all votes that chose one: far from 1/2, readers favoured a side.
        notes: What to know before believing it.
    """

    names: tuple[str, str]
    page: str
    raters: tuple[str, ...]
    pairs: int
    criteria: tuple[Preference, ...]
    left: Rate
    notes: tuple[str, ...]

    def _facts(self) -> tuple[str, ...]:
        raters = counted(len(self.raters), "reader")
        return (" and ".join(self.names), raters, counted(self.pairs, "pair"))


def tally(folder: Path, choices: Sequence[Path]) -> TallyResult:
    """Count readers' choices.

    Args:
        folder: Where the page was made; it holds ``key.json``.
        choices: One ``choices.json`` a reader.

    Raises:
        Error: no key, a file that is damaged, incomplete, of another page or of a newer format, or one given twice.
    """
    key = _object(folder / KEY, "made by: unmask compare RUN RUN --blind -o DIR")
    try:
        pairs = [_text(pair["id"]) for pair in key["pairs"]]
        side = np.array([pair["left"] for pair in key["pairs"]])
        names = [_text(criterion["name"]) for criterion in key["criteria"]]
        prompts = len({pair["prompt"] for pair in key["pairs"]})
        if not pairs or not names or not set(side.tolist()) <= {0, 1}:
            raise ValueError("no pairs, or sides that are none")
        first, second = (str(run["name"]) for run in key["runs"])
        page = str(key["page"])
    except (KeyError, TypeError, ValueError) as error:
        raise Error(f"{folder / KEY} is damaged ({error!r}); make the page again.") from error
    if first == second:
        first, second = f"A: {first}", f"B: {second}"
    if not choices:
        raise Error("name at least one file of choices, such as DIR/choices.json.")
    votes, raters, sessions = [], [], {}
    for path in choices:
        content = _object(path, "downloaded from the page")
        session = str(content.get("session"))
        if session in sessions:
            raise Error(f"{path} and {sessions[session]} are the same reader's; give each reader once.")
        sessions[session] = path
        votes.append(_votes(content, path, page, pairs, names))
        raters.append(str(content.get("rater") or f"reader {len(raters) + 1}"))
    # Raters, pairs, criteria: -1 the left text, 0 neither, 1 the right one; then +1 where the first run won.
    sided = np.stack(votes)
    won = sided * np.where(side == 0, -1, 1)[None, :, None]
    settled = np.sign(won.sum(0))
    rows = [_preference(name, settled[:, i], won[:, :, i], (first, second)) for i, name in enumerate(names)]
    every = np.sign(won.sum(2))
    rows.append(_preference(OVERALL, np.sign(settled.sum(1)), every, (first, second)))
    left = rate(int((sided < 0).sum()), int((sided != 0).sum()))
    return TallyResult(
        names=(first, second),
        page=page,
        raters=tuple(raters),
        pairs=len(pairs),
        criteria=tuple(rows),
        left=left,
        notes=tuple(_notes(left, len(pairs), prompts)),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no name")
    return value


def _preference(name: str, settled: NDArray[np.int64], votes: NDArray[np.int64], runs: tuple[str, str]) -> Preference:
    wins, losses = int((settled > 0).sum()), int((settled < 0).sum())
    found = rate(wins, wins + losses)
    winner = runs[0] if wins > losses else runs[1]
    verdict = f"{winner} preferred" if found.differs else "no difference shown"
    share, alpha = agreement(votes + 1, 3)
    return Preference(name, wins, losses, len(settled) - wins - losses, found, verdict, share, alpha)


def _notes(left: Rate, pairs: int, prompts: int) -> list[str]:
    notes = []
    if left.differs:
        notes.append(
            f"the left text was chosen {left.count} of {left.of} times: readers favoured a side. Each run stands there "
            "half the time, so this blurs the result more than it tilts it."
        )
    if pairs > prompts:
        notes.append(
            f"{counted(pairs, 'pair')} go on from {counted(prompts, 'prompt')}; pairs of one prompt are not "
            "independent, so the intervals "
            "are somewhat too narrow."
        )
    return notes


def _votes(content: dict[str, Any], path: Path, page: str, pairs: list[str], names: list[str]) -> NDArray[np.int64]:
    """Return a reader's answers [pairs, criteria]: -1 left, 0 none, 1 right."""
    if content.get("page") != page:
        raise Error(f"{path} was made with another page ({content.get('page')}) than this key's ({page}).")
    choices = content.get("choices")
    if not isinstance(choices, dict) or not all(isinstance(answers, dict) for answers in choices.values()):
        raise Error(f"{path} is damaged (no choices); download it from the page again.")
    if strange := sorted(set(choices) - set(pairs)):
        raise Error(f"{path} is damaged (it judges pair {strange[0]!r}, which the page does not have).")
    done = sum(set(choices.get(pair, ())) >= set(names) for pair in pairs)
    if done < len(pairs):
        raise Error(
            f"{path} is incomplete: {done} of {len(pairs)} pairs are judged; finish the page and download again."
        )
    table = np.zeros((len(pairs), len(names)), np.int64)
    for i, pair in enumerate(pairs):
        for j, name in enumerate(names):
            answer = choices[pair][name]
            if answer not in ANSWERS:
                raise Error(f"{path} is damaged (pair {pair!r}, {name}: {answer!r} is none of {', '.join(ANSWERS)}).")
            table[i, j] = ANSWERS.index(answer) - 1
    return table


def _object(path: Path, whence: str) -> dict[str, Any]:
    """Read a JSON object of our format."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise Error(f"there is no file {path} ({whence}).") from error
    except (ValueError, RecursionError, OSError) as error:
        raise Error(f"{path} is damaged ({error}); it should be {whence}.") from error
    found = content.get("format") if isinstance(content, dict) else None
    if not isinstance(found, int):
        raise Error(f"{path} is damaged (no format number); it should be {whence}.")
    if found > FORMAT:
        raise Error(
            f"{path} has format {found}, this version reads up to {FORMAT}; upgrade with: pip install -U unmask"
        )
    return dict(content)
