"""Tokenizers that never change the text: bytes, byte-level BPE, and lossless ones from the Hugging Face Hub.

For every string x without lone surrogates, ``decode(encode(x)) == x``. A special token's name inside a text
("<|mask|>") is ordinary text. Byte-level BPE: Sennrich et al. 2016 (arXiv 1508.07909), Radford et al. 2019.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from unmask.data import binary as binary_text
from unmask.data import utf8
from unmask.data.adopt import PROBES as PROBES
from unmask.data.adopt import ROLES, SPECIALS, adopt, special
from unmask.data.balance import balanced
from unmask.data.token_bytes import CHARACTERS, SPACE, token_bytes
from unmask.data.vocabulary import Vocabulary
from unmask.errors import Error, nearest

FORMAT = 1
_STATE_FILE = "unmask_tokenizer.json"
TEMPLATE = "chat_template.jinja"

# Words keep their combining marks and joiners (Devanagari vowel signs are marks, not letters); digits go in threes.
_WORDS = (
    r"'(?:[sdmt]|ll|ve|re)| ?[\p{L}\p{M}\x{200C}\x{200D}]+| ?\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{M}\p{N}\x{200C}\x{200D}]+|\s+(?!\S)|\s+"
)


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
        notes: What to know about how it was made.
        chat_template: The template by which those who trained a model wrote talks, as they gave it; ``None``: none.
    """

    chat_template: str | None = None

    def __init__(
        self,
        name: str,
        backend_json: str,
        special_ids: Sequence[int],
        binary: bool = False,
        notes: Sequence[str] = (),
    ) -> None:
        if binary and name != "bytes":
            raise Error(f"the tokenizer {name!r} reads text. Set data.tokenizer=bytes, or leave out data.binary.")
        self.name = name
        self.binary = binary
        self.notes = tuple(notes)
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
        self._table, self._sign = token_bytes(self._backend, self.vocab_size) or (None, [])
        self._is_ours = name in ("bytes", "bpe")

    @property
    def vocabulary(self) -> Vocabulary:
        """What processes and samplers know of it; which tokens begin with a space is left out."""
        table = None if self._table is None or self.binary else tuple(self._table)
        return Vocabulary(self.pad_id, self.bos_id, self.eos_id, self.mask_id, self.vocab_size, table=table)

    @property
    def specials(self) -> dict[str, int]:
        """The special tokens by their names, which in a text are text."""
        return {token.content: i for i, token in self._backend.get_added_tokens_decoder().items() if token.special}

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
            found = [np.asarray(each.ids, np.int32) for each in self._encoded(texts)]
        except (UnicodeEncodeError, TypeError):
            for text in texts:
                _utf8(text)
            raise
        if self._sign:
            found = [ids if SPACE not in text else self._signed(text) for text, ids in zip(texts, found, strict=True)]
        if self._table is not None and not self._is_ours:
            for text, ids in zip(texts, found, strict=True):
                self._refuse_changed(text, ids)
        return found

    def _encoded(self, texts: Sequence[str]) -> list[Any]:
        return self._backend.encode_batch_fast(list(texts), add_special_tokens=False)

    def _signed(self, text: str) -> NDArray[np.int32]:
        """Return the ids of a text that holds the sign which tokens have for a space: it is spelt in bytes."""
        ids: list[int] = []
        for number, part in enumerate(self._encoded(text.split(SPACE))):
            ids += [*(self._sign if number else ()), *part.ids]
        return np.asarray(ids, np.int32)

    def _refuse_changed(self, text: str, ids: NDArray[np.int32]) -> None:
        back, wanted = self.decode_bytes(ids), _utf8(text)
        if back != wanted:
            same = next((i for i, pair in enumerate(zip(back, wanted, strict=False)) if pair[0] != pair[1]), len(back))
            was, came = (one[max(0, same - 20) : same + 40].decode("utf-8", "replace") for one in (wanted, back))
            raise Error(f"tokenizer {self.name!r} changes text: {was!r} came back as {came!r}. Use bpe, or another.")

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
        if self.chat_template is not None:
            (folder / TEMPLATE).write_text(self.chat_template, "utf-8")


def make_tokenizer(
    spec: str, texts: Iterable[str], vocab_size: int, binary: bool = False, balance: bool = False
) -> Tokenizer:
    """Make the tokenizer that a recipe names.

    Args:
        spec: "bytes", "bpe" (trained on ``texts``), "hf:owner/name", or a local folder: a run, or one with a
            ``tokenizer.json``.
        texts: Texts of the train split; read only for "bpe".
        vocab_size: Wanted vocabulary for "bpe", specials included; fewer when the text has no more merges.
        binary: The texts are bytes of any kind; only "bytes" reads them.
        balance: "bpe" counts the words of each script as often as those of every other.

    Raises:
        Error: unknown spec, vocabulary too small, a tokenizer that changes text, or one to be balanced that is not
            trained here.
    """
    if balance and spec != "bpe":
        raise Error(f"data.balance is for a tokenizer that is trained, and data.tokenizer is {spec!r}. Leave one out.")
    if binary and spec != "bytes":
        raise Error(f"data.binary models bytes, and the tokenizer is {spec!r}. Set data.tokenizer=bytes.")
    if spec == "bytes":
        return _byte_tokenizer(binary)
    if spec == "bpe":
        return _train_bpe(texts, vocab_size, balance)
    if spec.startswith("hf:"):
        from unmask.data.hub import hub_tokenizer_folder

        return adopted(hub_tokenizer_folder(spec), spec)
    if Path(spec).is_dir():
        folder = Path(spec) / "tokenizer" if (Path(spec) / "tokenizer" / _STATE_FILE).is_file() else Path(spec)
        return load_tokenizer(folder) if (folder / _STATE_FILE).is_file() else adopted(folder, spec)
    raise Error(
        f"unknown tokenizer {spec!r}.{nearest(spec, ('bytes', 'bpe'))} "
        "Use bytes, bpe, hf:owner/name, a run, or a folder that holds a tokenizer.json."
    )


def adopted(folder: Path, name: str, named: Mapping[str, str | None] | None = None) -> Tokenizer:
    """Return the tokenizer of strangers in a folder; see :func:`unmask.data.adopt.adopt`.

    Raises:
        Error: there is none, or one that changes a text.
    """
    backend, ids, notes = adopt(folder, name, named)
    tokenizer = Tokenizer(name, backend.to_str(), ids, notes=notes)
    tokenizer.encode_batch(PROBES)  # it refuses to change a text
    return tokenizer


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
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(folder, error) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        found = state.get("format") if isinstance(state, dict) else None
        raise Error(f"the tokenizer in {folder} has format {found}, this unmask reads {FORMAT}. Upgrade unmask.")
    try:
        special_ids = [state["special_ids"][role] for role in ROLES]
        tokenizer = Tokenizer(state["name"], backend_json, special_ids, bool(state.get("binary", False)))
        if (folder / TEMPLATE).is_file():
            tokenizer.chat_template = (folder / TEMPLATE).read_text("utf-8")
    except Exception as error:  # the backend raises bare Exception for a file that it cannot parse
        raise _damaged(folder, error) from error
    if tokenizer.fingerprint != state.get("fingerprint"):
        raise _damaged(folder, "tokenizer.json was changed after it was saved")
    return tokenizer


def _damaged(folder: Path, reason: object) -> Error:
    return Error(f"the tokenizer in {folder} is damaged ({reason}). Copy it again from the run that made it.")


def _byte_tokenizer(binary: bool = False) -> Tokenizer:
    vocabulary = {token: i for i, token in enumerate((*SPECIALS, *CHARACTERS))}
    backend = Backend(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([special(name) for name in SPECIALS])
    return Tokenizer("bytes", backend.to_str(), range(len(SPECIALS)), binary)


def _train_bpe(texts: Iterable[str], vocab_size: int, balance: bool = False) -> Tokenizer:
    smallest = len(SPECIALS) + 256
    if vocab_size < smallest:
        raise Error(
            f"vocab_size {vocab_size} is too small for bpe: it holds {len(SPECIALS)} special tokens and 256 bytes. "
            f"Use at least {smallest}, or the tokenizer 'bytes'."
        )
    backend = Backend(models.BPE())
    words = pre_tokenizers.Split(Regex(_WORDS), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            words,
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[special(name) for name in SPECIALS],
        initial_alphabet=sorted(CHARACTERS),
        show_progress=False,
    )
    if balance:
        texts = balanced(texts, lambda text: [word for word, _ in words.pre_tokenize_str(text)])
    backend.train_from_iterator(texts, trainer)
    return Tokenizer("bpe", backend.to_str(), range(len(SPECIALS)))


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Error(
            f"the text holds a lone surrogate (U+{ord(text[error.start]):04X} at character {error.start}), "
            "which is not Unicode text. Remove it, or read the file as UTF-8."
        ) from error
