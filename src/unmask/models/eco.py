"""A bidirectional network without attention between tokens: local convolution, and memory slots for what is far.

Each block, with norm = RMSNorm throughout (Aria's EcoHybrid, with its flaws mended):

    x   += Linear(SiLU(DepthwiseConv(norm x)))          what is near, k taps
    x   += WindowAttention(norm x)                      in every ``window_every``-th block only
    x   += Read(norm x, norm mem)                       tokens ask the slots
    mem += Write(norm mem, norm x);  mem += SwiGLU(norm mem)     slots ask the tokens; not in the last block
    x   += SwiGLU(norm x)

Positions come from the convolution alone. Every document has its own copy of the slots, tokens read their own
document's, and empty places (padding, gaps between documents) hold zeros and are read by nobody; see ``token_places``.
Time and memory grow with T, not T^2. What follows the last mixing runs at asked positions only.

Letters: B batch, T tokens, R rows and P places of the layout, G documents, D width, M slots, S slow slots.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from unmask.diffusion.state import Prediction, State
from unmask.diffusion.thought import Reading
from unmask.errors import Error
from unmask.models.candidates import PooledCandidates
from unmask.models.checkpointing import CheckpointedBlock
from unmask.models.convolution import DepthwiseConvolution
from unmask.models.eco_config import EcoConfig
from unmask.models.eco_cost import eco_flops, eco_kept
from unmask.models.fused import RMSNorm
from unmask.models.network import Denoiser
from unmask.models.rope import Rotary, rotary
from unmask.models.routing import Routing
from unmask.models.side_vectors import Memories
from unmask.models.slots import InputSlots, Memory, Read, SwiGLU, Update
from unmask.models.time import TimeEmbedding
from unmask.models.token_places import Layout, Positions, layout_of
from unmask.models.window import WindowAttention


class EcoBlock(CheckpointedBlock):
    """One block; the last one updates no slots, as nobody would read them."""

    def __init__(self, config: EcoConfig, layer: int) -> None:
        super().__init__()
        width, number, last = config.hidden_size, layer + 1, layer == config.num_hidden_layers - 1

        def every(n: int) -> bool:
            return n > 0 and number % n == 0

        def norm() -> RMSNorm:
            return RMSNorm(width, eps=config.rms_norm_eps)

        slow = config.slow_slots > 0 and every(config.slow_every) and not last
        self.conv_norm, self.conv = norm(), DepthwiseConvolution(width, config.conv_kernel)
        self.conv_out = nn.Linear(width, width, bias=False)
        self.window = WindowAttention(config) if every(config.window_every) else None
        self.read_norm, self.memory_norm, self.read = norm(), norm(), Read(config)
        self.update = None if last else Update(config)
        self.slow_update = Update(config) if slow else None
        self.mlp_norm, self.mlp = norm(), SwiGLU(width, config.intermediate_size)
        self.dropout = config.dropout

    def run(  # type: ignore[override]
        self,
        x: Float[Tensor, "R P D"],
        memory: Memory,
        layout: Layout,
        by: Rotary | None,
        asked: Positions | None = None,
    ) -> tuple[Float[Tensor, "R P D"] | Float[Tensor, "n D"], Memory, Routing | None]:
        """Return tokens and slots after the block, and how the tokens used the slots.

        With ``asked`` (rows, places) the tokens are [n, D]: those places only.
        """
        x = layout.add(x, self._drop(self.conv_out(F.silu(self.conv(self.conv_norm(x))))))
        if self.window is not None and by is not None:
            x = x + self._drop(self.window(x, by, layout))
        read, routing = self.read(self.read_norm(x), self.memory_norm(memory.all), layout, memory.hidden)
        x = layout.add(x, self._drop(read))
        if self.update is not None:
            slow = memory.slow
            if self.slow_update is not None and slow is not None:
                slow = self.slow_update(slow, x, layout)
            memory = Memory(self.update(memory.fast, x, layout), slow, memory.hidden)
        if asked is not None:
            x = x[asked]
        return x + self._drop(self.mlp(self.mlp_norm(x))), memory, routing

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


class Eco(Denoiser):
    """The eco network. ``model(state, at=...)`` returns logits at the asked positions only."""

    config_class = EcoConfig
    config: EcoConfig
    _no_split_modules = ["EcoBlock"]

    def __init__(self, config: EcoConfig) -> None:
        super().__init__(config)
        width = config.hidden_size
        self.embed = nn.Embedding(config.vocab_size, width)
        self.time = TimeEmbedding(width) if config.time_input else None
        self.candidates = PooledCandidates(width) if config.candidate_input else None
        self.slots = nn.Parameter(torch.empty(config.memory_slots, width))
        self.slow_slots = nn.Parameter(torch.empty(config.slow_slots, width)) if config.slow_slots else None
        self.input_slots = InputSlots(config) if config.input_slots else None
        self.blocks = nn.ModuleList(EcoBlock(config, layer) for layer in range(config.num_hidden_layers))
        self.norm = RMSNorm(width, eps=config.rms_norm_eps)
        self.head = nn.Linear(width, config.vocab_size, bias=False)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        std = self.config.initializer_range
        if isinstance(module, Eco):
            for bank in (module.slots, module.slow_slots):
                if bank is not None:
                    nn.init.normal_(bank, std=self.config.slot_range or std)

    def flops(self, length: int, asked: float = 1.0) -> float:
        """Return floating-point operations a token of one forward pass, see :func:`unmask.models.eco_cost.eco_flops`.

        Args:
            length: Tokens in the block (T).
            asked: Share of positions whose logits are computed.
        """
        return eco_flops(self.config, length, asked)

    def kept(self, length: int) -> float:
        """Return the numbers that a token keeps for the backward pass, logits aside."""
        return eco_kept(self.config)

    def learning_rate_scales(self) -> dict[str, float]:
        """Return the slow bank's parameters with ``slow_learning_rate_scale``."""
        names = (name for name, _ in self.named_parameters() if "slow_slots" in name or "slow_update" in name)
        return dict.fromkeys(names, self.config.slow_learning_rate_scale)

    def forward(
        self, state: State | Reading, at: Bool[Tensor, "B T"] | None = None, return_hidden: bool = False
    ) -> Prediction:
        """Predict clean tokens.

        Args:
            state: What the network sees; or passages, whose thoughts are read.
            at: Positions whose logits are wanted, ``None``: all. Logits at p predict token p.
            return_hidden: Also return the final hidden states (a network with a latent pathway always does).

        Returns:
            Logits [n, V] in row-major order of ``at``; the thought; the slow slots; while training, the loss and the
            use of routed slots.

        Raises:
            Error: causal visibility, or memory that the network does not take.
        """
        if isinstance(state, Reading):
            return self._read(state)
        self._check(state)
        return_hidden = return_hidden or self.latent is not None
        layout = layout_of(state, self.config.conv_kernel // 2)
        x = layout.spread(self._embedded(state))
        beside = self._memories(state)
        memory = self._memory(state, layout, x, beside)
        own = memory.fast.shape[1] - (0 if beside is None else beside.vectors.shape[1])
        by = None
        if self.config.window_every:
            width = self.config.hidden_size // self.config.num_attention_heads
            by = rotary(layout.positions, width, self.config.rope_theta)
        batch, length = state.tokens.shape
        asked = layout.places(*self._predictors(at, batch, length, x.device))
        routed: list[Routing] = []
        for layer, block in enumerate(self.blocks):
            last = layer == len(self.blocks) - 1 and not return_hidden
            x, memory, routing = block(x, memory, layout, by, asked if last else None)
            if routing is not None:
                routed.append(routing)
        x = self.norm(x)
        losses, metrics = self._told(routed)
        hidden = layout.gathered(x) if return_hidden else None
        states = x[asked] if return_hidden else x
        return Prediction(
            logits=self.head(states),
            states=states,
            hidden=hidden,
            slots=memory.slow if layout.whole else None,
            thought=self.thought_of(state, None if beside is None else beside.by_row(memory.fast[:, own:], layout)),
            notes=self.notes_of(hidden),
            losses=losses,
            metrics=metrics,
        )

    def _check(self, state: State) -> None:
        if state.visibility != "bidirectional":
            raise Error(
                f"backbone eco sees both sides and was given a {state.visibility} text; train it with a process that "
                "hides tokens (masked without causal_warmup, sparse), or use backbone transformer."
            )
        if state.slots is not None and self.slow_slots is None:
            raise Error("this network has no slow slots to go on with; train it with backbone.slow_slots set.")

    def _memory(self, state: State, layout: Layout, x: Float[Tensor, "R P D"], beside: Memories | None) -> Memory:
        """Return the slots of each document before the first block."""
        documents = len(layout.row)
        fast = self.slots.expand(documents, -1, -1)
        if self.input_slots is not None:
            fast = self.input_slots(fast, x, layout)
        slow = None if self.slow_slots is None else self.slow_slots.expand(documents, -1, -1)
        if state.slots is not None:
            if not layout.whole:
                raise Error("slots of an earlier block go on with one text a row; leave packed documents out.")
            slow = state.slots
        if beside is None:
            return Memory(fast, slow, None)
        own = fast.shape[1] + (0 if slow is None else slow.shape[1])
        more, hidden = beside.by_document(layout)
        return Memory(torch.cat([fast, more.to(fast.dtype)], 1), slow, F.pad(hidden, (own, 0)))

    def _told(self, routed: list[Routing]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the loss and the metrics of routed slots, mean over the blocks."""
        if not routed or not self.training:
            return {}, {}
        balance = torch.stack([each.balance for each in routed]).mean()
        metrics = {
            "slot_share": torch.stack([each.share for each in routed]).mean(0),
            "slot_entropy": torch.stack([each.entropy for each in routed]).mean(),
            "slot_balance": balance.detach(),
        }
        return {"balance": self.config.balance_weight * balance}, metrics
