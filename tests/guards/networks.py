"""Guards of networks: position, the future, the order of candidates, neighbours in the batch.

Letters: B batch, T tokens, K candidates, V vocabulary.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from guards.guard import answers, apart, close, guard, leaves
from guards.parts import IDS, VOCABULARY
from unmask.diffusion.state import State, Visibility


def _texts(rows: int = 4, length: int = 12) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(4, IDS, (rows, length), generator=generator)
    tokens[:, 0] = VOCABULARY.bos
    return tokens


@guard("position matters")
def position_matters(model: Any, visibility: Visibility) -> None:
    """Words in another order give other predictions, and no two places of a text without words look alike."""
    tokens = _texts()
    t = torch.full((len(tokens),), 0.5)
    swapped = tokens.clone()
    swapped[:, [2, 3]] = tokens[:, [3, 2]]
    before, after = (answers(model, State(x, visibility, t=t))[:, -1] for x in (tokens, swapped))
    assert apart(before, after).all(), (
        f"two words changed places and a later prediction, {tokens.shape[1] - 4} words on, stayed the same"
    )

    blank = torch.full((1, 12), VOCABULARY.mask if visibility == "bidirectional" else 7)
    blank[0, 0] = VOCABULARY.bos
    at = answers(model, State(blank, visibility, t=torch.ones(1)))[0, 1:]
    alike = ~apart(at[:, None], at[None])
    alike.fill_diagonal_(False)
    pairs = [(int(i) + 1, int(j) + 1) for i, j in alike.nonzero() if i < j]
    assert not pairs, f"where all words are the same, positions {pairs[:3]} get the same prediction"


@guard("no later token changes an earlier prediction under causal visibility")
def the_future_stays_unseen(model: Any) -> None:
    """The prediction of token p is a function of the tokens before p, and a longer text does not change it.

    The network must predict token p from what stands before it, as the causal process demands of it.
    """
    tokens = _texts()
    piece = torch.ones_like(tokens)
    ways = {"": {}, ", segments given": {"segments": piece}, ", padding marked": {"valid": piece > 0}}
    for way, given in ways.items():  # each may be computed in another way
        before = answers(model, State(tokens, "causal", **given))
        for column in range(1, tokens.shape[1]):  # position 0 is BOS, the same in every text
            for other in ((tokens[:, column] + 5) % IDS, torch.full_like(tokens[:, 0], VOCABULARY.eos)):
                changed = tokens.clone()
                changed[:, column] = other
                after = answers(model, State(changed, "causal", **given))
                same = (before[:, 1 : column + 1] == after[:, 1 : column + 1]).all(-1).all(0)
                seen = [p + 1 for p in range(column) if not same[p]]
                assert not seen, f"token {column} changes the prediction of tokens {seen}{way}"
    before = answers(model, State(tokens, "causal"))
    for length in (2, 5, 9):
        short = answers(model, State(tokens[:, :length], "causal"))
        assert close(short[:, 1:], before[:, 1:length]), f"the first {length} tokens alone get other predictions"


def candidate_fields(state: State) -> list[str]:
    """Return the fields that hold K candidates a position: those whose shape is annotated ``B T K``."""
    shape = re.compile(r"""["'] *B T K\b""")
    return [name for name, (kind, value) in leaves(state).items() if shape.search(kind) and value is not None]


def _replaced(state: Any, name: str, value: Tensor) -> Any:
    """Return a state with another value of a field; ``part.field`` is a field of a part."""
    part, _, field = name.partition(".")
    return replace(state, **{part: _replaced(getattr(state, part), field, value) if field else value})


@guard("the order of candidates does not matter")
def candidate_order_does_not_matter(model: Any, state: State) -> None:
    """Other slots for the same candidates, at each position on its own, give the same predictions.

    A state without candidates keeps the promise.
    """
    names = candidate_fields(state)
    moved, order = state, None
    generator = torch.Generator().manual_seed(2)
    for name in names:
        values = leaves(state)[name][1]
        if order is None:
            order = torch.rand(values.shape[:3], generator=generator).argsort(-1)
        index = order.view(*order.shape, *[1] * (values.ndim - 3)).expand(*order.shape, *values.shape[3:])
        moved = _replaced(moved, name, values.gather(2, index))
    before, after = answers(model, state), answers(model, moved)
    assert close(before, after), f"shuffling {', '.join(names)} along their slots changes the predictions"


@guard("asking for few positions gives the same logits as asking for all")
def few_asked_as_all(model: Any, visibility: Visibility) -> None:
    """Which positions are asked selects answers; it is not something to read. Nothing asked, nothing answered."""
    tokens = _texts()
    state = State(tokens, visibility, t=torch.full((len(tokens),), 0.5))
    every = answers(model, state)
    generator = torch.Generator().manual_seed(3)
    for share in (0.3, 0.0):
        at = torch.rand(tokens.shape, generator=generator) < share
        with torch.no_grad():
            few = model(state, at=at).logits
        assert few.shape == every[at].shape, f"{int(at.sum())} positions are asked, {len(few)} answered"
        assert close(few, every[at]), "the answers depend on which positions are asked"


@guard("rows of a network's batch do not mix, and padding is not seen")
def network_rows_stay_apart(model: Any, visibility: Visibility) -> None:
    """What stands in padding, and who shares the batch, changes no prediction: neither in use nor in training."""
    tokens = _texts()
    lengths = torch.tensor([12, 9, 4, 2])
    valid = torch.arange(12) < lengths[:, None]
    garbage = torch.where(valid, tokens, (tokens * 7 + 3) % IDS)
    t = torch.linspace(0.2, 0.8, len(tokens))
    was = model.training
    for training in (False, True):
        model.train(training)
        for name, padding in (("valid", {"valid": valid}), ("segments", {"segments": valid.long()})):
            before, after = (answers(model, State(x, visibility, t=t, **padding)) for x in (tokens, garbage))
            assert torch.equal(before[valid], after[valid]), f"padding marked by {name} is read"
            assert before.isfinite().all(), f"predictions beside padding marked by {name} are not finite"
            for row, length in enumerate(lengths.tolist()):
                alone = answers(model, State(tokens[row : row + 1, :length], visibility, t=t[row : row + 1]))
                assert close(before[row, :length], alone[0]), (
                    f"a text gets other predictions in a batch than alone (padding marked by {name}, "
                    f"{'training' if training else 'evaluation'} mode)"
                )
    model.train(was)
