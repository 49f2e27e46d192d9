"""Token blocks: documents packed into rows of one length, memory-mapped.

Every document is encoded and ended with EOS, and its tokens are cut into pieces that fill the blocks one after the
other. A piece is BOS and then tokens; pieces are numbered 1, 2, ... inside their block. One position left over is
padding (segment 0), since it could hold no token behind its BOS. Of bytes, up to four are, so that no piece begins
inside a character. Document borders are thus known to the model, and a document that goes on in the next block begins
there with BOS again. B rows, T tokens a block.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from unmask.data import utf8
from unmask.data.cache import built, cache_folder
from unmask.data.corpus import documents
from unmask.data.tokenizers import Tokenizer
from unmask.errors import Error

if TYPE_CHECKING:
    from datasets import Dataset

FORMAT = 2
_ROWS = 1024  # blocks in one Arrow record batch
_TEXTS = 256  # documents encoded at once ...
_CHARACTERS = 1 << 20  # ... or this much text


class Blocks:
    """Packed token blocks on disk.

    Attributes:
        length: Positions in a block, T.
        tokens: Predictable tokens in all: every token of every document, and one EOS a document.
        bytes: Bytes of the documents; of text, those of UTF-8.
        documents: Number of documents.
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
        with pa.memory_map(str(folder / "blocks.arrow")) as file:
            batches = list(pa.ipc.open_stream(file))
        self._tokens = [self._matrix(batch.column(0)) for batch in batches]
        self._segments = [self._matrix(batch.column(1)) for batch in batches]

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
        tokens = np.empty((len(indices), self.length), np.int64)
        segments = np.empty((len(indices), self.length), np.int64)
        for row, index in enumerate(indices):
            if not 0 <= index < self._count:
                raise IndexError(f"block {index} of {self._count}")
            batch, place = divmod(int(index), _ROWS)
            tokens[row] = self._tokens[batch][place]
            segments[row] = self._segments[batch][place]
        return torch.from_numpy(tokens), torch.from_numpy(segments)


def pack(split: Dataset, tokenizer: Tokenizer, length: int) -> Blocks:
    """Encode and pack a split, or open the blocks made before.

    Args:
        split: Documents in the column "text", from :meth:`unmask.data.corpus.Corpus.split`.
        tokenizer: Any tokenizer.
        length: Positions in a block, T, at least 2.

    Raises:
        Error: the length is below 2, or the split does not fill one block.
    """
    if length < 2:
        raise Error(f"a block length of {length} leaves no room for BOS and a token. Use at least 2.")
    identity = [FORMAT, split._fingerprint, tokenizer.fingerprint, length]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    folder = cache_folder() / "blocks" / key[:24]
    return Blocks(built(folder, lambda aside: _build(aside, split, tokenizer, length, key[:12])))


def _build(folder: Path, split: Dataset, tokenizer: Tokenizer, length: int, fingerprint: str) -> None:
    import pyarrow as pa

    token_type = np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.int32
    segment_type = np.uint16 if length <= 1 << 16 else np.int32
    types = [pa.list_(pa.from_numpy_dtype(kind), length) for kind in (token_type, segment_type)]
    schema = pa.schema(list(zip(("tokens", "segments"), types, strict=True)))
    counts = {"documents": 0, "tokens": 0, "bytes": 0}
    blocks = 0
    # _Packer hands out full pages of blocks; only the last page may be smaller, so that rows() can find a block
    packer = _Packer(length, tokenizer, token_type, segment_type)
    with pa.OSFile(str(folder / "blocks.arrow"), "wb") as file, pa.ipc.new_stream(file, schema) as stream:

        def write(page: tuple[NDArray[Any], NDArray[Any]]) -> None:
            columns = [
                pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), type=kind)
                for part, kind in zip(page, types, strict=True)
            ]
            stream.write_batch(pa.record_batch(columns, schema=schema))

        for texts in _batches(documents(split)):
            for text, ids in zip(texts, tokenizer.arrays(texts), strict=True):
                counts["documents"] += 1
                counts["tokens"] += len(ids) + 1
                counts["bytes"] += len(tokenizer.raw(text))
                for page in packer.add(ids):
                    write(page)
                    blocks += len(page[0])
        if not blocks and not packer.has_full_block():
            raise Error(
                f"the corpus is shorter than one block: its {split.split} split has {counts['tokens']} tokens in "
                f"{counts['documents']} documents, a block holds {length}. Give more text, or a smaller data.length."
            )
        page = packer.rest()
        write(page)
        blocks += len(page[0])
    stored = {"format": FORMAT, "fingerprint": fingerprint, "length": length, "blocks": blocks, **counts}
    (folder / "blocks.json").write_text(json.dumps(stored, indent=2) + "\n", "utf-8")


class _Packer:
    """Fills pages of ``_ROWS`` blocks with document pieces."""

    def __init__(self, length: int, tokenizer: Tokenizer, token_type: type, segment_type: type) -> None:
        self._length = length
        self._ids = (tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id)
        self._types = (token_type, segment_type)
        self._inner = tokenizer.inner
        self._new_page()

    def _new_page(self) -> None:
        self._tokens: NDArray[Any] = np.full((_ROWS, self._length), self._ids[0], self._types[0])
        self._segments: NDArray[Any] = np.zeros((_ROWS, self._length), self._types[1])
        self._row = self._column = self._segment = 0

    def add(self, ids: NDArray[np.int32]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Pack one document; yield each page that became full."""
        _, bos, eos = self._ids
        document = np.append(ids, np.int32(eos))
        start = 0
        while start < len(document):
            room = self._length - self._column - 1
            count = self._whole(document[start : start + room + 1], room)
            if not count and self._column:
                yield from self._next_row()
                continue
            taken = document[start : start + (count or room)]
            end = self._column + 1 + len(taken)
            self._segment += 1
            self._tokens[self._row, self._column] = bos
            self._tokens[self._row, self._column + 1 : end] = taken
            self._segments[self._row, self._column : end] = self._segment
            start += len(taken)
            self._column = end
            if self._length - end < 2 or start < len(document):
                yield from self._next_row()

    def _next_row(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        self._row, self._column, self._segment = self._row + 1, 0, 0
        if self._row == _ROWS:
            yield self._tokens, self._segments
            self._new_page()

    def _whole(self, ahead: NDArray[np.int32], room: int) -> int:
        """Return how many of the tokens ahead are taken, so that the next piece begins where a character may.

        0: the character that comes does not fit.
        """
        if self._inner is None or len(ahead) <= room:
            return room
        for back in range(utf8.LONGEST):
            if back == room or not self._inner[ahead[room - back]]:
                return room - back
        return room  # this is not UTF-8

    def has_full_block(self) -> bool:
        return self._row > 0

    def rest(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return what the last page holds; its last block may end in padding."""
        rows = self._row + (self._column > 0)
        return self._tokens[:rows], self._segments[:rows]


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
