"""Tokenizers that never change the text: bytes, byte-level BPE, and lossless ones from the Hugging Face Hub.

For every string x without lone surrogates, ``decode(encode(x)) == x``. A special token's name inside a text
("<|mask|>") is ordinary text. Byte-level BPE: Sennrich et al. 2016 (arXiv 1508.07909), Radford et al. 2019.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from unmask.data import binary as binary_text
from unmask.data import utf8
from unmask.errors import Error, nearest

FORMAT = 1
SPECIALS = ("<|pad|>", "<|bos|>", "<|eos|>", "<|mask|>")
ROLES = ("pad", "bos", "eos", "mask")
_STATE_FILE = "unmask_tokenizer.json"

# Words keep their combining marks and joiners (Devanagari vowel signs are marks, not letters); digits go in threes.
_WORDS = (
    r"'(?:[sdmt]|ll|ve|re)| ?[\p{L}\p{M}\x{200C}\x{200D}]+| ?\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{M}\p{N}\x{200C}\x{200D}]+|\s+(?!\S)|\s+"
)


def _byte_characters() -> list[str]:
    """Return the printable character that byte-level tokenizers write for each byte (the GPT-2 table)."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    rest = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(rest)) for byte in range(256)]


_CHARACTERS = _byte_characters()
_BYTES = {character: byte for byte, character in enumerate(_CHARACTERS)}


class Tokenizer:
    """Text to token ids and back, without loss.

    Attributes:
        name: The spec that made it: "bytes", "bpe" or "hf:owner/name".
        vocab_size: Number of ids, the four special ones included.
        pad_id: Padding.
        bos_id: Begins every document piece.
        eos_id: Ends every document.
        mask_id: The mask of the masked process.
        fingerprint: 12 hex digits over everything that decides the ids.
        binary: Its texts are bytes of any kind, a character each (see :mod:`unmask.data.binary`); "bytes" only.
    """

    def __init__(self, name: str, backend_json: str, special_ids: Sequence[int], binary: bool = False) -> None:
        if binary and name != "bytes":
            raise Error(f"the tokenizer {name!r} reads text. Set data.tokenizer=bytes, or leave out data.binary.")
        self.name = name
        self.binary = binary
        self._json = backend_json
        self._backend = Backend.from_str(backend_json)
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = True
        self.pad_id, self.bos_id, self.eos_id, self.mask_id = special_ids
        vocabulary = self._backend.get_vocab(with_added_tokens=True)
        self.vocab_size = max(vocabulary.values()) + 1
        key = json.dumps([name == "bytes", list(special_ids), backend_json, *(["binary"] if binary else [])])
        self.fingerprint = hashlib.sha256(key.encode()).hexdigest()[:12]
        self._table = _byte_table(self._backend, self.vocab_size)

    @property
    def inner(self) -> NDArray[np.bool_] | None:
        """Ids that go on with a character that an earlier id began; ``None``: ids are not bytes of characters."""
        if self.name != "bytes" or self.binary:
            return None
        return np.append(np.zeros(len(SPECIALS), bool), utf8.CONTINUES)

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``; no special token is added.

        Raises:
            Error: ``text`` holds a lone surrogate, which is no Unicode text; or, if binary, what is no byte.
        """
        if self.name == "bytes":
            return self.encode_bytes(self.raw(text))
        return list(self.arrays([text])[0].tolist())

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text; see :meth:`encode`."""
        return [ids.tolist() for ids in self.arrays(texts)]

    def arrays(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Return the ids of each text as an int32 array; see :meth:`encode`."""
        if self.name == "bytes":
            return [np.frombuffer(self.raw(text), np.uint8) + np.int32(len(SPECIALS)) for text in texts]
        try:
            found = self._backend.encode_batch_fast(list(texts), add_special_tokens=False)
        except (UnicodeEncodeError, TypeError):
            for text in texts:
                _utf8(text)
            raise
        return [np.asarray(encoding.ids, np.int32) for encoding in found]

    def raw(self, text: str) -> bytes:
        """Return the bytes that a text stands for: what bits per byte divide by."""
        return binary_text.raw(text, True) if self.binary else _utf8(text)

    def encode_bytes(self, data: bytes) -> list[int]:
        """Return the ids of any bytes; only the "bytes" tokenizer can.

        Raises:
            Error: another tokenizer.
        """
        if self.name != "bytes":
            raise Error(f"tokenizer {self.name!r} cannot encode raw bytes. Use the tokenizer 'bytes'.")
        return [byte + len(SPECIALS) for byte in data]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ``ids``: specials are dropped, bytes that are not UTF-8 become U+FFFD (unless binary)."""
        if self.binary:
            return binary_text.as_text(self.decode_bytes(ids))
        if self._table is None:
            return self._backend.decode(self._checked(ids), skip_special_tokens=True)
        return self.decode_bytes(ids).decode("utf-8", "replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Return the bytes of ``ids``; specials are dropped.

        Raises:
            Error: an id outside the vocabulary.
        """
        if self._table is None:
            return self.decode(ids).encode()
        table = self._table
        return b"".join([table[i] for i in self._checked(ids)])

    def _checked(self, ids: Iterable[int]) -> list[int]:
        checked = [int(i) for i in ids]
        if checked and not (0 <= min(checked) and max(checked) < self.vocab_size):
            raise Error(f"token ids must be 0 to {self.vocab_size - 1}, got {min(checked)} to {max(checked)}.")
        return checked

    def save(self, folder: str | Path) -> None:
        """Write ``tokenizer.json``, its own small state, and what ``transformers.AutoTokenizer`` needs to load it."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        special_ids = dict(zip(ROLES, (self.pad_id, self.bos_id, self.eos_id, self.mask_id), strict=True))
        state = {"format": FORMAT, "name": self.name, "special_ids": special_ids, "fingerprint": self.fingerprint}
        state |= {"binary": True} if self.binary else {}
        names = {f"{role}_token": self._backend.id_to_token(i) for role, i in special_ids.items()}
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
            "split_special_tokens": True,  # a special's name inside a text is ordinary text, there too
            "model_max_length": 1_000_000_000,
            **names,
        }
        (folder / "tokenizer.json").write_text(self._json, "utf-8")
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
        (folder / _STATE_FILE).write_text(json.dumps(state, indent=2) + "\n", "utf-8")


def make_tokenizer(spec: str, texts: Iterable[str], vocab_size: int, binary: bool = False) -> Tokenizer:
    """Make the tokenizer that a recipe names.

    Args:
        spec: "bytes", "bpe" (trained on ``texts``), "hf:owner/name", or a local folder with a ``tokenizer.json``.
        texts: Texts of the train split; read only for "bpe".
        vocab_size: Wanted vocabulary for "bpe", specials included; fewer when the text has no more merges.
        binary: The texts are bytes of any kind; only "bytes" reads them.

    Raises:
        Error: unknown spec, vocabulary too small, or a tokenizer that changes text.
    """
    if binary and spec != "bytes":
        raise Error(f"data.binary models bytes, and the tokenizer is {spec!r}. Set data.tokenizer=bytes.")
    if spec == "bytes":
        return _byte_tokenizer(binary)
    if spec == "bpe":
        return _train_bpe(texts, vocab_size)
    if spec.startswith("hf:"):
        from unmask.data.hub import hub_tokenizer_folder

        return _adopt(hub_tokenizer_folder(spec), spec)
    if Path(spec).is_dir():
        folder = Path(spec)
        return load_tokenizer(folder) if (folder / _STATE_FILE).is_file() else _adopt(folder, spec)
    raise Error(
        f"unknown tokenizer {spec!r}.{nearest(spec, ('bytes', 'bpe'))} "
        "Use bytes, bpe, hf:owner/name, or a folder that holds a tokenizer.json."
    )


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """Load a tokenizer that :meth:`Tokenizer.save` wrote.

    Raises:
        Error: a file is missing or damaged, or the folder comes from a newer version.
    """
    folder = Path(folder)
    try:
        state = json.loads((folder / _STATE_FILE).read_text("utf-8"))
        backend_json = (folder / "tokenizer.json").read_text("utf-8")
    except FileNotFoundError as error:
        raise Error(f"no tokenizer in {folder}: {Path(error.filename).name} is missing.") from error
    except ValueError as error:
        raise _damaged(folder, error) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        found = state.get("format") if isinstance(state, dict) else None
        raise Error(f"the tokenizer in {folder} has format {found}, this unmask reads {FORMAT}. Upgrade unmask.")
    try:
        special_ids = [state["special_ids"][role] for role in ROLES]
        tokenizer = Tokenizer(state["name"], backend_json, special_ids, bool(state.get("binary", False)))
    except Exception as error:  # the backend raises bare Exception for a file that it cannot parse
        raise _damaged(folder, error) from error
    if tokenizer.fingerprint != state["fingerprint"]:
        raise _damaged(folder, "tokenizer.json was changed after it was saved")
    return tokenizer


def _damaged(folder: Path, reason: object) -> Error:
    return Error(f"the tokenizer in {folder} is damaged ({reason}). Copy it again from the run that made it.")


def _byte_tokenizer(binary: bool = False) -> Tokenizer:
    vocabulary = {token: i for i, token in enumerate((*SPECIALS, *_CHARACTERS))}
    backend = Backend(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([_special(name) for name in SPECIALS])
    return Tokenizer("bytes", backend.to_str(), range(len(SPECIALS)), binary)


def _train_bpe(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    smallest = len(SPECIALS) + 256
    if vocab_size < smallest:
        raise Error(
            f"vocab_size {vocab_size} is too small for bpe: it holds {len(SPECIALS)} special tokens and 256 bytes. "
            f"Use at least {smallest}, or the tokenizer 'bytes'."
        )
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[_special(name) for name in SPECIALS],
        initial_alphabet=sorted(_CHARACTERS),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return Tokenizer("bpe", backend.to_str(), range(len(SPECIALS)))


def _adopt(folder: Path, name: str) -> Tokenizer:
    """Take a foreign ``tokenizer.json``: keep its special ids, add the missing ones, refuse it if it changes text."""
    path = folder / "tokenizer.json"
    try:
        backend = Backend.from_str(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise Error(f"{folder} holds no tokenizer.json. Name a folder or Hub model with a fast tokenizer.") from error
    except Exception as error:  # the backend raises bare Exception for a file that it cannot parse
        raise Error(f"{path} is no tokenizer ({error}). Name a folder or Hub model that has one.") from error
    backend.no_truncation()
    backend.no_padding()
    ids: list[int] = []
    for role, own in zip(ROLES, SPECIALS, strict=True):
        found = _named_special(folder, role)
        known = backend.token_to_id(found) if found else None
        if known is None or known in ids:  # the four must differ: with EOS = BOS, EOS would never be a target
            backend.add_special_tokens([_special(own)])
            known = backend.get_vocab(with_added_tokens=True)[own]
        ids.append(known)
    tokenizer = Tokenizer(name, backend.to_str(), ids)
    for probe in PROBES:
        back = tokenizer.decode(tokenizer.encode(probe))
        if back != probe:
            raise Error(f"tokenizer {name!r} changes text: {probe!r} came back as {back!r}. Use bpe, or another.")
    return tokenizer


def _named_special(folder: Path, role: str) -> str | None:
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / file).is_file():
            entry = json.loads((folder / file).read_text("utf-8")).get(f"{role}_token")
            if isinstance(entry, dict):
                entry = entry.get("content")
            if isinstance(entry, str):
                return entry
    return None


PROBES = (
    "A plain sentence, with commas.",
    " leading and trailing ",
    "two  spaces,\ttab,\nnewline,\r\nCRLF\n\n",
    "Don't 'quote' , or space before punctuation . [UNK] <s> <|endoftext|> <unk>",
    "UPPER lower 1234567890",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0915\u094d\u200d\u0937 \u0915\u094d\u200c\u0937",
    "\u0301 lone mark; cafe\u0301 caf\u00e9; \ufb01 \u00bd \uff21",
    "\u00a0\u2003\u3000\u200b\u2028\ufeff",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1ee\U0001f1f3 \u4f60\u597d",
    "\x00\x01\x7f",
)


def _special(name: str) -> AddedToken:
    return AddedToken(name, special=True, normalized=False)


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Error(
            f"the text holds a lone surrogate (U+{ord(text[error.start]):04X} at character {error.start}), "
            "which is not Unicode text. Remove it, or read the file as UTF-8."
        ) from error


def _byte_table(backend: Backend, vocab_size: int) -> list[bytes] | None:
    """Return each id's bytes (specials: none), or None when the tokenizer is not byte-level."""
    if not isinstance(backend.decoder, decoders.ByteLevel):
        return None
    table = [b""] * vocab_size
    added = backend.get_added_tokens_decoder()
    for token, i in backend.get_vocab(with_added_tokens=True).items():
        if i in added:
            table[i] = b"" if added[i].special else added[i].content.encode()
        elif all(character in _BYTES for character in token):
            table[i] = bytes([_BYTES[character] for character in token])
        else:
            return None
    return table
