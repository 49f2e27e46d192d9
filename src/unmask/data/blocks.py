"""Token blocks: documents packed into rows of one length, memory-mapped.

Every document is encoded and ended with EOS, and its tokens are cut into pieces that fill the blocks one after the
other. A piece is BOS and then tokens; pieces are numbered 1, 2, ... inside their block. One position left over is
padding (segment 0), since it could hold no token behind its BOS. Of bytes, up to four are, so that no piece begins
inside a character. Document borders are thus known to the model, and a document that goes on in the next block begins
there with BOS again. Talks are never cut: one that fits no block is left out, and of each the responses are
marked (:mod:`unmask.data.talks`). B rows, T tokens a block.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from numpy.typing import NDArray
from torch import Tensor

from unmask.data import packing
from unmask.data.cache import built, cache_folder
from unmask.data.corpus import documents
from unmask.data.packing import Packer, Page
from unmask.data.talks import talk_ids
from unmask.data.tokenizers import Tokenizer
from unmask.errors import Error
from unmask.progress_line import shown

if TYPE_CHECKING:
    from datasets import Dataset

FORMAT = 2
_TEXTS = 256  # documents encoded at once ...
_CHARACTERS = 1 << 20  # ... or this much text


class Blocks:
    """Packed token blocks on disk.

    Attributes:
        length: Positions in a block, T.
        tokens: Predictable tokens in all: every token of every document, and one EOS a document.
        bytes: Bytes of the documents; of text, those of UTF-8.
        documents: Number of documents.
        learned: Share of the places of the blocks that are learned: 1 but for talks.
        notes: What to know of how they were made.
        fingerprint: 12 hex digits over the split, the tokenizer and the length.
    """

    def __init__(self, folder: Path) -> None:
        import pyarrow as pa

        stored = json.loads((folder / "blocks.json").read_text("utf-8"))
        self.length: int = stored["length"]
        self.tokens: int = stored["tokens"]
        self.bytes: int = stored["bytes"]
        self.documents: int = stored["documents"]
        self.fingerprint: str = stored["fingerprint"]
        self._count: int = stored["blocks"]
        self.learned = 1.0
        if "learned" in stored:
            self.learned = stored["learned"] / (self._count * (self.length - 1))
        self.notes: tuple[str, ...] = tuple(stored.get("notes", ()))
        with pa.memory_map(str(folder / "blocks.arrow")) as file:
            batches = list(pa.ipc.open_stream(file))
        self._tokens = [self._matrix(batch.column(0)) for batch in batches]
        self._segments = [self._matrix(batch.column(1)) for batch in batches]
        self._learned = [self._matrix(batch.column(2)) for batch in batches] if "learned" in stored else None

    def _matrix(self, column: Any) -> NDArray[Any]:
        values: NDArray[Any] = column.flatten().to_numpy(zero_copy_only=True)
        return values.reshape(-1, self.length)

    def __len__(self) -> int:
        return self._count

    def rows(self, indices: Sequence[int]) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
        """Return (tokens, segments) of some blocks, int64.

        Raises:
            IndexError: an index is not in 0 .. len(self) - 1.
        """
        return self._taken(self._tokens, indices), self._taken(self._segments, indices)

    def supervised(self, indices: Sequence[int]) -> Bool[Tensor, "B T"] | None:
        """Return which tokens of some blocks are learned; ``None``: all that can be."""
        return None if self._learned is None else self._taken(self._learned, indices).bool()

    def _taken(self, pages: list[NDArray[Any]], indices: Sequence[int]) -> Int[Tensor, "B T"]:
        found = np.empty((len(indices), self.length), np.int64)
        for row, index in enumerate(indices):
            if not 0 <= index < self._count:
                raise IndexError(f"block {index} of {self._count}")
            page, place = divmod(int(index), packing.ROWS)
            found[row] = pages[page][place]
        return torch.from_numpy(found)


def pack(split: Dataset, tokenizer: Tokenizer, length: int, chat: bool = False) -> Blocks:
    """Encode and pack a split, or open the blocks made before.

    Args:
        split: Documents in the column "text", from :meth:`unmask.data.corpus.Corpus.split`.
        tokenizer: Any tokenizer.
        length: Positions in a block, T, at least 2.
        chat: The documents are talks, which the tokenizer's chat template writes.

    Raises:
        Error: the length is below 2, the split does not fill one block, or no talk fits one.
    """
    if length < 2:
        raise Error(f"a block length of {length} leaves no room for BOS and a token. Use at least 2.")
    identity = [FORMAT, split._fingerprint, tokenizer.fingerprint, length]
    identity += [["chat", tokenizer.chat_template]] if chat else []
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    folder = cache_folder() / "blocks" / key[:24]
    return Blocks(built(folder, lambda aside: _build(aside, split, tokenizer, length, key[:12], chat)))


def _build(folder: Path, split: Dataset, tokenizer: Tokenizer, length: int, fingerprint: str, chat: bool) -> None:
    import pyarrow as pa

    token_type = np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.int32
    segment_type = np.uint16 if length <= 1 << 16 else np.int32
    kinds = {"tokens": token_type, "segments": segment_type} | ({"learned": np.uint8} if chat else {})
    types = [pa.list_(pa.from_numpy_dtype(kind), length) for kind in kinds.values()]
    schema = pa.schema(list(zip(kinds, types, strict=True)))
    counts = {"documents": 0, "tokens": 0, "bytes": 0} | ({"learned": 0} if chat else {})
    blocks = left_out = 0
    # the packer hands out full pages of blocks; only the last page may be smaller, so that rows() can find a block
    packer = Packer(length, tokenizer, *kinds.values())
    with pa.OSFile(str(folder / "blocks.arrow"), "wb") as file, pa.ipc.new_stream(file, schema) as stream:

        def write(page: Page) -> None:
            columns = [
                pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), type=kind)
                for part, kind in zip(page, types, strict=True)
            ]
            stream.write_batch(pa.record_batch(columns, schema=schema))

        encoded = (_talks if chat else _texts)(split, tokenizer)
        name, total = f"the {split.split} split", len(split)
        for ids, size, learned in shown(encoded, "cutting into blocks", unit="documents", what=name, total=total):
            if learned is not None:
                if len(ids) + 2 > length:  # with BOS and EOS
                    left_out += 1
                    continue
                counts["learned"] += int(learned.sum()) + 1
            counts["documents"] += 1
            counts["tokens"] += len(ids) + 1
            counts["bytes"] += size
            for page in packer.add(ids, learned):
                write(page)
                blocks += len(page[0])
        if chat and not counts["documents"]:
            raise Error(
                f"no talk of the {split.split} split fits a block of {length} tokens ({left_out} are longer); raise "
                "data.length."
            )
        if not chat and not blocks and not packer.has_full_row():
            raise Error(
                f"the corpus is shorter than one block: its {split.split} split has {counts['tokens']} tokens in "
                f"{counts['documents']} documents, a block holds {length}. Give more text, or a smaller data.length."
            )
        page = packer.rest()
        write(page)
        blocks += len(page[0])
    notes = {}
    if left_out:
        said = f"{left_out} of {left_out + counts['documents']} talks of the {split.split} split do not fit a block of"
        notes["notes"] = [f"{said} {length} tokens and are left out; a larger data.length keeps them"]
    stored = {"format": FORMAT, "fingerprint": fingerprint, "length": length, "blocks": blocks, **counts, **notes}
    (folder / "blocks.json").write_text(json.dumps(stored, indent=2) + "\n", "utf-8")


Encoded = Iterator[tuple[NDArray[np.int32], int, NDArray[np.bool_] | None]]
"""Tokens of a document, its bytes, and which tokens are learned; ``None``: all."""


def _texts(split: Dataset, tokenizer: Tokenizer) -> Encoded:
    for texts in _batches(documents(split)):
        for text, ids in zip(texts, tokenizer.arrays(texts), strict=True):
            yield ids, len(tokenizer.raw(text)), None


def _talks(split: Dataset, tokenizer: Tokenizer) -> Encoded:
    for talk in documents(split):
        ids, learned = talk_ids(tokenizer, talk)
        yield np.asarray(ids, np.int32), len(tokenizer.decode_bytes(ids)), np.asarray(learned, np.bool_)


def _batches(texts: Iterator[str]) -> Iterator[list[str]]:
    held: list[str] = []
    size = 0
    for text in texts:
        held.append(text)
        size += len(text)
        if len(held) >= _TEXTS or size >= _CHARACTERS:
            yield held
            held, size = [], 0
    if held:
        yield held
