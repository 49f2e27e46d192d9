"""The entropy of a causal byte network before each byte: what Babylon patches cut by in place of an n-gram's.

    H_t = -sum_x p(x | b_s..b_{t-1}) ln p(x | b_s..b_{t-1})      over bytes and end-of-text, renormalised to these

The small network of Pagnoni et al. 2024 (arXiv 2412.09871), here any network of ours with a context of C tokens. It
sees BOS and at most N = C - 2 bytes: s is 0 (or where the text was forgotten) while t - s <= N; after that s advances
by N / 2 at a time, so that a stream reads half a window again now and then, and a whole text is few windows. s is a
function of t alone. A piece of a text begins with BOS in training too, so BOS does not say that the text begins.

Numbers are in double precision: batches of other shapes, and a cache, then give the same H to about 1e-12, and no cut
depends on how it was computed.

Letters: n bytes of a text, B windows, T positions, V vocabulary.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, Int64
from safetensors.torch import save_model
from torch import Tensor

from unmask.data.json_file import read_object
from unmask.data.patches import Patcher
from unmask.data.patches.babylon import Babylon
from unmask.data.patches.store import load_patcher, save_patcher
from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.models.backbones import backbone_of
from unmask.models.bytes_options import BYTES, SPECIALS
from unmask.models.config_file import AGAIN
from unmask.models.network import Denoiser
from unmask.models.stored import load_network

CONFIG, WEIGHTS = "entropy.json", "entropy.safetensors"
_BOS, _EOS = 1, 2
_POSITIONS = 1 << 14  # of one network call
Measure = Callable[[Float[Tensor, "n V"], Int[Tensor, " n"]], Float[Tensor, " n"]]
"""Of logits and the bytes that came."""


class NetworkEntropy:
    """The entropies of a causal byte network (a :class:`~unmask.data.entropy.ByteEntropy`).

    Args:
        model: A network of ours over the tokens of ``bytes``, trained left to right; a copy of it is used.

    Attributes:
        unit: The next byte.
        fingerprint: 12 hex digits over configuration and weights.

    Raises:
        Error: a network that is none of these, or whose context is too short.
    """

    unit: Literal["byte", "character"] = "byte"

    def __init__(self, model: Denoiser) -> None:
        config: Any = model.config
        if config.vocab_size != SPECIALS + BYTES:
            raise Error(f"byte entropies need a network of {SPECIALS + BYTES} tokens, not {config.vocab_size}.")
        if "causal" not in config.visibilities or config.output_shift != 1 or config.thought or config.memory_width:
            raise Error("byte entropies need a network that reads left to right, without thoughts or memory.")
        if config.max_position_embeddings < 4:
            raise Error(f"a context of {config.max_position_embeddings} tokens is too short for entropies; 4 do.")
        self._model: Any = copy.deepcopy(model).double().eval().requires_grad_(False)
        self._context = int(config.max_position_embeddings)
        self.longest = self._context - 2
        self._hop = max(1, self.longest // 2)
        self._ids = torch.tensor([_EOS, *range(SPECIALS, SPECIALS + BYTES)], device=model.device)
        self.fingerprint = _digest(self._model)

    def begins(self, place: Any, origin: Any) -> Any:
        """Return s for byte ``place`` of a text that is known from ``origin`` on (numbers or arrays)."""
        beyond = np.maximum(place - origin - self.longest, 0)
        return origin + -(-beyond // self._hop) * self._hop

    def entropy(self, data: bytes, since: Int64[np.ndarray, " n"] | None = None) -> Float64[np.ndarray, " n"]:
        """Return the entropy before each byte, in nats; see :class:`~unmask.data.entropy.ByteEntropy`."""
        return self._over(data, since, lambda logits, _: self.of(logits))

    def nats(self, data: bytes) -> Float64[np.ndarray, " n"]:
        """Return -ln P of each byte, given what its entropy is computed from."""
        return self._over(data, None, self._surprise)

    def _surprise(self, logits: Float[Tensor, "n V"], bytes_: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        return -logits[:, self._ids].log_softmax(-1).gather(1, bytes_[:, None] + 1)[:, 0]

    def _over(self, data: bytes, since: Int64[np.ndarray, " n"] | None, measure: Measure) -> Float64[np.ndarray, " n"]:
        """Return a measure of the prediction of each byte."""
        places = np.arange(len(data))
        begins = self.begins(places, np.zeros_like(places) if since is None else since)
        borders = [0, *(np.flatnonzero(np.diff(begins)) + 1).tolist(), len(data)]
        windows = [(int(begins[a]), a, b) for a, b in zip(borders, borders[1:], strict=False) if a < b]
        windows.sort(key=lambda window: window[0] - window[2])  # the longest first
        out = np.empty(len(data))
        while windows:
            rows = max(1, _POSITIONS // (1 + windows[0][2] - windows[0][0]))
            self._fill(out, data, windows[:rows], measure)
            windows = windows[rows:]
        return out

    def _fill(
        self, out: Float64[np.ndarray, " n"], data: bytes, windows: list[tuple[int, int, int]], measure: Measure
    ) -> None:
        """Write the measure of bytes a .. b - 1, seen from s on, for each window (s, a, b); the longest is first."""
        width = 1 + windows[0][2] - windows[0][0]
        tokens = np.zeros((len(windows), width), np.int64)
        asked = np.zeros((len(windows), width), bool)
        valid = np.zeros((len(windows), width), bool)
        tokens[:, 0] = _BOS
        for row, (start, a, b) in enumerate(windows):
            tokens[row, 1 : 1 + b - start] = np.frombuffer(data, np.uint8)[start:b].astype(np.int64) + SPECIALS
            asked[row, 1 + a - start : 1 + b - start] = valid[row, : 1 + b - start] = True
        device = self._ids.device
        state = State(*(torch.from_numpy(tokens).to(device), "causal"), valid=torch.from_numpy(valid).to(device))
        with torch.no_grad():
            logits = self._model(state, at=torch.from_numpy(asked).to(device)).logits
            found = measure(logits, torch.from_numpy(tokens[asked] - SPECIALS).to(device))
        values, first = found.cpu().numpy(), 0
        for _, a, b in windows:
            out[a:b] = values[first : first + b - a]
            first += b - a

    def of(self, logits: Float[Tensor, "n V"]) -> Float[Tensor, " n"]:
        """Return the entropy of each row's bytes and end-of-text."""
        each: Tensor = torch.special.entr(logits[:, self._ids].softmax(-1))
        return each.sum(-1)

    def read(self, ids: list[int], cache: Any) -> tuple[float, Any]:
        """Return H after some more tokens of a text, and the cache after them; ``None`` begins a window."""
        cache = self._model.new_cache(1, self._context) if cache is None else cache
        with torch.no_grad():
            found = self._model(State(torch.tensor([ids], device=self._ids.device), "causal"), cache=cache)
        return float(self.of(found.logits)[0]), found.cache

    def stream(self) -> NetworkStream:
        """Return a stream at the beginning of a text."""
        return NetworkStream(self)

    def save(self, folder: Path) -> None:
        """Write configuration and weights, in single precision as they were."""
        told = {key: value for key, value in self._model.config.to_dict().items() if key != "_name_or_path"}
        (folder / CONFIG).write_text(json.dumps(told, indent=2) + "\n", "utf-8")
        part = folder / f".{WEIGHTS}.part"
        save_model(copy.deepcopy(self._model).float(), str(part))
        part.replace(folder / WEIGHTS)


class NetworkStream:
    """The entropies of a text that comes byte by byte (an :class:`~unmask.data.entropy.EntropyStream`)."""

    def __init__(self, source: NetworkEntropy) -> None:
        self._source = source
        self._last = b""
        self._read = self._origin = 0
        self._restart(0)

    def _restart(self, begin: int) -> None:
        self._begin, self._cache, self._value = begin, None, 0.0
        self._fresh = [_BOS, *(byte + SPECIALS for byte in self._last[len(self._last) - (self._read - begin) :])]

    @property
    def value(self) -> float:
        """H of the byte to come, in nats."""
        if self._fresh:
            self._value, self._cache = self._source.read(self._fresh, self._cache)
            self._fresh = []
        return self._value

    def push(self, byte: int) -> None:
        """Read one byte."""
        self._last = (self._last + bytes([byte]))[-self._source.longest :]
        self._read += 1
        begin = int(self._source.begins(self._read, self._origin))
        if begin == self._begin:
            self._fresh.append(byte + SPECIALS)
        else:
            self._restart(begin)

    def forget(self, keep: int) -> None:
        """From here on, see only the last ``keep`` bytes that were read; no change where these are the whole text."""
        if keep < self._read - self._origin:
            self._origin = self._read - keep
            self._restart(int(self._source.begins(self._read, self._origin)))


def load_entropy(folder: Path) -> NetworkEntropy:
    """Read what :meth:`NetworkEntropy.save` wrote.

    Raises:
        Error: a file is missing or damaged.
    """
    try:
        kind = read_object(folder / CONFIG, AGAIN).get("model_type")
        backbone = backbone_of(kind)
        if backbone is None:
            raise Error(f"{CONFIG} is of {kind!r}, which is no network of ours; {AGAIN}.")
        model = load_network(backbone.model, folder / CONFIG, folder / WEIGHTS)
    except Error as error:
        raise Error(f"the entropy model in {folder} is damaged: {error}") from error
    return NetworkEntropy(model.to("cuda" if torch.cuda.is_available() else "cpu"))


def save_cutter(patcher: Patcher, folder: Path) -> None:
    """Write a fitted patcher, and the network that it asks, so that the folder needs nothing outside it."""
    save_patcher(patcher, folder)
    if isinstance(patcher, Babylon) and isinstance(patcher.entropy, NetworkEntropy):
        patcher.entropy.save(folder)


def load_cutter(folder: Path) -> Any:
    """Read a fitted patcher that :func:`save_cutter` wrote."""
    return load_patcher(folder, load_entropy(folder) if (folder / CONFIG).is_file() else None)


def _digest(model: Denoiser) -> str:
    content = hashlib.sha256(f"{model.config.model_type} {model.config.max_position_embeddings}".encode())
    for name, tensor in sorted(model.state_dict().items()):
        content.update(f"{name} {tuple(tensor.shape)}".encode())
        content.update(tensor.float().cpu().numpy().tobytes())
    return content.hexdigest()[:12]
