import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmask.cli.app import run
from unmask.data.script_stats import fertility, script_stats
from unmask.data.tokenizers import make_tokenizer
from unmask.errors import Error
from unmask.evaluation.indic_set import indic_holes, indic_prompts, sentences

HINDI = ["मैं घर जा रहा हूँ और वह स्कूल से आ रही है। " * 3]
ENGLISH = [
    f"the cat sat on the mat and looked at the {what}. " * 8 for what in ("dog", "hat", "moon", "garden", "river")
]
BYTES = make_tokenizer("bytes", [], 0)


def test_shares_are_of_letters_and_sum_to_one():
    found = script_stats(["मैं office गया 10 बजे।"])
    assert sum(found["share"].values()) == pytest.approx(1)
    assert found["words"] == {"devanagari": 3, "latin": 1, "digit": 1, "other": 0, "mixed": 0}
    assert found["clusters"] == 18 and found["share"]["latin"] == 6 / 18 and found["share"]["devanagari"] == 5 / 18
    assert found["languages"] == {"hindi in devanagari": 3, "hindi in latin": 0, "english": 1}
    assert found["switch_rate"] == {"language": 2 / 3, "script": 2 / 3} and found["cmi"] == 25.0


def test_what_is_broken_odd_and_invisible_is_said():
    found = script_stats(["क\u093f\u093f ok\ufffd\u200b", "e\u0301"])
    assert found["broken"]["clusters"] == 1 and found["broken"]["most"] == {"क\u093f\u093f": 1}
    assert found["odd"] == {"U+FFFD": 1} and found["invisible"] == {"zero-width space": 1} and found["not_nfc"] == 1


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
@settings(deadline=None)
def test_every_token_and_byte_of_any_text_is_some_scripts(text):
    for tokenizer in (BYTES, BPE):
        found = fertility([text], tokenizer)
        assert sum(row["tokens"] for row in found.values()) == len(tokenizer.encode(text))
        assert sum(row["bytes"] for row in found.values()) == len(text.encode())


def test_balance_spends_merges_on_the_rarer_script():
    texts = [(Path(__file__).parents[2] / "LICENSE").read_text("utf-8")] * 6 + indic_prompts()["hindi"]
    plain, even = (make_tokenizer("bpe", texts, 900, balance=balance) for balance in (False, True))
    held_out = sentences(indic_holes()["hindi"])
    assert fertility(held_out, even)["devanagari"]["tokens"] < 0.9 * fertility(held_out, plain)["devanagari"]["tokens"]
    assert fertility(texts[:1], even)["latin"]["tokens"] > fertility(texts[:1], plain)["latin"]["tokens"]
    assert make_tokenizer("bpe", list(texts), 900, balance=True).fingerprint == even.fingerprint != plain.fingerprint


def test_balance_of_one_script_changes_no_merge():
    assert make_tokenizer("bpe", ENGLISH, 300).encode_batch(ENGLISH) == make_tokenizer(
        "bpe", ENGLISH, 300, balance=True
    ).encode_batch(ENGLISH)


def test_only_a_tokenizer_that_is_trained_can_be_balanced():
    with pytest.raises(Error, match="data.balance is for a tokenizer that is trained"):
        make_tokenizer("bytes", [], 0, balance=True)


def test_the_verb_says_scripts_and_fertility(tmp_path, capsys):
    file = tmp_path / "text.jsonl"
    texts = [f"{number} {text}" for number in range(40) for text in HINDI + ENGLISH]
    file.write_text("\n".join(json.dumps({"text": text}) for text in texts), "utf-8")
    assert run(["data", "stats", str(file), "--tokenizer", "bpe", "--vocab-size", "300", "--balance", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["scripts"]["share"]["devanagari"] > 0 and found["tokenizer"]["fertility"]["latin"]["tokens"] > 0
    assert run(["data", "stats", str(file), "--tokenizer", "bytes"]) == 0
    out = capsys.readouterr().out
    assert "scripts " in out and "tokens a letter" in out and "broken  " in out


BPE = make_tokenizer("bpe", [*ENGLISH, *HINDI], 300)
