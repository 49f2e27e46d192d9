"""``unmask compare --blind`` and ``--blind-results``: make a page for readers, and say what they preferred."""

from __future__ import annotations

from pathlib import Path

from unmask.cli.console import note, print_json, printer, say
from unmask.lines import counted, shell


def make_page(
    runs: list[str],
    output: Path,
    *,
    prompts: str,
    rubric: Path | None,
    pairs: int | None,
    length: int | None,
    temperature: float,
    seed: int,
    json: bool,
) -> None:
    """Make the page of two runs."""
    from unmask.api.blind import blind
    from unmask.progress_line import ProgressLine

    with ProgressLine() as line:
        page = blind(
            runs[0],
            runs[1],
            output,
            prompts=prompts,
            rubric=rubric,
            pairs=pairs,
            length=64 if length is None else length,
            temperature=temperature,
            seed=seed,
            say=note,
            progress=line,
        )
    note(
        f"{counted(page.pairs, 'pair')}. Give readers {page.page.name} alone: {page.key.name} says whose text is whose."
    )
    note(f"next: unmask compare --blind-results CHOICES.json ... -o {shell(output)}")
    if json:
        print_json(page.to_dict())
    else:
        say(page.page)


def show_results(choices: list[str], folder: Path | None, *, json: bool) -> None:
    """Print what readers preferred."""
    from unmask.api.blind import blind_results

    found = blind_results(choices, folder)
    for text in found.notes:
        note(f"note: {text}")
    if json:
        print_json(found.to_dict())
        return
    from rich.table import Table

    from unmask.reports.cells import plain

    first, second = found.names
    title = f"{first} against {second}: {counted(found.pairs, 'pair')}, {counted(len(found.raters), 'reader')}"
    table = Table(title=plain(title, "table.title"))
    table.add_column("criterion")
    several = len(found.raters) > 1
    columns = ["wins", "losses", "ties", "win rate", "95 % interval", "sign test p", *["agree", "alpha"] * several]
    for column in columns:
        table.add_column(column, justify="right")
    table.add_column("")
    for row in found.criteria:
        rate = row.rate
        cells = [row.name, str(row.wins), str(row.losses), str(row.ties), _number(rate.rate)]
        cells += [f"{rate.interval[0]:.2f} to {rate.interval[1]:.2f}", f"{rate.p_value:.3f}"]
        cells += [_number(row.agreement), _number(row.alpha)] if several else []
        table.add_row(*map(plain, cells), row.verdict)
    left = found.left
    caption = (
        f"Wins and losses are {first}'s, a pair at a time; the rate leaves ties out. The left text was chosen "
        f"{left.count} of {left.of} times ({_number(left.rate)}, {left.interval[0]:.2f} to {left.interval[1]:.2f}, "
        f"p {left.p_value:.3f})."
    )
    table.caption = plain(caption, "table.caption")
    printer(160).print(table)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
