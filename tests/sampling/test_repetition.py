"""The repetition penalty makes what stands in the text less likely, and nothing else."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from unmask.diffusion.state import Prediction, State
from unmask.errors import Error
from unmask.sampling import Request, Vocabulary, fill_request, generate
from unmask.sampling.autoregressive import Autoregressive
from unmask.sampling.repetition import penalised

WORDS = Vocabulary()
LOGITS = torch.tensor([0.0, 0.0, -9.0, 0.0, 2.0, 1.5, -1.0, -0.5])


class Constant:
    """The same logits everywhere."""

    def __call__(self, state: State, at: Any = None) -> Prediction:
        return Prediction(LOGITS.repeat(int(at.sum()), 1))


def request(prompt: tuple[int, ...], **settings: Any) -> Request:
    return fill_request(prompt, 4, WORDS, Autoregressive.Settings(ignore_eos=True, **settings))


def test_only_tokens_in_the_text_are_penalised_by_the_rows_own_factor() -> None:
    sampler = Autoregressive(use_cache=False)
    state = sampler.start([request((4, 6), repetition_penalty=2.0), request((4, 6)), request((5,))], WORDS)
    at = state.open & (state.open.long().cumsum(1) == 1)
    found = penalised(state, at, LOGITS.repeat(3, 1))
    assert found[0].tolist() == [0.0, 0.0, -9.0, 0.0, 1.0, 1.5, -2.0, -0.5]
    assert torch.equal(found[1:], LOGITS.repeat(2, 1))
    unpunished = sampler.start([request((4,)), request((5,))], WORDS)
    same = LOGITS.repeat(2, 1)
    assert penalised(unpunished, at[1:], same) is same


def test_a_strong_penalty_writes_no_word_twice_and_probabilities_stay_the_models_own() -> None:
    sampler = Autoregressive(use_cache=False)
    (plain,) = generate(Constant(), sampler, [request((), temperature=0.0)], WORDS)
    (varied,) = generate(Constant(), sampler, [request((), temperature=0.0, repetition_penalty=50.0)], WORDS)
    assert list(plain.written) == [4, 4, 4, 4]
    assert list(varied.written[:2]) == [4, 5]
    own = LOGITS.double()[[4, 5, 6, 7]].softmax(0)
    state = sampler.start([request((), temperature=0.0, repetition_penalty=50.0)], WORDS)
    for _ in range(2):
        state, _ = sampler.step(Constant(), state)
    assert state.confidence[0, state.tokens[0] == 5].item() == pytest.approx(own[1].item(), rel=1e-4)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_an_impossible_penalty_is_refused(value: float) -> None:
    with pytest.raises(Error, match="repetition_penalty"):
        Autoregressive.Settings(repetition_penalty=value)


def test_a_penalised_text_has_no_likelihood_of_its_sampler() -> None:
    assert Autoregressive().promise(Autoregressive.Settings(repetition_penalty=1.1)) == "none"
