"""What all our networks have in common: a token embedding, a noise level, candidates, a head on asked positions.

Letters: B batch, T tokens, D width, n asked positions.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unmask.diffusion.carried import Notes
from unmask.diffusion.state import Prediction, State
from unmask.diffusion.thought import Reading, ThoughtOptions
from unmask.errors import Error
from unmask.models.candidates import FullCandidates, PooledCandidates
from unmask.models.config import NetworkConfig
from unmask.models.convolution import DepthwiseConvolution
from unmask.models.fused import RMSNorm
from unmask.models.latent import Hidden, Latent
from unmask.models.mask_vector import MaskVector
from unmask.models.retrieved import RetrievedMemory
from unmask.models.side_vectors import Memories, joined
from unmask.models.stored import StoredNetwork
from unmask.models.thought_cells import Thoughts
from unmask.models.time import TimeEmbedding
from unmask.models.token_places import Positions


class Denoiser(StoredNetwork):
    """The parts that a network has around its blocks. A subclass makes them, in its own order.

    Attributes:
        embed: Token embedding.
        time: Embedding of the noise level, or ``None``.
        candidates: How candidates of open positions enter, or ``None``.
        retrieved: How retrieved vectors enter, or ``None``.
        thoughts: How thoughts enter and leave, or ``None``.
        latent: How the hidden states of an earlier answer enter, or ``None``.
        mask_vector: How the random vector of a mask enters, or ``None``.
        leaves_notes: Whether each answer leaves something for the next one (``Prediction.notes``).
        norm: The last norm.
        head: From width to vocabulary.
    """

    embed: nn.Embedding
    time: TimeEmbedding | None
    candidates: PooledCandidates | FullCandidates | None
    norm: RMSNorm | nn.LayerNorm
    head: nn.Linear

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        width, eps = config.hidden_size, config.rms_norm_eps
        thought = ThoughtOptions(**config.thought) if config.thought else ThoughtOptions()
        given = (config.memory_width, width, config.memory_dropout)
        self.retrieved = RetrievedMemory(*given) if config.memory_width else None
        self.thoughts = Thoughts(thought, width, config.num_attention_heads, eps) if thought.shape else None
        self.latent = Latent(width, eps) if thought.latent else None
        self.leaves_notes = self.latent is not None
        self.mask_vector = MaskVector(config.random_mask, width) if config.random_mask else None

    def _init_weights(self, module: nn.Module) -> None:
        std = self.config.initializer_range
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=std)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, RMSNorm | nn.LayerNorm):
            nn.init.ones_(module.weight)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, DepthwiseConvolution):
            module.initialise()
        elif isinstance(module, Thoughts):
            module.initialise(std)
        elif isinstance(module, PooledCandidates):
            nn.init.zeros_(module.query)
            nn.init.ones_(module.sharpness)
        elif isinstance(module, MaskVector):
            nn.init.zeros_(module.weight)

    def get_input_embeddings(self) -> nn.Embedding:
        """Return the token embedding."""
        return self.embed

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replace the token embedding."""
        self.embed = value

    def get_output_embeddings(self) -> nn.Linear:
        """Return the output head."""
        return self.head

    def set_output_embeddings(self, value: nn.Linear) -> None:
        """Replace the output head."""
        self.head = value

    def learning_rate_scales(self) -> dict[str, float]:
        """Return what the learning rate is multiplied by, for the parameters (by name) where that is not 1."""
        return {}

    def undecayed(self) -> frozenset[str]:
        """Return the names of parameters that weight decay leaves alone, besides norms and biases."""
        return frozenset()

    def _embedded(self, state: State) -> Float[Tensor, "B T D"]:
        """Return the embeddings of a state: tokens, random masks, pooled candidates, noise level."""
        x = self.embed(state.tokens)
        if self.mask_vector is not None and state.random_mask is not None:
            x = x + self.mask_vector(state.random_mask)
        if state.candidates is not None and isinstance(self.candidates, PooledCandidates):
            x = x + self.candidates(self.embed, state.candidates)
        if self.time is not None:
            t = state.t if state.t is not None else torch.zeros(len(x), device=x.device)
            x = x + self.time(t if state.level is None else state.level)
        if self.latent is not None and (earlier := state.notes.get(Hidden)) is not None:
            x = x + self.latent(earlier)
        return x

    def notes_of(self, hidden: Float[Tensor, "B T D"] | None) -> Notes:
        """Return what is left for the next answer, of the final hidden states."""
        return Notes() if self.latent is None or hidden is None else Notes((Hidden(hidden),))

    def _memories(self, state: State) -> Memories | None:
        """Return the vectors beside the text, thoughts first; ``None``: there are none.

        Raises:
            Error: memory or thoughts that the network does not take.
        """
        if state.memory is not None and self.retrieved is None:
            raise Error("this network takes no retrieved memory; train it with backbone.memory_width set.")
        if state.thought is not None and self.thoughts is None:
            raise Error("this network takes no thoughts; train it with thought.shape set.")
        parts = []
        if self.thoughts is not None and state.thought is not None:
            parts.append(self.thoughts.into(state.thought))
        if self.retrieved is not None and state.memory is not None:
            parts.append(self.retrieved(state))
        return joined(parts)

    def thought_of(self, state: State, became: Float[Tensor, "B M D"] | None) -> Float[Tensor, "B C E"] | None:
        """Return what the network believes of the text's thought, from what became of the vectors beside the text."""
        if self.thoughts is None or state.thought is None or became is None:
            return None
        return self.thoughts.predicted(state.thought, became)

    def _read(self, reading: Reading) -> Prediction:
        """Answer a reading.

        Raises:
            Error: the network has no thoughts.
        """
        if self.thoughts is None:
            raise Error("this network reads no thoughts; train it with thought.shape set.")
        return self.thoughts.read(self.embed, reading, self.training)

    def _check_visibility(self, state: State) -> None:
        """Raise Error if the network cannot see as a state asks."""
        if state.visibility not in self.config.visibilities:
            raise Error(
                f"this network was given a text under {state.visibility!r} visibility, and its own are "
                f"{', '.join(self.config.visibilities)}."
            )

    def _predictors(self, at: Bool[Tensor, "B T"] | None, batch: int, length: int, device: torch.device) -> Positions:
        """Return where the hidden states lie that predict the asked positions."""
        if at is not None:
            rows, columns = at.nonzero(as_tuple=True)
        else:
            index = torch.arange(batch * length, device=device)
            rows, columns = index // length, index % length
        return rows, (columns - self.config.output_shift).clamp(min=0)
