"""What the eco network promises besides the guards, which run over the registry."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.models import slots
from unmask.models.eco import Eco
from unmask.models.eco_config import EcoConfig
from unmask.models.eco_cost import eco_flops, eco_kept

SIZES = {
    "vocab_size": 23,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
    "memory_slots": 6,
    "output_shift": 0,
}
VARIANTS = [
    {},
    {"input_slots": True},
    {"window_every": 2, "window": 3},
    {"route_top_k": 2},
    {"slow_slots": 3, "slow_every": 1},
    {"slow_slots": 2, "slow_every": 2, "window_every": 3, "window": 2, "input_slots": True, "route_top_k": 1},
]


@pytest.fixture
def tiny() -> Callable[..., Eco]:
    """Make a random network in evaluation mode: ``tiny(memory_slots=4)``."""

    def make(seed: int = 0, **sizes: object) -> Eco:
        torch.manual_seed(seed)
        return Eco(EcoConfig(**{**SIZES, **sizes})).eval()

    return make


def texts(rows: int, length: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(4, 23, (rows, length), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def logits(model: Eco, tokens: torch.Tensor, **rest: object) -> torch.Tensor:
    t = torch.full((len(tokens),), 0.5)
    return model(State(tokens, **{"t": t, **rest})).logits.view(*tokens.shape, -1)


def deaf(model: Eco) -> Eco:
    """Take the memory away: what is read counts for nothing."""
    for block in model.blocks:
        torch.nn.init.zeros_(block.read.out.weight)
    return model


def same(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kernel", [3, 7])
def test_without_memory_a_prediction_depends_on_what_the_convolutions_reach_and_on_nothing_else(tiny, kernel):
    model, reach = deaf(tiny(conv_kernel=kernel)), 3 * (kernel // 2)
    tokens, place = texts(1, 60), 30
    before = logits(model, tokens)[0, place]
    seen = []
    for other in range(60):
        changed = tokens.clone()
        changed[0, other] = 4 + (tokens[0, other] - 3) % 19
        if not torch.equal(logits(model, changed)[0, place], before):
            seen.append(other)
    assert seen == list(range(place - reach, place + reach + 1))


def test_the_memory_carries_what_is_beyond_the_convolutions_reach(tiny):
    tokens = texts(4, 200)
    changed = tokens.clone()
    changed[:, :3] = texts(4, 3, seed=7)
    far = slice(150, None)
    for model, carried in ((tiny(), True), (deaf(tiny()), False)):
        difference = (logits(model, tokens) - logits(model, changed))[:, far].abs()
        assert (difference.amax(-1).amin() > 1e-4) if carried else (difference.amax() == 0)


@pytest.mark.parametrize("sizes", VARIANTS, ids=str)
def test_packed_documents_are_predicted_as_each_alone(tiny, sizes):
    model = tiny(**sizes)
    tokens, t = texts(3, 40), torch.tensor([0.2, 0.5, 0.9])
    borders = [(0, 5, 25, 40), (0, 40), (0, 2, 30)]  # the last row ends in padding
    segments = torch.zeros(3, 40, dtype=torch.int64)
    for row, cut in enumerate(borders):
        for piece, (start, end) in enumerate(zip(cut, cut[1:], strict=False), 1):
            segments[row, start:end] = piece
    packed = logits(model, tokens, t=t, segments=segments)
    assert packed.isfinite().all()
    for row, cut in enumerate(borders):
        for start, end in zip(cut, cut[1:], strict=False):
            alone = logits(model, tokens[row : row + 1, start:end], t=t[row : row + 1])
            same(packed[row, start:end], alone[0])


@pytest.mark.parametrize("sizes", VARIANTS, ids=str)
@pytest.mark.parametrize("marked_by", ["valid", "segments"])
@pytest.mark.parametrize("folded", [False, True])
def test_padding_is_as_no_padding(tiny, monkeypatch, sizes, marked_by, folded):
    monkeypatch.setattr(slots, "folds", lambda *_: folded)
    model, tokens = tiny(**sizes), texts(3, 30)
    valid = torch.arange(30) < torch.tensor([30, 17, 1])[:, None]
    padded = logits(model, tokens, **{marked_by: valid if marked_by == "valid" else valid.long()})
    assert padded.isfinite().all()
    for row, length in enumerate((30, 17, 1)):
        same(padded[row, :length], logits(model, tokens[row : row + 1, :length])[0])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("sizes", VARIANTS, ids=str)
def test_both_orders_of_products_give_the_same_predictions_and_gradients(tiny, monkeypatch, sizes, packed):
    segments = torch.where(torch.arange(20) < 8, 1, 2).expand(2, -1) if packed else None
    found = []
    for folded in (False, True):
        monkeypatch.setattr(slots, "folds", lambda *_, folded=folded: folded)
        model = tiny(**sizes)
        out = model(State(texts(2, 20), t=torch.ones(2), segments=segments)).logits
        out.square().mean().backward()
        found.append([out.detach(), *(p.grad for p in model.parameters())])
    for a, b in zip(*found, strict=True):
        same(a, b)


@pytest.mark.parametrize("packed", [False, True])
def test_reading_all_slots_by_routing_is_the_network_without_routing(tiny, packed):
    segments = torch.where(torch.arange(20) < 8, 1, 2).expand(2, -1) if packed else None
    given = {"tokens": texts(2, 20), "segments": segments}
    same(logits(tiny(route_top_k=6), **given), logits(tiny(), **given))
    assert (logits(tiny(route_top_k=1), **given) - logits(tiny(), **given)).abs().max() > 1e-2


def test_a_routed_network_asks_for_balance_while_it_trains_and_tells_how_slots_are_used(tiny):
    model, state = tiny(route_top_k=1, balance_weight=0.5), State(texts(4, 20), t=torch.ones(4))
    assert not model(state).losses and not model(state).metrics
    answer = model.train()(state)
    shares = answer.metrics["slot_share"]
    assert shares.shape == (6,) and shares.sum() == pytest.approx(1)
    assert 0 < answer.metrics["slot_entropy"] <= 1
    assert float(answer.losses["balance"].detach()) == pytest.approx(0.5 * float(answer.metrics["slot_balance"]))
    answer.losses["balance"].backward()
    assert all(block.read.query.weight.grad.abs().max() > 0 for block in model.blocks)
    assert not tiny().train()(state).losses


def test_a_few_steps_on_the_balance_bring_unused_slots_back(tiny):
    model = tiny(route_top_k=1, balance_weight=1.0).train()
    with torch.no_grad():  # one slot answers to everything
        model.slots[1:] = 0.01 * model.slots[1:] + model.slots[0]
    state = State(texts(8, 40), t=torch.ones(8))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    entropies = []
    for _ in range(30):
        answer = model(state)
        entropies.append(float(answer.metrics["slot_entropy"]))
        optimizer.zero_grad()
        answer.losses["balance"].backward()
        optimizer.step()
    assert entropies[-1] > entropies[0] + 0.15


def test_slow_slots_are_updated_in_every_nth_block_only_and_matter(tiny):
    model = tiny(num_hidden_layers=7, slow_slots=2, slow_every=3)
    assert [block.slow_update is not None for block in model.blocks] == [False, False, True, False, False, True, False]
    seen = []
    for block in model.blocks:
        block.register_forward_hook(lambda module, given, out: seen.append((given[1], out[1])))
    tokens = texts(2, 20)
    before = logits(model, tokens)
    for number, (given, out) in enumerate(seen):
        assert torch.equal(given.slow, out.slow) == ((number + 1) % 3 != 0)
        assert torch.equal(given.fast, out.fast) == (number == 6)
    with torch.no_grad():
        model.slow_slots += 1
    assert (logits(model, tokens) - before).abs().max() > 1e-2


def test_slow_slots_have_a_learning_rate_of_their_own(tiny):
    model = tiny(num_hidden_layers=7, slow_slots=2, slow_every=3, slow_learning_rate_scale=0.25)
    scales = model.learning_rate_scales()
    slow = {name for name in scales if name.startswith(("blocks.2.slow_update.", "blocks.5.slow_update."))}
    assert set(scales) == {"slow_slots"} | slow and len(slow) == 2 * 8 and set(scales.values()) == {0.25}
    assert set(scales) <= dict(model.named_parameters()).keys()
    assert tiny().learning_rate_scales() == {}


def test_a_second_block_goes_on_with_the_slow_slots_of_the_first(tiny):
    model = tiny(slow_slots=2, slow_every=1)
    second = texts(1, 20, seed=9)
    with torch.no_grad():
        ends = [model(State(texts(1, 20, seed=s), t=torch.ones(1))).slots for s in (1, 2)]
    alone, *after = (logits(model, second, slots=slots) for slots in (None, *ends))
    assert (alone - after[0]).abs().max() > 1e-2 and (after[0] - after[1]).abs().max() > 1e-2
    same(logits(model, second, slots=model.slow_slots[None].detach()), alone)  # where a text begins
    packed = State(second, segments=torch.where(torch.arange(20) < 9, 1, 2)[None])
    assert model(packed).slots is None
    with pytest.raises(Error, match="leave packed documents out"):
        logits(model, second, slots=ends[0], segments=packed.segments)
    assert tiny()(State(second)).slots is None


def test_gradient_checkpointing_gives_the_same_loss_and_gradients(tiny):
    sizes = VARIANTS[-1]
    plain, saving = tiny(**sizes).train(), tiny(**sizes).train()
    saving.activation_checkpointing_enable()
    assert any(getattr(block, "gradient_checkpointing", False) for block in saving.blocks)
    segments = torch.where(torch.arange(20) < 8, 1, 2).expand(2, -1)
    losses = []
    for model in (plain, saving):
        answer = model(State(texts(2, 20), t=torch.ones(2), segments=segments))
        losses.append(answer.logits.square().mean() + answer.losses["balance"])
        losses[-1].backward()
    assert torch.equal(*losses)
    for a, b in zip(plain.parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize("sizes", [{}, VARIANTS[2], VARIANTS[-1]], ids=str)
def test_hidden_states_are_those_that_the_logits_come_from(tiny, sizes):
    model = tiny(**sizes)
    for segments in (None, torch.where(torch.arange(20) < 8, 1, 2).expand(2, -1)):
        state = State(texts(2, 20), t=torch.ones(2), segments=segments)
        at = torch.zeros(2, 20, dtype=torch.bool)
        at[0, 3], at[1, 12:15] = True, True
        with torch.no_grad():
            answer = model(state, at=at, return_hidden=True)
            same(model.head(answer.hidden[at]), answer.logits)
            same(model(state, at=at).logits, answer.logits)


@pytest.mark.parametrize("sizes", [{}, VARIANTS[-1]], ids=str)
def test_half_precision_on_a_cpu_is_close_and_has_gradients(tiny, sizes):
    model = tiny(**sizes, initializer_range=0.05).train()
    for segments in (None, torch.where(torch.arange(20) < 8, 1, 2).expand(2, -1)):
        state = State(texts(2, 20), t=torch.ones(2), segments=segments)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(state).logits
        half.float().square().mean().backward()
        assert all(p.grad.isfinite().all() for p in model.parameters())
        torch.testing.assert_close(half.float(), model(state).logits.float(), atol=0.05, rtol=0.1)


def test_a_causal_text_is_refused(tiny):
    with pytest.raises(Error, match="backbone eco sees both sides"):
        tiny()(State(texts(1, 5), "causal"))
    assert not hasattr(tiny(), "new_cache")


@pytest.mark.parametrize("sizes", [*VARIANTS, {"hidden_size": 64, "num_hidden_layers": 4, "slow_slots": 2}], ids=str)
@pytest.mark.parametrize(("length", "asked"), [(12, 1.0), (12, 0.5), (200, 0.5)])
@torch.no_grad()
def test_counted_operations_are_the_stated_ones_within_two_percent(tiny, sizes, length, asked):
    model = tiny(**{"slow_every": 2, **sizes}, time_input=False).requires_grad_(False)
    at = torch.arange(length).expand(3, -1) < asked * length
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(State(texts(3, length)), at=at)
    stated = eco_flops(model.config, length, asked) * 3 * length
    assert stated == pytest.approx(counter.get_total_flops(), rel=0.02)


@pytest.mark.parametrize("sizes", [{}, {"hidden_size": 64, "intermediate_size": 200}, VARIANTS[2]], ids=str)
def test_the_numbers_kept_for_the_backward_pass_are_estimated_within_a_quarter(tiny, sizes):
    model, length = tiny(**sizes, time_input=False), 200
    kept: dict[int, int] = {}
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def note(x: torch.Tensor) -> torch.Tensor:
        store = x.untyped_storage()
        if store.data_ptr() not in own and x.is_floating_point():
            kept[store.data_ptr()] = store.nbytes() // 4
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        out = model(State(texts(4, length)), at=torch.arange(length).expand(4, -1) < length)
    logits = out.logits.numel()
    assert eco_kept(model.config) * 4 * length == pytest.approx(sum(kept.values()) - logits, rel=0.25)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"conv_kernel": 6}, "must be odd"),
        ({"memory_slots": 0}, "memory_slots is 0"),
        ({"num_hidden_layers": 1}, "num_hidden_layers of 2 or more"),
        ({"memory_size": 30}, "multiple of num_attention_heads 4"),
        ({"candidate_input": "full"}, "candidate_input=pooled"),
        ({"route_top_k": 7}, "there are fewer slots"),
        ({"slow_slots": 1, "slow_every": 3}, "set it to 2 or less"),
        ({"window_every": 4}, "no block has one"),
        ({"window_every": -1}, "at least 0"),
        ({"balance_weight": -1.0}, "0 or more"),
        ({"slot_range": 0.0}, "above 0"),
        ({"memory_dropout": 0.5}, "memory_width is 0"),
        ({"memory_dropout": 1.0, "memory_width": 4}, "below 1"),
        ({"hidden_size": 30}, "multiple of 8"),
    ],
)
def test_impossible_shapes_are_refused_with_the_fix(sizes, words):
    with pytest.raises(Error, match=words):
        EcoConfig(**{**SIZES, **sizes})
