"""A slip finds the name that was meant; what is like no name, or another tool's word, is answered as what it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import typer
from typer.core import TyperGroup

from unmask.cli.app import build_app
from unmask.cli.elsewhere import VERBS, option_hint, verb_hint
from unmask.errors import closest
from unmask.training.options import part_keys

FAR = ("zzzzzz", "qqqq", "xylophone", "wombat", "brouhaha", "kjhgfd")


def names() -> Iterator[tuple[str, list[str]]]:
    """Yield each list of names that a user chooses from: verbs of a group, options of a verb, keys of a section."""
    groups: list[TyperGroup] = [typer.main.get_command(build_app())]  # type: ignore[list-item]
    while groups:
        group = groups.pop()
        yield str(group.name), list(group.commands)
        for verb, command in group.commands.items():
            if isinstance(command, TyperGroup):
                groups.append(command)
                continue
            options = (name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts))
            yield f"{group.name} {verb}", [name for name in options if name.startswith("--")]
    for section, parts in part_keys().items():
        yield section, list(dict.fromkeys(key for keys in parts.values() for key in keys))


NAMES = dict(names())


def slips(name: str) -> Iterator[str]:
    """Yield a name with a letter left out, doubled, exchanged for one no name has much of, and swapped."""
    first = len(name) - len(name.lstrip("-"))
    for i in range(first, len(name)):
        yield name[:i] + name[i + 1 :]
        yield name[:i] + name[i] + name[i:]
        yield name[:i] + "x" + name[i + 1 :]
        if i + 1 < len(name):
            yield name[:i] + name[i + 1] + name[i] + name[i + 2 :]


@pytest.mark.parametrize("where", NAMES)
def test_one_slip_finds_the_name(where: str) -> None:
    for name in NAMES[where]:
        if len(name.lstrip("-")) < 4:
            continue  # a slip in three letters is as near to others
        for slip in list(slips(name))[:: 1 if name.startswith("--") else 7]:
            found = closest(slip, NAMES[where])
            assert closest(slip, [name]) == name, (slip, name)
            # Where another name is as near (bf16, fp16), the slip may be its: then it is one slip from that, too.
            assert found == name or one_slip(slip, found), (slip, name, found)


def one_slip(given: str, name: str) -> bool:
    """Tell whether one letter left out, added or exchanged, or two swapped, make one text of the other."""
    one, other = given.lstrip("-").replace("-", "_"), name.lstrip("-").replace("-", "_")
    if len(one) > len(other):
        one, other = other, one
    if len(one) < len(other):
        return any(other[:i] + other[i + 1 :] == one for i in range(len(other)))
    differ = [i for i in range(len(one)) if one[i] != other[i]]
    swapped = len(differ) == 2 and one[differ[0]] == other[differ[1]] and one[differ[1]] == other[differ[0]]
    return len(differ) <= 1 or swapped


@pytest.mark.parametrize("where", NAMES)
def test_far_words_find_nothing(where: str) -> None:
    for word in FAR:
        assert closest(word, NAMES[where]) is None, word


def test_no_word_of_another_tool_is_a_verb_here() -> None:
    assert not set(VERBS) & set(build_verbs())
    for word in VERBS:
        assert verb_hint(word, build_verbs(), {"data": ["fetch"]}) == f" {VERBS[word]}"


def build_verbs() -> list[str]:
    """Return the verbs of the command."""
    return list(typer.main.get_command(build_app()).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ("--steps", "training.max_steps"),
        ("--max_steps", "training.max_steps"),
        ("--epochs", "training.epochs"),
        ("--lr", "training.lr"),
        ("--learning-rate", "training.learning_rate"),
        ("--batch-size", "training.batch_size"),
        ("--dataset", "data.source"),
        ("--context", "data.length"),
        ("--hidden-size", "backbone.hidden_size"),
    ],
)
def test_another_trainers_option_is_answered_with_a_key_that_the_recipe_takes(cli, option: str, key: str) -> None:
    ran = cli("train", "nano-masked", option, "3")
    told = ran.err.partition("-o ")[2].partition("=VALUE")[0]
    assert ran.status == 2 and ran.err.count("\n") == 1 and told, ran.err
    value = "pydocs" if key == "data.source" else "64"
    taken = cli("train", "nano-masked", "-o", f"{told}={value}", "-o", "training.max_steps=2", "--dry-run")
    assert "unknown recipe key" not in taken.err, (told, key)


@pytest.mark.parametrize("option", ["--device", "--gpu", "--cpu"])
def test_where_it_runs_is_told_where_no_option_says_it(option: str) -> None:
    assert "CUDA_VISIBLE_DEVICES" in option_hint(option, ["--json"], recipe_keys=False)
    assert "training.use_cpu" in option_hint(option, ["--json"], recipe_keys=True)


def test_a_key_without_its_section_is_answered_with_its_place(cli) -> None:
    ran = cli("train", "nano-masked", "-o", "max_steps=3", "--dry-run")
    assert ran.status == 2 and "training.max_steps" in ran.err and ran.err.count("\n") == 1
