"""A diffusion autoencoder for codes: the decoder is a score of noised vectors given the code, and Langevin runs it.

    q = round(encoder(x))                                      as in the autoencoder
    D(x', s, q) = m(q) + c (x' - m(q)) + s sqrt(c) F(x' - m(q), s, q),    c_j = r_j^2 / (r_j^2 + s^2)
    score(x', s, q) = (D - x') / s^2
    loss = | s score(x + s eps, s, q) + eps |^2 / D            at every level s; encoder, m, r and F learn from it

With F = 0, D is exact where x given q is Gaussian with mean m and deviations r; encoder, m and r begin as a fitted
autoencoder's. Decoding starts from noise and follows the score down the levels (annealed Langevin): a *draw* of x
given q. Two other ways need no chain: the mean of several
draws, and one denoising from the highest level, where noise hides x: E[x | q], what a deterministic decoder learns.

What to expect: with e the error of the mean, a draw has error 2 e (its own spread comes on top) and the mean of n draws
(1 + 1 / n) e. A draw cannot beat the mean in error; what it has is the spread of true vectors (the trade of Blau &
Michaeli 2018, arXiv 1711.06077). Diffusion autoencoders: Preechakul et al. 2022, arXiv 2111.15640.

Letters: N vectors, D dimensions, A latents, L levels, m bytes of a code.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from benchmarks.studies.codes.autoencoder import AutoencoderCodec, Frame, learn, parameter_bytes
from benchmarks.studies.codes.codec import check
from benchmarks.studies.codes.quantise import pack, straight_through, unpack
from benchmarks.studies.energies.annealed import annealed_langevin, denoised
from benchmarks.studies.energies.forward import noise_levels
from benchmarks.studies.energies.score_matching import denoising_loss
from unmask.diffusion.noise import Noise
from unmask.errors import Error

Way = Literal["draw", "mean"]


class ConditionalDenoiser(nn.Module):
    """The score above.

    Args:
        mean: m.
        r: Deviations of x - m(q).
        count: A.
        width: Of the hidden layers.
    """

    def __init__(self, mean: nn.Module, r: Float[Tensor, " D"], count: int, width: int) -> None:
        super().__init__()
        self.mean = mean
        self.log_r = nn.Parameter(r.clamp(min=1e-3).log())
        width_in = len(r)
        last = nn.Linear(width, width_in)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(
            nn.Linear(width_in + 1 + count, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            last,
        )

    def score(
        self, x: Float[Tensor, "N D"], sigma: Float[Tensor, " N"], q: Float[Tensor, "N A"]
    ) -> Float[Tensor, "N D"]:
        """Return grad log p(x | q) at the noise levels ``sigma``."""
        s, r = sigma[:, None], self.log_r.exp()
        total = (r.square() + s.square()).sqrt()
        away = x - self.mean(q)
        correction = self.layers(torch.cat([away / total, s.log() / 4, q], -1))
        found: Tensor = -away / total.square() + r / total / s * correction
        return found


@dataclass(frozen=True)
class DiffusionCodec:
    """A fitted diffusion autoencoder.

    Attributes:
        frame: Coordinates.
        encoder: x -> latents before rounding.
        denoiser: The score.
        levels: Standard deviations that Langevin walks, falling.
        bits: Of a latent.
        bytes: Of a code.
        way: ``draw``, by Langevin; ``mean``: E[x | q] from the highest level.
        draws: How many draws are averaged.
        steps: Of Langevin at each level.
        step: Of Langevin, in units of the level's variance.
        seed: Of the noise. Equal codes get equal noise, wherever they stand.
    """

    frame: Frame
    encoder: nn.Module
    denoiser: ConditionalDenoiser
    levels: Float[Tensor, " L"]
    bits: int
    bytes: int
    way: Way = "draw"
    draws: int = 1
    steps: int = 4
    step: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse an average of nothing."""
        if self.draws < 1:
            raise Error(f"{self.draws} draws have no mean; take one or more.")

    @property
    def name(self) -> str:
        """What a table calls it."""
        many = "one draw" if self.draws == 1 else f"mean of {self.draws} draws"
        return f"diffusion autoencoder, {'mean without a chain' if self.way == 'mean' else many}"

    @property
    def shared_bytes(self) -> int:
        """Frame and networks, as float32."""
        return self.frame.nbytes + parameter_bytes(self.encoder) + parameter_bytes(self.denoiser)

    @torch.no_grad()
    def encode(self, vectors: Float32[np.ndarray, "N D"]) -> UInt8[np.ndarray, "N m"]:
        """Return the codes."""
        return pack(self.encoder(self.frame.enter(vectors)), self.bits)

    @torch.no_grad()
    def decode(self, codes: UInt8[np.ndarray, "N m"]) -> Float32[np.ndarray, "N D"]:
        """Return the vectors."""
        q = unpack(codes, self.bits)
        if self.way == "mean":
            return self.frame.leave(self._denoised(self.denoiser.mean(q), q, float(self.levels[0])))
        noise = _keyed(codes, self.seed)
        found = sum(self._draw(q, noise.fold(torch.tensor(k))) for k in range(self.draws))
        return self.frame.leave(torch.as_tensor(found) / self.draws)

    def _draw(self, q: Float[Tensor, "N A"], noise: Noise) -> Float[Tensor, "N D"]:
        width = len(self.frame.mean)
        wide = (self.denoiser.log_r.exp().square() + self.levels[0] ** 2).sqrt()
        start = self.denoiser.mean(q) + wide * noise.normal("start", width)
        x = annealed_langevin(
            lambda x, s: self.denoiser.score(x, s, q), start, self.levels, step=self.step, steps=self.steps, noise=noise
        )
        return self._denoised(x, q, float(self.levels[-1]))

    def _denoised(self, x: Float[Tensor, "N D"], q: Float[Tensor, "N A"], level: float) -> Float[Tensor, "N D"]:
        return denoised(lambda x, s: self.denoiser.score(x, s, q), x, level)


def fit_diffusion(
    vectors: Float32[np.ndarray, "N D"],
    start: AutoencoderCodec,
    *,
    width: int = 256,
    steps: int = 300,
    batch: int = 64,
    rate: float = 1e-3,
    levels: tuple[float, float, int] = (4.0, 0.1, 8),
    seed: int = 0,
) -> DiffusionCodec:
    """Fit a diffusion autoencoder by denoising score matching.

    Args:
        vectors: To learn from.
        start: An autoencoder fitted to them; it stays as it is.
        width: Of the hidden layers of F.
        steps: Of Adam.
        batch: Vectors a step; each is noised at every level.
        rate: Of Adam.
        levels: Highest, lowest, number; in units of the vectors' deviation. Langevin walks three times as many.
        seed: Of the initial weights, the order and the noise.

    Raises:
        Error: too few vectors, or levels that do not fall.
    """
    falling, encoder, bits = noise_levels(*levels), copy.deepcopy(start.encoder), start.bits
    x = start.frame.enter(check(vectors, 2, "a diffusion autoencoder"))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        q = straight_through(encoder(x), bits)
        mean = copy.deepcopy(start.decoder)
        denoiser = ConditionalDenoiser(mean, (x - mean(q)).square().mean(0).sqrt(), q.shape[1], width)
    parts = nn.ModuleList([encoder, denoiser]).requires_grad_().train()

    def loss(x: Float[Tensor, "B D"], step: int) -> Float[Tensor, ""]:
        q = straight_through(encoder(x), bits).repeat_interleave(len(falling), 0)
        noise = Noise(seed, torch.arange(len(x)) + len(x) * step)
        return denoising_loss(lambda x, s: denoiser.score(x, s, q), x, falling, noise).mean()

    learn(parts, x, loss, steps=steps, batch=batch, rate=rate, seed=seed)
    walked = noise_levels(levels[0], levels[1], 3 * levels[2])
    return DiffusionCodec(start.frame, encoder, denoiser, walked, bits, start.bytes)


def _keyed(codes: UInt8[np.ndarray, "N m"], seed: int) -> Noise:
    padded = np.pad(codes, ((0, 0), (0, -codes.shape[1] % 8)))
    words = torch.from_numpy(np.ascontiguousarray(padded).view(np.int64))
    return Noise(seed, words[:, 0]).fold(*words.T[1:])
