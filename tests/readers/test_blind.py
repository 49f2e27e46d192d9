"""A blind page is even and keeps its secret; what is counted is what readers chose."""

from __future__ import annotations

import importlib.resources
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unmask.api.blind import blind, blind_results
from unmask.errors import Error
from unmask.readers.prompts import RUBRIC, load_prompts, load_rubric, prompt_sets

PROMPTS = ["a red", "the </script> cat", "एक", "dog"]


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prompts") / "prompts.txt"
    path.write_text("\n".join([*PROMPTS, "", PROMPTS[0]]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page(make_run: Callable[..., Path], prompts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a page of twelve pairs from four prompts."""
    folder = tmp_path_factory.mktemp("page")
    blind(make_run("left"), make_run("hidden", "masked"), folder, prompts=prompts, length=8, pairs=12, seed=3)
    return folder


def key_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "key.json").read_text(encoding="utf-8")))


def content_of(folder: Path) -> dict[str, Any]:
    html = (folder / "blind.html").read_text(encoding="utf-8")
    return dict(json.loads(re.search(r'id="content">(.*?)</script>', html)[1]))


def judge(folder: Path, path: Path, choose: Callable[[int, int, dict[str, Any]], str], **more: Any) -> Path:
    """Write what a reader would download, choosing by (pair, criterion, key's pair)."""
    key = key_of(folder)
    names = [criterion["name"] for criterion in key["criteria"]]
    choices = {
        pair["id"]: {name: choose(i, j, pair) for j, name in enumerate(names)} for i, pair in enumerate(key["pairs"])
    }
    told = {"format": 1, "page": key["page"], "session": path.name, "rater": path.stem, "choices": choices, **more}
    path.write_text(json.dumps(told), encoding="utf-8")
    return path


def side_of(pair: dict[str, Any], run: int) -> str:
    return "left" if pair["left"] == run else "right"


def test_sides_and_prompts_are_shuffled_evenly_and_the_page_matches_its_key(page: Path) -> None:
    key, content = key_of(page), content_of(page)
    assert [pair["left"] for pair in key["pairs"]].count(0) == 6
    assert sorted(pair["prompt"] for pair in key["pairs"]) == sorted(PROMPTS * 3)
    assert [pair["prompt"] for pair in key["pairs"][:4]] != PROMPTS
    assert len({pair["id"] for pair in key["pairs"]}) == 12 and content["page"] == key["page"]
    for shown, pair in zip(content["pairs"], key["pairs"], strict=True):
        texts = pair["texts"]
        assert shown == {
            "id": pair["id"],
            "prompt": pair["prompt"],
            "left": texts[pair["left"]],
            "right": texts[1 - pair["left"]],
        }
    assert len({pair["texts"][0] for pair in key["pairs"]}) == 12  # a prompt taken again gets another text
    assert [run["name"] for run in key["runs"]] == ["left", "hidden"]


def test_the_page_needs_nothing_from_outside_and_names_no_run(page: Path) -> None:
    html = (page / "blind.html").read_text(encoding="utf-8")
    assert "hidden" not in str(content_of(page)) and "autoregressive" not in html and str(page) not in html
    assert not re.search(r"https?:|@import|url\(|<link[^>]+stylesheet|<img|src=", html)
    assert "default-src 'none'" in html and html.count("</script>") == 2  # the prompt's own is data
    assert content_of(page)["criteria"] == [{"name": c.name, "question": c.question} for c in RUBRIC]


def test_the_same_seed_makes_the_same_page(
    page: Path, make_run: Callable[..., Path], prompts: Path, tmp_path: Path
) -> None:
    key = key_of(page)
    runs = [run["path"] for run in key["runs"]]
    for seed, name in ((3, "again"), (4, "other")):
        blind(*runs, tmp_path / name, prompts=prompts, length=8, pairs=12, seed=seed)
    assert (tmp_path / "again" / "blind.html").read_bytes() == (page / "blind.html").read_bytes()
    assert key_of(tmp_path / "other")["page"] != key["page"]
    assert [p["left"] for p in key_of(tmp_path / "other")["pairs"]] != [p["left"] for p in key["pairs"]]


def test_a_clear_preference_is_found_whatever_the_side(page: Path, tmp_path: Path) -> None:
    def choose(i: int, j: int, pair: dict[str, Any]) -> str:
        return (side_of(pair, 1), side_of(pair, i % 2), "none")[j]

    found = blind_results([judge(page, tmp_path / "ann.json", choose)], page)
    coherence, grammar, prompt, overall = found.criteria
    assert (coherence.wins, coherence.losses, coherence.ties) == (0, 12, 0)
    assert coherence.verdict == "hidden preferred" and coherence.rate.p_value == pytest.approx(2 / 2**12)
    assert (grammar.wins, grammar.losses) == (6, 6) and grammar.verdict == "no difference shown"
    assert (prompt.wins, prompt.losses, prompt.ties) == (0, 0, 12) and prompt.rate.rate is None
    assert prompt.verdict == "no difference shown"
    assert (overall.name, overall.wins, overall.losses, overall.ties) == ("overall", 0, 6, 6)
    assert coherence.agreement is None and found.raters == ("ann",)
    assert any("12 pairs go on from 4 prompts" in note for note in found.notes)


def test_votes_of_several_readers_count_once_a_pair(page: Path, tmp_path: Path) -> None:
    files = [
        judge(page, tmp_path / "a.json", lambda i, j, pair: side_of(pair, 0)),
        judge(page, tmp_path / "b.json", lambda i, j, pair: side_of(pair, 0) if i < 9 else "none"),
        judge(page, tmp_path / "c.json", lambda i, j, pair: side_of(pair, int(i >= 6))),
    ]
    found = blind_results(files, page)
    # pairs 0..8: two or more votes for the first run; 9..11: one for, one none, one against
    assert [(c.wins, c.losses, c.ties) for c in found.criteria] == [(9, 0, 3)] * 4
    row = found.criteria[0]
    assert row.rate.of == 9 and row.agreement == pytest.approx((6 * 3 + 3 * 1) / 36) and -1 < row.alpha < 1
    assert found.to_dict()["raters"] == ["a", "b", "c"]


def test_a_favoured_side_is_said(page: Path, tmp_path: Path) -> None:
    found = blind_results([judge(page, tmp_path / "lazy.json", lambda i, j, pair: "left")], page)
    assert found.left.count == found.left.of == 36
    assert any("the left text was chosen 36 of 36 times" in note for note in found.notes)
    assert all(row.verdict == "no difference shown" for row in found.criteria)


def test_choices_that_cannot_be_counted_are_one_line(
    page: Path, make_run: Callable[..., Path], prompts: Path, tmp_path: Path
) -> None:
    good = judge(page, tmp_path / "good.json", lambda i, j, pair: "left")
    told = json.loads(good.read_text())
    first = next(iter(told["choices"]))

    def changed(name: str, **more: Any) -> Path:
        (tmp_path / name).write_text(json.dumps({**told, "session": name, **more}))
        return tmp_path / name

    part = {pair: told["choices"][pair] for pair in list(told["choices"])[:5]}
    (tmp_path / "cut.json").write_text(good.read_text()[:99])
    (tmp_path / "list.json").write_text("[]")
    cases = [
        ([changed("other.json", page="0" * 16)], "was made with another page"),
        ([changed("part.json", choices=part)], "is incomplete: 5 of 12 pairs are judged"),
        ([changed("half.json", choices={**told["choices"], first: {}})], "is incomplete: 11 of 12"),
        (
            [changed("odd.json", choices={**told["choices"], first: dict.fromkeys(told["choices"][first], "up")})],
            "'up'",
        ),
        ([changed("more.json", choices={**told["choices"], "zz": {}})], "judges pair 'zz', which the page"),
        ([changed("none.json", choices=3)], "is damaged (no choices)"),
        ([changed("new.json", format=2)], "has format 2, this version reads up to 1; upgrade"),
        ([tmp_path / "cut.json"], "cut.json is damaged"),
        ([tmp_path / "list.json"], "is damaged (no format number)"),
        ([tmp_path / "absent.json"], "there is no file"),
        ([good, good], "are the same reader's"),
        ([], "name at least one file"),
    ]
    for files, message in cases:
        with pytest.raises(Error) as caught:
            blind_results(files, page)
        assert message in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(Error, match=r"there is no file .*key.json \(made by: unmask compare RUN RUN --blind"):
        blind_results([good])  # the key lies elsewhere
    (tmp_path / "key.json").write_text('{"format": 1}')
    with pytest.raises(Error, match=r"key.json is damaged \(KeyError"):
        blind_results([good])


def test_pages_that_cannot_be_made_are_refused(
    page: Path, make_run: Callable[..., Path], prompts: Path, tmp_path: Path
) -> None:
    run = make_run("one")
    with pytest.raises(Error, match="key.json exists; choices made with it would be lost"):
        blind(run, run, page, prompts=prompts)
    with pytest.raises(
        Error, match="takes [0-9]+ tokens, which with 30 to write do not fit into the context of 32 of one"
    ):
        blind(run, run, tmp_path / "new", prompts=prompts, length=30, pairs=40)
    with pytest.raises(Error, match="no prompts 'storys'. Did you mean 'stories'?"):
        blind(run, run, tmp_path / "new", prompts="storys")
    with pytest.raises(Error, match="pairs is 0"):
        blind(run, run, tmp_path / "new", pairs=0)
    assert not (tmp_path / "new" / "blind.html").exists()


def test_the_indic_prompts_are_in_the_scripts_that_they_say_and_no_letter_of_theirs_is_damaged() -> None:
    text = (importlib.resources.files("unmask.packaged.prompts") / "indic.jsonl").read_text("utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    scripts = {"hindi": (True, False), "hinglish": (False, True), "mixed": (True, True)}
    counts = Counter(row["kind"] for row in rows)
    styles = ("everyday", "story", "technical", "question")
    assert counts == {f"{kind}, {style}": 15 for kind in scripts for style in styles}
    for row in rows:
        prompt, kind = row["prompt"], row["kind"].partition(",")[0]
        found = bool(re.search("[\u0900-\u097f]", prompt)), bool(re.search("[A-Za-z]", prompt))
        assert found == scripts[kind] and unicodedata.normalize("NFC", prompt) == prompt and row["keeps"], prompt


def test_the_packaged_prompts_are_whole_and_a_file_may_have_either_form(tmp_path: Path) -> None:
    assert prompt_sets() == ["indic", "reasoning", "stories"]
    for name, least in (("indic", 180), ("reasoning", 40), ("stories", 30)):
        found = load_prompts(name)
        assert len(found) >= least and all(p == p.strip() and len(p) < 160 for p in found)
        assert sum(bool(re.search("[\u0900-\u097f]", p)) for p in found) >= 3
    (tmp_path / "p.jsonl").write_text('{"prompt": "one"}\n\n{"prompt": "two"}\n')
    assert load_prompts(tmp_path / "p.jsonl") == ["one", "two"]
    (tmp_path / "p.jsonl").write_text('{"prompt": "one"}\n{"text": "two"}\n')
    with pytest.raises(Error, match="line 2, has no text in a field 'prompt'"):
        load_prompts(tmp_path / "p.jsonl")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(Error, match="holds no prompts"):
        load_prompts(tmp_path / "empty.txt")


def test_a_rubric_is_a_yaml_file(make_run: Callable[..., Path], prompts: Path, tmp_path: Path) -> None:
    path = tmp_path / "rubric.yaml"
    path.write_text("criteria:\n- {name: fun, question: 'Which text is more fun?'}\n")
    assert load_rubric(path)[0].name == "fun"
    run = make_run("twin")
    made = blind(run, run, tmp_path / "page", prompts=prompts, rubric=path, length=4, pairs=2)
    assert made.criteria == ("fun",) and made.pairs == made.prompts == 2
    found = blind_results([judge(tmp_path / "page", tmp_path / "page" / "choices.json", lambda i, j, pair: "left")])
    assert found.names == ("A: twin", "B: twin") and [row.name for row in found.criteria] == ["fun", "overall"]
    for text in ("criteria: []", "criteria: [{name: fun}]", "- fun", "a: [", "criteria: 3"):
        path.write_text(text)
        with pytest.raises(Error) as caught:
            load_rubric(path)
    path.write_text(str(caught.value)[str(caught.value).index("criteria:") :])  # the form that the message shows
    assert load_rubric(path)[0].name == "grammar"


def test_the_command_makes_a_page_and_counts(
    page: Path, cli: Callable[..., Any], prompts: Path, tmp_path: Path
) -> None:
    runs = [run["path"] for run in key_of(page)["runs"]]
    made = cli("compare", *runs, "--blind", "-o", tmp_path / "p", "--prompts", prompts, "--length", 4, "--json")
    assert made.status == 0 and json.loads(made.out)["pairs"] == 4
    assert "key.json says whose text is whose" in made.err
    chosen = judge(tmp_path / "p", tmp_path / "p" / "choices.json", lambda i, j, pair: side_of(pair, 0))
    told = cli("compare", "--blind-results", chosen)
    assert told.status == 0 and "no difference shown" in told.out and "left against hidden" in told.out
    table = json.loads(cli("compare", "--blind-results", chosen, "-o", tmp_path / "p", "--json").out)
    assert table["criteria"][0]["wins"] == 4 and table["criteria"][0]["rate"]["interval"][0] < 0.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("one --blind -o new", "--blind takes two runs, got 1."),
        ("one two", "missing option '--output' / '-o'"),
        ("one two -o new --prompts stories", "--prompts belongs to --blind"),
        ("a.json --blind-results --blind", "give one of them"),
        ("a.json --blind-results", "there is no file key.json"),
    ],
)
def test_a_mistake_at_the_command_is_one_line(
    words: str, message: str, cli: Callable[..., Any], tmp_path: Path
) -> None:
    ran = cli("compare", *words.split())
    assert ran.status == 2 and message in ran.err and ran.err.count("\n") == 1
