"""What a recipe may say of the eco network: convolution, memory slots, and what the slots can become."""

from __future__ import annotations

from typing import Any, ClassVar

from unmask.diffusion.options import Visibility
from unmask.errors import Error
from unmask.models.options import NetworkOptions, check_counts


class EcoOptions(NetworkOptions):
    """Sizes and switches of the eco network: those of every network, and its own.

    ``num_attention_heads`` are the heads of the memory's attention, and of the windows'.

    Args:
        conv_kernel: Taps of the convolution over time (k), odd.
        memory_slots: Slots of a document, updated in every block but the last (M).
        memory_size: Inner width of the memory's attention (A); default D / 2, rounded up to a multiple of the heads.
        memory_intermediate_size: Width of the slots' own SwiGLU layer; default D / 2.
        slot_range: Standard deviation with which slots begin; ``None``: ``initializer_range``, as all weights.
        input_slots: Slots read the embedded text before the first block, so that no block reads slots that know
            nothing of it.
        window_every: Every n-th block also has attention within a window; 0: none.
        window: How many places a window reaches to each side (w).
        route_top_k: Slots that a token reads; 0: all.
        balance_weight: Weight of the loss that keeps routed slots in use.
        slow_slots: Slots of a second bank that is updated in every ``slow_every``-th block.
        slow_every: N of the slow bank.
        slow_learning_rate_scale: What the learning rate is multiplied by for the slow bank.
        time_input: As for every network, but on by default.
        **shared: The keys of :class:`NetworkOptions`.
    """

    model_type: ClassVar[str] = "unmask-eco"
    visibilities: ClassVar[tuple[Visibility, ...]] = ("bidirectional",)
    beside_text: ClassVar[bool] = True
    candidate_places: ClassVar[str] = "real"

    def __init__(
        self,
        conv_kernel: int = 7,
        memory_slots: int = 16,
        memory_size: int | None = None,
        memory_intermediate_size: int | None = None,
        slot_range: float | None = None,
        input_slots: bool = False,
        window_every: int = 0,
        window: int = 64,
        route_top_k: int = 0,
        balance_weight: float = 0.01,
        slow_slots: int = 0,
        slow_every: int = 4,
        slow_learning_rate_scale: float = 0.1,
        time_input: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(time_input=time_input, **kwargs)
        self.conv_kernel = conv_kernel
        self.memory_slots = memory_slots
        heads, half = self.num_attention_heads, -(-self.hidden_size // 2)
        self.memory_size = -(-half // heads) * heads if memory_size is None else memory_size
        self.memory_intermediate_size = half if memory_intermediate_size is None else memory_intermediate_size
        self.slot_range = slot_range
        self.input_slots = input_slots
        self.window_every = window_every
        self.window = window
        self.route_top_k = route_top_k
        self.balance_weight = balance_weight
        self.slow_slots = slow_slots
        self.slow_every = slow_every
        self.slow_learning_rate_scale = slow_learning_rate_scale
        _check(self)


def _check(config: EcoOptions) -> None:
    """Refuse shapes that cannot work, with the fix."""
    counts = ("conv_kernel", "memory_slots", "memory_size", "memory_intermediate_size", "window", "slow_every")
    check_counts(config, counts)
    check_counts(config, ("window_every", "route_top_k", "slow_slots"), least=0)
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    if config.conv_kernel % 2 == 0:
        raise Error(f"backbone.conv_kernel is {config.conv_kernel}; it must be odd, as many taps to each side.")
    if layers < 2:
        raise Error("backbone eco needs num_hidden_layers of 2 or more: a block reads what the one before it wrote.")
    if config.memory_size % heads:
        raise Error(f"backbone.memory_size {config.memory_size} must be a multiple of num_attention_heads {heads}.")
    if config.route_top_k > config.memory_slots + config.slow_slots:
        raise Error(f"backbone.route_top_k is {config.route_top_k}; there are fewer slots (memory_slots, slow_slots).")
    if config.slow_slots and config.slow_every >= layers:
        raise Error(
            f"backbone.slow_every is {config.slow_every}; with {layers} layers the slow slots would never be updated: "
            f"set it to {layers - 1} or less."
        )
    if config.window_every > layers:
        raise Error(f"backbone.window_every is {config.window_every}; there are {layers} layers, so no block has one.")
    if config.slot_range is not None and not 0 < config.slot_range < float("inf"):
        raise Error(f"backbone.slot_range is {config.slot_range}; it must be above 0, or null.")
    for name in ("balance_weight", "slow_learning_rate_scale"):
        if not 0 <= getattr(config, name) < float("inf"):
            raise Error(f"backbone.{name} is {getattr(config, name)}; it must be 0 or more.")
