"""What tokenizers promise besides the guard that they never change a text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers

from unmask.data.tokenizers import PROBES, Tokenizer, load_tokenizer, make_tokenizer
from unmask.errors import Error

TEXTS = [
    "the cat sat on the mat, the hat and the bat",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e",
]
BYTES = make_tokenizer("bytes", [], 0)
BPE = make_tokenizer("bpe", TEXTS * 3, 300)
BOTH = pytest.mark.parametrize("tokenizer", [BYTES, BPE], ids=lambda t: t.name)


@given(data=st.binary(max_size=60))
@settings(deadline=None)
def test_any_bytes_come_back(data: bytes) -> None:
    ids = BYTES.encode_bytes(data)
    assert ids == [4 + byte for byte in data]
    assert BYTES.decode_bytes(ids) == data


@BOTH
def test_the_name_of_a_special_token_inside_a_text_is_ordinary_text(tokenizer: Tokenizer) -> None:
    for name in ("<|pad|>", "<|bos|>", "<|eos|>", "<|mask|>"):
        assert min(tokenizer.encode(f"a{name}b")) > 3


@BOTH
def test_decoding_drops_specials_and_marks_broken_characters(tokenizer: Tokenizer) -> None:
    e_acute = tokenizer.encode("\u00e9")
    assert tokenizer.decode([1, *e_acute, 3, 0, 2]) == "\u00e9"
    assert BYTES.decode(BYTES.encode("\u00e9")[:1]) == "\ufffd"


def test_the_byte_tokenizer_file_gives_the_same_ids_as_the_fast_path() -> None:
    backend = Backend.from_str(BYTES._json)
    backend.encode_special_tokens = True
    for probe in PROBES:
        assert backend.encode(probe, add_special_tokens=False).ids == BYTES.encode(probe)


@BOTH
def test_saved_and_loaded_is_the_same_here_and_in_transformers(tokenizer: Tokenizer, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    foreign = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.fingerprint == tokenizer.fingerprint
    assert (loaded.name, loaded.vocab_size) == (tokenizer.name, tokenizer.vocab_size)
    specials = (foreign.pad_token_id, foreign.bos_token_id, foreign.eos_token_id, foreign.mask_token_id)
    assert specials == (0, 1, 2, 3) == (loaded.pad_id, loaded.bos_id, loaded.eos_id, loaded.mask_id)
    for probe in (*PROBES, "x<|mask|>y"):
        assert loaded.encode(probe) == tokenizer.encode(probe) == foreign(probe)["input_ids"]
        assert foreign.decode(tokenizer.encode(probe)) == probe


def test_bpe_training_is_deterministic_learns_merges_and_keeps_words_with_marks_together() -> None:
    again = make_tokenizer("bpe", iter(TEXTS * 3), 300)
    assert again.fingerprint == BPE.fingerprint
    assert len(BPE.encode(" the")) == 1
    big = make_tokenizer("bpe", ["\u0926\u0941\u0928\u093f\u092f\u093e " * 50], 400)
    assert len(big.encode("\u0926\u0941\u0928\u093f\u092f\u093e")) == 1  # vowel signs do not break the word


def test_different_tokenizers_have_different_fingerprints() -> None:
    assert len({BYTES.fingerprint, BPE.fingerprint, make_tokenizer("bpe", TEXTS, 290).fingerprint}) == 3


def _foreign(folder: Path, *, lower: bool, eos_is_bos: bool) -> str:
    backend = Backend(
        models.BPE(
            vocab={c: i for i, c in enumerate(["</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}, merges=[]
        )
    )
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    if lower:
        backend.normalizer = normalizers.Lowercase()
    backend.add_special_tokens(["</s>"])
    folder.mkdir(exist_ok=True)
    backend.save(str(folder / "tokenizer.json"))
    names = {"eos_token": "</s>"} | ({"bos_token": {"content": "</s>"}} if eos_is_bos else {})
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    return str(folder)


@pytest.mark.parametrize("eos_is_bos", [True, False])
def test_a_foreign_tokenizer_keeps_its_specials_and_gains_the_missing_ones(tmp_path: Path, eos_is_bos: bool) -> None:
    tokenizer = make_tokenizer(_foreign(tmp_path / "gpt", lower=False, eos_is_bos=eos_is_bos), [], 0)
    specials = {tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.mask_id}
    assert len(specials) == 4 and 0 in specials
    assert tokenizer.vocab_size == 260
    assert tokenizer.decode([tokenizer.bos_id, *tokenizer.encode("Hi </s>!"), tokenizer.eos_id]) == "Hi </s>!"
    tokenizer.save(tmp_path / "saved")
    assert load_tokenizer(tmp_path / "saved").encode("Hi") == tokenizer.encode("Hi")


def test_a_tokenizer_that_changes_text_is_refused_with_the_text(tmp_path: Path) -> None:
    with pytest.raises(Error, match="changes text: 'A plain sentence.* came back as 'a plain"):
        make_tokenizer(_foreign(tmp_path / "lower", lower=True, eos_is_bos=False), [], 0)


def test_mistakes_are_answered_with_a_fix(tmp_path: Path) -> None:
    with pytest.raises(Error, match="Did you mean 'bytes'"):
        make_tokenizer("byte", [], 0)
    with pytest.raises(Error, match="at least 260"):
        make_tokenizer("bpe", TEXTS, 200)
    with pytest.raises(Error, match="lone surrogate"):
        BPE.encode("a\ud800")
    with pytest.raises(Error, match="lone surrogate"):
        BYTES.encode("a\ud800")
    with pytest.raises(Error, match="cannot encode raw bytes"):
        BPE.encode_bytes(b"\xff")
    with pytest.raises(Error, match="must be 0 to 259"):
        BYTES.decode([260])
    with pytest.raises(Error, match=r"unmask_tokenizer\.json is missing"):
        load_tokenizer(tmp_path)
    BYTES.save(tmp_path)
    state = json.loads((tmp_path / "unmask_tokenizer.json").read_text())
    (tmp_path / "unmask_tokenizer.json").write_text(json.dumps({**state, "format": 99}))
    with pytest.raises(Error, match="format 99"):
        load_tokenizer(tmp_path)
    BPE.save(tmp_path)
    BYTES.save(tmp_path / "other")
    (tmp_path / "tokenizer.json").write_bytes((tmp_path / "other" / "tokenizer.json").read_bytes())
    with pytest.raises(Error, match="changed after it was saved"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(Error, match="damaged"):
        load_tokenizer(tmp_path)


def test_offline_a_hub_tokenizer_fails_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(Error, match="cannot be reached"):
        make_tokenizer("hf:nobody/nothing", [], 0)
