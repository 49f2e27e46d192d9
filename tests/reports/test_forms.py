"""One text in several forms: composed or not, in one file or a copy of it. A run knows its own text in all of them."""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path

import pytest

import unmask
from unmask.roots.evidence import forms
from unmask.training.held_out import corpus_of, held_out
from unmask.training.own_text import own_text
from unmask.training.run import Run

pytestmark = pytest.mark.strangers

TINY = [
    "data.tokenizer=bytes",
    "data.length=64",
    "data.valid_fraction=0.3",
    "backbone.hidden_size=16",
    "backbone.num_hidden_layers=1",
    "backbone.num_attention_heads=2",
    "training.max_steps=1",
    "training.per_device_train_batch_size=2",
    "training.valid_blocks=0",
]
WORDS = "caf\u00e9 na\u00efve \u00e9t\u00e9 the cat sat \u00fcber \u1e69".split()
NFD = unicodedata.normalize("NFD", "caf\u00e9 \u00e9t\u00e9")
NFC = unicodedata.normalize("NFC", NFD)


def _texts() -> list[str]:
    drawn = random.Random(1)
    return [f"n {i} " + " ".join(drawn.choice(WORDS) for _ in range(16)) for i in range(60)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same documents in both forms; a part of them with a stranger; runs that compose their text, and one not."""
    folder = tmp_path_factory.mktemp("forms")
    part = [*_texts()[:30], "never read before, \u00e9t\u00e9"]
    for name, form, texts in (("nfc", "NFC", _texts()), ("nfd", "NFD", _texts()), ("part", "NFD", part)):
        lines = (json.dumps({"text": unicodedata.normalize(form, text)}, ensure_ascii=False) for text in texts)
        (folder / f"{name}.jsonl").write_text("\n".join(lines), "utf-8")
    for recipe in ("nano-causal", "nano-masked"):
        unmask.train(
            recipe,
            [*TINY, f"data.source={folder / 'nfc.jsonl'}", "data.normalize=NFC"],
            output=folder / f"{recipe}-nfc",
        )
    unmask.train("nano-causal", [*TINY, f"data.source={folder / 'nfd.jsonl'}"], output=folder / "plain")
    return folder


def test_a_copy_of_the_training_text_is_known_in_any_form(folder: Path) -> None:
    run = Run.open(folder / "nano-causal-nfc")
    own = held_out([run])
    copy = held_out([run], str(folder / "nfd.jsonl"))
    assert (copy.texts, copy.split, copy.fingerprint) == (own.texts, "valid", own.fingerprint)
    assert any("is the text that nano-causal-nfc was trained on" in note for note in copy.notes)


def test_other_text_takes_the_form_of_the_runs_and_what_was_trained_on_is_dropped(folder: Path) -> None:
    run = Run.open(folder / "nano-causal-nfc")
    found = held_out([run], str(folder / "part.jsonl"))
    assert all(unicodedata.is_normalized("NFC", text) for text in found.texts)
    trained = set(corpus_of(run).split("train")["text"])
    assert "never read before, \u00e9t\u00e9" in found.texts and not trained & set(found.texts)
    assert any("held-out documents were dropped" in note for note in found.notes)


def test_a_rival_of_another_form_drops_its_own_text_too_and_the_difference_is_said(folder: Path) -> None:
    runs = [Run.open(folder / name) for name in ("nano-causal-nfc", "plain")]
    found = held_out(runs, str(folder / "part.jsonl"))
    trained = {unicodedata.normalize("NFC", text) for run in runs for text in corpus_of(run).split("train")["text"]}
    assert not trained & set(found.texts)
    assert any(
        "scored with data.normalize=NFC" in note and "plain was trained with null" in note for note in found.notes
    )


def test_what_is_given_to_a_run_takes_the_form_of_its_text(folder: Path) -> None:
    composed, plain = Run.open(folder / "nano-masked-nfc"), Run.open(folder / "plain")
    assert own_text(NFD, composed) == NFC and own_text(NFD, plain) == NFD
    assert own_text(NFD.encode(), composed) == NFC
    asked = {"max_tokens": 4, "steps": 2, "seed": 1}
    decomposed = unmask.sample(composed, NFD, suffix=f" {NFD}", **asked)
    assert decomposed.texts == unmask.sample(composed, NFC, suffix=f" {NFC}", **asked).texts
    assert decomposed.texts[0] == NFC + decomposed.completions[0] + f" {NFC}"
    filled = [unmask.infill(composed, f"{form} ____ {form}", length=2, steps=2) for form in (NFD, NFC)]
    assert filled[0].texts == filled[1].texts and filled[0].texts[0].startswith(NFC)
    with pytest.raises(unmask.Error, match="lone surrogate"):
        unmask.sample(composed, "a\ud800")


def test_the_harness_asks_in_the_form_of_the_run(folder: Path) -> None:
    instance = pytest.importorskip("lm_eval.api.instance").Instance
    from unmask.api.harness.model import UnmaskLM

    model = UnmaskLM(str(folder / "nano-causal-nfc"))
    pairs, texts = [
        [instance(kind, {}, one, number, (None, None, None)) for number, one in enumerate(rows)]
        for kind, rows in (("loglikelihood", [(NFC, NFC), (NFD, NFD)]), ("loglikelihood_rolling", [(NFC,), (NFD,)]))
    ]
    composed, decomposed = model.loglikelihood(pairs, disable_tqdm=True)
    assert composed == decomposed
    first, second = model.loglikelihood_rolling(texts, disable_tqdm=True)
    assert first == second


def test_evidence_leaves_a_text_out_in_whatever_form_the_index_has_it() -> None:
    assert forms("plain") == [b"plain"]
    assert set(forms(NFC)) == set(forms(NFD)) == {NFC.encode(), NFD.encode()}
