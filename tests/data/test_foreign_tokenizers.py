"""Tokenizers that other people made: no text collides with a special token, pieces join, damage is told in a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from unmask.data.blocks import pack
from unmask.data.corpus import load_corpus
from unmask.data.tokenizers import PROBES, Tokenizer, load_tokenizer, make_tokenizer
from unmask.errors import Error

pytestmark = pytest.mark.strangers

TEXTS = ["the cat sat on the mat, and the dog ran! the end."] * 8
ODD = [
    *PROBES,
    "\u2581",
    "\u2581the cat\u2581",
    "<s></s><unk>",
    "a <0xE2><0x96> b",
    "e\u0301 \u1e69\u0323",
    "\r\n \r",
    "",
]
Save = Callable[..., str]


def _sentencepiece(lead: str | None) -> Backend:
    """A tokenizer as Llama 2's (a space before the first word), Mistral's newer one, or Gemma's (none)."""
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", *"abcdefghimnorst.,!"]
    words += ["th", "the", "\u2581t", "\u2581the", "\u2581c"]
    merges = [("t", "h"), ("th", "e"), ("\u2581", "t"), ("\u2581", "the"), ("\u2581", "c")]
    vocabulary = {word: i for i, word in enumerate(words)}
    backend = Backend(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    steps: list[Any] = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    if lead == "metaspace":
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        replace = normalizers.Replace(" ", "\u2581")
        backend.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), replace]) if lead else replace
    backend.decoder = decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if lead else []))
    backend.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in words[:3]])
    return backend


def _byte_level(prefix: bool = False) -> Backend:
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=290, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(TEXTS, trainer)
    return backend


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(backend: Backend, config: object = None, change: Callable[[Any], None] | None = None) -> str:
        tree = json.loads(backend.to_str())
        if change is not None:
            change(tree)
        (tmp_path / "tokenizer.json").write_text(json.dumps(tree), "utf-8")
        if config is not None:
            text = config if isinstance(config, str) else json.dumps(config)
            (tmp_path / "tokenizer_config.json").write_text(text, "utf-8")
        return str(tmp_path)

    return write


def _specials(tokenizer: Tokenizer) -> set[int]:
    return {tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.mask_id}


def _check(tokenizer: Tokenizer) -> None:
    assert len(_specials(tokenizer)) == 4
    names = [tokenizer._backend.id_to_token(i) for i in range(tokenizer.vocab_size)]
    for text in (*ODD, *filter(None, names)):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert not _specials(tokenizer) & set(ids), text
    assert tokenizer.decode_bytes(_specials(tokenizer)) == b""


@pytest.mark.parametrize(
    "named",
    [{"bos_token": "."}, {"eos_token": "."}, {"pad_token": "!"}, {"mask_token": "\u0120the"}, {"eos_token": "the"}],
    ids=str,
)
def test_a_word_that_is_named_as_a_special_token_stays_a_word_and_that_is_said(save: Save, named: dict) -> None:
    (role, word), *_ = named.items()
    tokenizer = make_tokenizer(save(_byte_level(), {"unk_token": "<|endoftext|>"} | named), [], 0)
    _check(tokenizer)
    assert any(repr(word) in note and role.removesuffix("_token") in note for note in tokenizer.notes)


def test_a_word_that_is_a_special_token_already_is_a_word_again(save: Save) -> None:
    def as_clip(tree: Any) -> None:
        tree["added_tokens"].append({**tree["added_tokens"][0], "id": tree["model"]["vocab"]["!"], "content": "!"})

    tokenizer = make_tokenizer(save(_byte_level(), {"pad_token": "!"}, as_clip), [], 0)
    _check(tokenizer)


def test_a_name_of_ours_that_is_taken_by_a_word_is_not_used(save: Save) -> None:
    def take(tree: Any) -> None:
        tree["model"]["vocab"]["<|mask|>"] = len(tree["model"]["vocab"])

    tokenizer = make_tokenizer(save(_byte_level(), change=take), [], 0)
    _check(tokenizer)
    assert tokenizer._backend.id_to_token(tokenizer.mask_id) not in ("<|mask|>", None)


def test_real_special_tokens_are_kept(save: Save) -> None:
    tokenizer = make_tokenizer(
        save(_sentencepiece(None), {"bos_token": "<s>", "eos_token": {"content": "</s>"}}), [], 0
    )
    assert (tokenizer.bos_id, tokenizer.eos_id) == (1, 2) and not tokenizer.notes
    _check(tokenizer)


KINDS = {
    "llama": lambda: _sentencepiece("prepend"),
    "mistral": lambda: _sentencepiece("metaspace"),
    "gemma": lambda: _sentencepiece(None),
    "bytes": lambda: _byte_level(),
    "roberta": lambda: _byte_level(prefix=True),
}


@pytest.mark.parametrize("kind", KINDS)
@given(
    pieces=st.lists(
        st.text(st.sampled_from("the cat \u2581\n\r\x00<s>e\u0301\U0001f600\u200d\u0926\u093f"), max_size=9)
    )
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pieces_that_are_encoded_apart_join_to_the_text(
    kind: str, made: dict[str, Tokenizer], pieces: list[str]
) -> None:
    tokenizer = made[kind]
    ids = [i for piece in pieces for i in tokenizer.encode(piece)]
    assert tokenizer.decode(ids) == "".join(pieces)
    assert b"".join(tokenizer.decode_bytes([i]) for i in ids) == "".join(pieces).encode()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    found = {}
    for kind, backend in KINDS.items():
        folder = tmp_path_factory.mktemp(kind)
        backend().save(str(folder / "tokenizer.json"))
        found[kind] = make_tokenizer(str(folder), [], 0)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_taken_over_is_loaded_as_it_was_saved(kind: str, made: dict[str, Tokenizer], tmp_path: Path) -> None:
    made[kind].save(tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.fingerprint == made[kind].fingerprint
    for text in ODD:
        assert again.encode(text) == made[kind].encode(text)
    _check(again)


def test_a_space_before_the_first_word_is_left_out_and_that_is_said(made: dict[str, Tokenizer]) -> None:
    for kind, tokenizer in made.items():
        assert bool(tokenizer.notes) == (kind in ("llama", "mistral", "roberta")), kind
        assert tokenizer.decode_bytes(tokenizer.encode("the")[:1])[:1] == b"t"


def test_chance_is_taken_out_of_a_tokenizer(save: Save) -> None:
    def chancy(tree: Any) -> None:
        tree["model"]["dropout"] = 0.5

    tokenizer = make_tokenizer(save(_byte_level(), change=chancy), [], 0)
    assert len({tuple(tokenizer.encode(TEXTS[0])) for _ in range(20)}) == 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("tokenizer_config.json", "{broken"),
        ("tokenizer_config.json", "[1]"),
        ("tokenizer_config.json", '"text"'),
        ("tokenizer_config.json", "[" * 100_000),
        ("tokenizer_config.json", b"\xff\xfe{}"),
        ("special_tokens_map.json", "{"),
        ("tokenizer.json", "{"),
        ("tokenizer.json", "[]"),
        ("tokenizer.json", b"\xff"),
        ("tokenizer.json", "{}"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(save: Save, file: str, text: str | bytes) -> None:
    folder = save(_byte_level())
    (Path(folder) / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(Error) as caught:
        make_tokenizer(folder, [], 0)
    assert str(Path(folder) / file) in str(caught.value) and "\n" not in str(caught.value)


def test_byte_order_marks_are_no_damage(save: Save) -> None:
    folder = save(_byte_level(), "\ufeff" + json.dumps({"eos_token": "<|endoftext|>"}))
    whole = (Path(folder) / "tokenizer.json").read_text("utf-8")
    (Path(folder) / "tokenizer.json").write_text("\ufeff" + whole, "utf-8")
    assert make_tokenizer(folder, [], 0).eos_id == 0


@pytest.mark.parametrize("i", [2**32 - 1, 5, 400])
def test_ids_with_gaps_or_for_two_tokens_are_refused(save: Save, i: int) -> None:
    def far(tree: Any) -> None:
        tree["model"]["vocab"]["far"] = i

    with pytest.raises(Error, match="some have none, or one together"):
        make_tokenizer(save(_byte_level(), change=far), [], 0)


def test_tokens_that_are_no_pieces_of_a_text_are_refused_with_the_reason(save: Save) -> None:
    backend = Backend(models.WordPiece({"[UNK]": 0, "the": 1}, unk_token="[UNK]"))
    backend.decoder = decoders.WordPiece()
    with pytest.raises(Error, match=r"no pieces of a text \(its decoder: WordPiece\)"):
        make_tokenizer(save(backend), [], 0)


def test_a_text_of_the_corpus_that_would_be_changed_is_refused(save: Save, tmp_path: Path) -> None:
    """The probes cannot hold every text: a tokenizer that rewrites one word is found out where that word stands."""

    def rewrite(tree: Any) -> None:
        tree["normalizer"] = {"type": "Replace", "pattern": {"String": "colour"}, "content": "color"}

    tokenizer = make_tokenizer(save(_byte_level(), change=rewrite), [], 0)
    (tmp_path / "text.jsonl").write_text("".join(f'{{"text": "text {i} of colours"}}\n' for i in range(9)))
    with pytest.raises(Error, match="changes text: '.*of colours' came back as '.*of colors'"):
        pack(load_corpus(tmp_path / "text.jsonl", judge_fraction=0).split("train"), tokenizer, 8)
