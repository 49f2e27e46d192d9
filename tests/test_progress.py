"""Long work says where it stands, in one style, seldom enough, with no number before there is one."""

from __future__ import annotations

import io
import math
import re
import time
from collections.abc import Callable, Iterator

import pytest
from rich.console import Console

from unmask import progress_line
from unmask.lines import lasting
from unmask.progress import Counter, Progress, Stage
from unmask.progress_line import ProgressLine, line_of, shown


class Clock:
    """Time that goes on when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(time, "monotonic", found)
    return found


def test_a_line_has_a_name_what_is_done_of_how_much_a_speed_and_the_time_left(clock: Clock) -> None:
    told: list[Progress] = []
    counter = Counter("scoring", told.append, unit="windows", what="nano-masked", place=(1, 2))
    clock.now += 10
    counter(200, 1000)
    assert line_of(told[-1]) == "nano-masked  scoring (1 of 2) 200/1,000 windows  20 windows/s  ETA 40 s"
    assert line_of(told[-1], since=15) == line_of(told[-1]).replace("40 s", "25 s"), "the time left goes down"
    counter(1000, 1000)
    assert "ETA" not in line_of(told[-1])
    slow = Counter("trying", told.append, unit="ways", first=3)
    clock.now += 90
    slow(4, 40)
    assert line_of(told[-1]) == "trying 4/40 ways  90.0 s each  ETA 54 min"


def test_no_number_is_told_before_there_is_one(clock: Clock) -> None:
    told: list[Progress] = []
    Counter("scoring", told.append, unit="windows", what="a")(0, 10)
    stage = Stage("timing", (1, 1), [1.0, 1.0], told.append)
    stage.item("b")
    assert [line_of(one) for one in told] == ["a  scoring 0/10 windows", "b  timing 0/2"]
    for wrong in (math.nan, math.inf):
        assert line_of(Progress("x", 1, 1, "c", 1, 2, 0.5, wrong)) == "c  x 1/2"


def test_what_nobody_knows_the_size_of_tells_its_speed_alone(clock: Clock) -> None:
    told: list[Progress] = []
    counter = Counter("embedding", told.append, unit="texts", what="corpus")
    clock.now += 2
    counter.add(3000)
    assert line_of(told[-1]) == "corpus  embedding 3,000 texts  1,500 texts/s"


def test_quick_work_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressLine("opening") as line:
        Counter("scoring", line, unit="windows")(1, 2)
    assert list(shown([1, 2], "reading", unit="documents", what="corpus")) == [1, 2]
    assert capsys.readouterr() == ("", "")


def test_outside_a_terminal_lines_come_seldom_and_ever_more_seldom(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, at_once: None
) -> None:
    monkeypatch.setattr(progress_line, "SOON", 2.0)
    monkeypatch.setattr(progress_line, "_GAP", 5.0)
    at: list[float] = []
    monkeypatch.setattr(progress_line, "tell", lambda text: at.append(clock.now))
    with ProgressLine() as line:
        counter = Counter("scoring", line, unit="windows")
        for second in range(1800):
            clock.now += 1
            counter(second, 1800)
    gaps = [after - before for before, after in zip(at, at[1:], strict=False)]
    assert gaps[0] >= 5 and gaps == sorted(gaps) and gaps[-1] == 60 and len(at) < 40


def test_a_stage_that_begins_is_told_without_waiting(clock: Clock, monkeypatch, at_once: None) -> None:
    monkeypatch.setattr(progress_line, "SOON", 2.0)
    said: list[str] = []
    monkeypatch.setattr(progress_line, "tell", said.append)
    monkeypatch.setattr(progress_line, "_GAP", 5.0)
    with ProgressLine() as line:
        for number, name in enumerate(("scoring", "timing", "sampling"), 1):
            line(Progress(name, number, 3, "a", 0, 1, 0.0, None))
            clock.now += 3
    assert [text.split()[1] for text in said] == ["scoring", "timing", "sampling"]


def test_in_a_terminal_the_line_lives_and_goes(monkeypatch: pytest.MonkeyPatch, at_once: None) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, legacy_windows=False)
    monkeypatch.setattr(progress_line, "console", console)
    with ProgressLine("opening the run") as line:
        Counter("scoring", line, unit="windows", what="nano")(3, 9)
        with ProgressLine() as under:  # of a judge that is trained meanwhile
            Counter("training", under, unit="steps", what="judge")(1, 5)
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert "nano  scoring 3/9 windows" in told
    assert told.endswith("\x1b[2K"), "the last thing done is to take the line away"


def test_of_processes_that_train_together_the_first_shows(capsys, monkeypatch, at_once: None) -> None:
    for rank, lines in (("0", 1), ("1", 0)):
        monkeypatch.setenv("RANK", rank)
        with ProgressLine() as line:
            line(Progress("training", 1, 1, "a", 1, 2, 0.5, 3.0))
        assert capsys.readouterr().err.count("\n") == lines
    console = Console(file=io.StringIO(), force_terminal=True, legacy_windows=False)
    monkeypatch.setattr(progress_line, "console", console)
    with ProgressLine("opening") as line:
        line(Progress("training", 1, 1, "a", 1, 2, 0.5, 3.0))
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


def test_a_line_ends_with_its_work_however_that_ends(monkeypatch: pytest.MonkeyPatch, at_once: None) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, legacy_windows=False)
    monkeypatch.setattr(progress_line, "console", console)

    def broken() -> Iterator[int]:
        yield 1
        raise OSError

    with pytest.raises(OSError):
        list(shown(broken(), "reading", unit="documents", what="corpus"))
    assert not console._live_stack


def test_a_time_is_told_as_people_say_it() -> None:
    times = (0, 58.4, 99, 100, 720, 12_000, -3, 5999)
    assert [lasting(one) for one in times] == [
        "0 s",
        "58 s",
        "99 s",
        "2 min",
        "12 min",
        "3 h 20 min",
        "0 s",
        "1 h 40 min",
    ]


VERBS: dict[str, tuple[str, str]] = {
    "evaluate": ("evaluate {masked} --documents 4 --draws 1", "windows"),
    "sample": ("sample {causal} --max-tokens 6 --sampler autoregressive", "tokens"),
    "infill": ("infill {masked} 'The ____ number' --length 1-2 --orders 1 --draws 1", "layouts"),
    "certify": ("certify autoregressive --world markov --samples 200", "certifying"),
    "stats": ("data stats {text}", "documents"),
    "build": ("index build {text} --output {out}/index --shelves 2", "texts"),
}
"""A line of each kind, and what it counts."""
NEXT = {"evaluate": "unmask compare", "stats": "unmask train", "build": "unmask index search"}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_says_where_it_stands_on_stderr_and_what_to_do_next(
    verb: str, cli: Callable, tiny_run, tiny_masked_run, tmp_path, monkeypatch, at_once: None
) -> None:
    import shlex

    monkeypatch.setenv("UNMASK_CACHE", str(tmp_path / "cache"))
    names = {"causal": tiny_run, "masked": tiny_masked_run, "text": tiny_run.parent / "text.jsonl", "out": tmp_path}
    line, unit = VERBS[verb]
    ran = cli(*(part.format(**names) for part in shlex.split(line)))
    assert ran.status == 0, ran.err
    told = [each for each in ran.err.splitlines() if re.search(rf"\b\d+.* {unit}|{unit} \d", each)]
    assert told and not re.search(r"\bnan\b", ran.err), ran.err
    assert not any(each in ran.out for each in told)
    if verb in NEXT:
        assert f"next: {NEXT[verb]} " in ran.err.splitlines()[-1]


def test_training_says_where_it_stands_and_json_stays_whole(cli: Callable, tiny_run, tmp_path, at_once: None) -> None:
    import json

    small = ["training.max_steps=3", "training.eval_steps=3", "training.logging_steps=1"]
    options = [part for key in small for part in ("-o", key)]
    ran = cli("train", tiny_run / "recipe.yaml", *options, "--output", tmp_path / "run", "--json")
    assert ran.status == 0, ran.err
    assert json.loads(ran.out)["status"] == "finished"
    steps = [line for line in ran.err.splitlines() if "  training " in line]
    assert len(steps) == 3 and not re.search(r"\bnan\b", ran.err)
    assert re.fullmatch(r"\S+  training 1/3 steps  [\d,]+ tok/s  ETA \d+ s", steps[0]), "no loss before there is one"
    assert re.fullmatch(r"\S+  training 2/3 steps  loss \d+\.\d+  [\d,]+ tok/s  ETA \d+ s", steps[1])
    assert ran.err.splitlines()[-1].startswith("next: unmask sample ")


def test_a_line_without_a_word_waits_for_the_first_thing_told(monkeypatch: pytest.MonkeyPatch, at_once: None) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, legacy_windows=False)
    monkeypatch.setattr(progress_line, "console", console)
    with ProgressLine() as line:
        assert not console._live_stack, "what is trained or watched meanwhile has the terminal"
        line(Progress("scoring", 1, 1, "a", 1, 2, 0.5, 3.0))
        assert len(console._live_stack) == 1
    assert not console._live_stack
