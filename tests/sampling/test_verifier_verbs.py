"""``--verifier`` from Python and from the shell: what it returns, and what is refused by name."""

import json

import pytest

from unmask import load
from unmask.api.infill import infill
from unmask.api.sample import sample
from unmask.errors import Error


def test_lossless_writes_by_the_verifier_and_tells_what_became_of_each_word(run_folder):
    for run, verifier in (("masked", "causal"), ("block", "causal"), ("block", "self"), ("causal", "self")):
        other = verifier if verifier == "self" else run_folder(verifier)
        found = sample(run_folder(run), "the cat", max_tokens=12, n=2, verifier=other, span=3, ignore_eos=True)
        assert found.sampler == "speculative" and found.settings["span"] == 3
        assert found.verifier["mode"] == "lossless" and found.run == str(run_folder(run))
        for text, told, steps in zip(found.completions, found.checked, found.steps, strict=True):
            assert told.calls == steps and told.accepted <= told.proposed
            assert sum(span.behind - span.first for span in told.spans) == 12 and text
        again = sample(run_folder(run), "the cat", max_tokens=12, verifier=other, span=3, ignore_eos=True)
        assert again.texts == found.texts[:1]


def test_greedily_the_text_is_the_verifiers_own_with_fewer_of_its_calls(run_folder):
    alone = sample(run_folder("causal"), "the cat", max_tokens=12, temperature=0.0)
    found = sample(run_folder("block"), "the cat", max_tokens=12, temperature=0.0, verifier=run_folder("causal"))
    assert found.texts == alone.texts and found.checked[0].calls <= alone.steps[0]


def test_repair_keeps_what_it_accepts_and_skips(run_folder):
    run, given = run_folder("masked"), {"max_tokens": 16, "steps": 4, "ignore_eos": True, "sampler": "confidence"}
    alone = sample(run, "the cat", **given)
    how = {"verifier": run_folder("causal"), "verify": "repair", "span": 4, "unlikely": 0.5, "rounds": 2}
    found = load(run).sample("the cat", **given, **how)
    assert found.verifier == {**found.verifier, "mode": "repair", "span": 4, "unlikely": 0.5, "rounds": 2}
    assert found.settings == alone.settings and len(found.texts[0]) > 0
    assert {span.verdict for span in found.checked[0].spans} <= {"accepted", "rewritten", "skipped"}


def test_the_holes_of_a_sentence_are_repaired_and_the_sentence_stays(run_folder):
    given = {"length": 4, "steps": 2, "verifier": run_folder("causal"), "suspect": 1.0, "unlikely": 0.0}
    found = infill(run_folder("masked"), "the ____ sat on ____.", **given)
    assert found.texts[0].startswith("the ") and found.texts[0].endswith(".") and " sat on" in found.texts[0]
    assert found.verifier["mode"] == "repair" and found.checked[0].calls >= 1
    inside = [(first, end) for span in found.checked[0].spans for first, end in [(span.first, span.behind)]]
    assert sum(end - first for first, end in inside) <= 8


def test_the_shell_takes_it_and_says_on_stderr_what_was_accepted(cli, run_folder):
    ran = cli("sample", run_folder("block"), "the", "--verifier", "self", "-s", "span=2", "--max-tokens", "6", "--json")
    found = json.loads(ran.out)
    assert ran.status == 0 and found["checked"][0]["calls"] == found["steps"][0] and "of the verifier" in ran.err
    mended = ("--verifier", run_folder("causal"), "--verify", "repair", "-s", "rounds=2", "--steps", "3")
    ran = cli("sample", run_folder("masked"), "the", *mended, "--max-tokens", "9", "--json")
    assert ran.status == 0 and json.loads(ran.out)["verifier"]["rounds"] == 2


@pytest.mark.parametrize(
    ("run", "given", "says"),
    [
        ("masked", {"verifier": "masked"}, "does not write left to right; a verifier is a causal run, or a block run"),
        ("masked", {"verifier": "self"}, "does not write left to right"),
        ("masked", {"verifier": "causal-bytes"}, "other tokenizers"),
        ("causal", {"verifier": "self", "verify": "repair"}, "cannot write a word again"),
        ("uniform", {"verifier": "causal"}, "the law of its drafts is not known"),
        ("masked", {"verifier": "causal", "verify": "both"}, "choose lossless or repair"),
        ("masked", {"verify": "repair"}, "there is no verifier"),
        ("masked", {"rounds": 2}, "setting of a repair"),
        ("masked", {"verifier": "causal", "rounds": 2}, "rounds"),
        ("masked", {"verifier": "causal", "verify": "repair", "rounds": 0}, "rounds is 0; it must be at least 1"),
        ("masked", {"verifier": "causal", "sampler": "confidence"}, "leave it out, or add --verify repair"),
        ("masked", {"verifier": "causal", "suffix": "."}, "cannot take a suffix"),
        ("masked", {"verifier": "causal", "fallback": "causal"}, "do not go together"),
    ],
)
def test_what_cannot_work_is_refused_by_name(run_folder, run, given, says):
    names = {"causal-bytes": ("causal", "bytes"), "causal": ("causal",), "masked": ("masked",)}
    for key in ("verifier", "fallback"):
        if given.get(key) in names:
            given = {**given, key: run_folder(*names[given[key]])}
    with pytest.raises(Error, match=says):
        sample(run_folder(run), "the cat", max_tokens=4, **given)


def test_a_hole_is_not_written_losslessly(run_folder):
    with pytest.raises(Error, match="cannot fill holes; use verify repair"):
        infill(run_folder("masked"), "the ____", verifier=run_folder("causal"), verify="lossless")
