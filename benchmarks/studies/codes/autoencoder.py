"""An autoencoder with a deterministic decoder: the control beside which a diffusion decoder has to show what it adds.

    x = (vector - mean) V / scale          principal axes; mean variance 1
    q = round(encoder(x))                  a few levels, straight through
    loss = |decoder(q) - x|^2 / D

Encoder and decoder are a linear map plus a network of one hidden layer. The decoder learns E[x | q].

Letters: N vectors, D dimensions, A latents, W width, m bytes of a code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from benchmarks.studies.codes.codec import check
from benchmarks.studies.codes.principal import principal_axes
from benchmarks.studies.codes.quantise import latents, pack, straight_through, unpack


@dataclass(frozen=True)
class Frame:
    """The coordinates in which networks see vectors.

    Attributes:
        mean: Of the vectors that were learned from.
        axes: Their principal axes, as columns.
        scale: Their deviation, on average over the axes.
    """

    mean: Float[Tensor, " D"]
    axes: Float[Tensor, "D D"]
    scale: float

    def enter(self, vectors: Float32[np.ndarray, "N D"]) -> Float[Tensor, "N D"]:
        """Return the coordinates of vectors."""
        return (torch.from_numpy(np.ascontiguousarray(vectors, np.float32)) - self.mean) @ self.axes / self.scale

    def leave(self, x: Float[Tensor, "N D"]) -> Float32[np.ndarray, "N D"]:
        """Return the vectors of coordinates."""
        found: Float32[np.ndarray, "N D"] = (self.mean + self.scale * x @ self.axes.T).numpy()
        return found

    @property
    def nbytes(self) -> int:
        """Of mean and axes."""
        return 4 * (self.mean.numel() + self.axes.numel())


def frame(vectors: Float32[np.ndarray, "N D"]) -> Frame:
    """Return the coordinates that vectors suggest.

    Raises:
        Error: no two finite vectors.
    """
    x = check(vectors, 2, "a frame")
    mean = x.mean(0)
    scale = float(np.square(x - mean).mean() ** 0.5)
    return Frame(torch.from_numpy(mean), torch.from_numpy(principal_axes(x - mean)), max(scale, 1e-12))


class LinearAndHidden(nn.Module):
    """A linear map plus a network of one hidden layer.

    Args:
        inputs: Numbers in.
        outputs: Numbers out.
        width: W.
    """

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.hidden = nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, outputs))

    def forward(self, x: Float[Tensor, "N I"]) -> Float[Tensor, "N O"]:
        """Return the sum of both."""
        found: Tensor = self.linear(x) + self.hidden(x)
        return found


@dataclass(frozen=True)
class AutoencoderCodec:
    """A fitted autoencoder.

    Attributes:
        frame: Coordinates.
        encoder: x -> latents before rounding.
        decoder: q -> x.
        bits: Of a latent.
        bytes: Of a code.
    """

    frame: Frame
    encoder: nn.Module
    decoder: nn.Module
    bits: int
    bytes: int
    name: str = "autoencoder"

    @property
    def shared_bytes(self) -> int:
        """Frame and networks, as float32."""
        return self.frame.nbytes + parameter_bytes(self.encoder) + parameter_bytes(self.decoder)

    @torch.no_grad()
    def encode(self, vectors: Float32[np.ndarray, "N D"]) -> UInt8[np.ndarray, "N m"]:
        """Return the codes."""
        return pack(self.encoder(self.frame.enter(vectors)), self.bits)

    @torch.no_grad()
    def decode(self, codes: UInt8[np.ndarray, "N m"]) -> Float32[np.ndarray, "N D"]:
        """Return the vectors."""
        return self.frame.leave(self.decoder(unpack(codes, self.bits)))


def fit_autoencoder(
    vectors: Float32[np.ndarray, "N D"],
    bytes: int,
    *,
    bits: int = 1,
    width: int = 256,
    steps: int = 1000,
    batch: int = 256,
    rate: float = 2e-3,
    seed: int = 0,
) -> AutoencoderCodec:
    """Fit an autoencoder.

    Args:
        vectors: To learn from.
        bytes: m.
        bits: Of a latent: 1, 2, 4 or 8.
        width: W.
        steps: Of Adam.
        batch: Vectors a step.
        rate: Of Adam.
        seed: Of the initial weights and the order.

    Raises:
        Error: bits that do not pack, or too few vectors.
    """
    held, count = frame(vectors), latents(bytes, bits)
    width_in = vectors.shape[1]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder, decoder = LinearAndHidden(width_in, count, width), LinearAndHidden(count, width_in, width)

    def loss(x: Float[Tensor, "B D"], _: int) -> Float[Tensor, ""]:
        q = straight_through(encoder(x), bits)
        found: Tensor = (decoder(q) - x).square().mean()
        return found

    parts = nn.ModuleList([encoder, decoder])
    learn(parts, held.enter(vectors), loss, steps=steps, batch=batch, rate=rate, seed=seed)
    return AutoencoderCodec(held, encoder, decoder, bits, bytes)


def learn(
    parts: nn.Module,
    x: Float[Tensor, "N D"],
    loss: Callable[[Float[Tensor, "B D"], int], Float[Tensor, ""]],
    *,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
) -> None:
    """Minimise a loss of (rows, step) with Adam, its rate falling to 0 on a cosine."""
    generator = torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(parts.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for step in range(steps):
        value = loss(x[torch.randint(len(x), (batch,), generator=generator)], step)
        adam.zero_grad()
        value.backward()
        adam.step()
        schedule.step()
    parts.requires_grad_(False).eval()


def parameter_bytes(part: nn.Module) -> int:
    """Return the bytes of a module's parameters and buffers, as float32."""
    return 4 * sum(int(held.numel()) for held in part.state_dict().values())
