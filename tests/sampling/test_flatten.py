"""The original sampler does what it says: posteriors are fed back, nothing is decided on the way, nothing drawn."""

import math

import pytest
import torch

from unmask.diffusion.options import FlattenOptions, MaskedOptions
from unmask.errors import Error
from unmask.sampling import Flatten, Vocabulary, drives, fill_request, generate
from unmask.sampling.sampler import check_drives

WORDS = Vocabulary()
BARRED = [0, 1, 3]


class Watched:
    """A network whose states are kept."""

    def __init__(self, model):
        self.model, self.config, self.states = model, model.config, []

    def __call__(self, state, at=None):
        self.states.append(state)
        return self.model(state, at=at)


def write(model, **settings):
    request = fill_request([5, 6], 9, WORDS, Flatten.Settings(steps=4, **settings))
    return generate(model, Flatten(), [request], WORDS)[0]


def test_the_opening_is_random_candidates_of_mass_one_in_v_at_open_positions(tiny):
    model = Watched(tiny(candidates=3))
    write(model, seed=1)
    first = model.states[0]
    opened = first.tokens == WORDS.mask
    assert (
        torch.allclose(first.candidates.mass[opened], torch.tensor(1 / 24)) and not first.candidates.mass[~opened].any()
    )
    assert first.t.tolist() == [1.0] and [float(s.t) for s in model.states] == [1.0, 0.75, 0.5, 0.25]
    other = Watched(tiny(candidates=3))
    write(other, seed=2)
    assert not torch.equal(first.candidates.tokens, other.states[0].candidates.tokens), "the seed draws them"


def test_the_next_state_is_the_tempered_answer_and_the_text_its_likeliest_words(tiny):
    model = Watched(tiny(candidates=3))
    sample = write(model, temperature=0.8, ignore_eos=True)
    assert len(model.states) == sample.forwards == 4
    for before, after in zip(model.states, model.states[1:], strict=False):
        assert torch.equal(before.tokens, after.tokens), "nothing is decided on the way"
        logits = model.model(before, at=before.tokens == WORDS.mask).logits
        logits[:, [*BARRED, WORDS.eos]] = -torch.inf
        best = (logits / 0.8).softmax(-1).topk(3)
        torch.testing.assert_close(after.candidates.mass[0, 3:], best.values, atol=1e-5, rtol=1e-4)
        assert torch.equal(after.candidates.tokens[0, 3:], best.indices)
    last = model.states[-1]
    logits = model.model(last, at=last.tokens == WORDS.mask).logits
    logits[:, [*BARRED, WORDS.eos]] = -torch.inf
    assert list(sample.tokens[:3]) == [1, 5, 6] and list(sample.tokens[3:]) == logits.argmax(-1).tolist()


@pytest.mark.parametrize("kind", ["kept", "replaced"])
def test_renoising_draws_a_text_and_noises_it_as_training_does(tiny, kind):
    """The drawn word is among the candidates, unless it was replaced, which happens with probability n(t)."""
    model = Watched(tiny(candidates=3))
    requests = [
        fill_request([], 40, WORDS, Flatten.Settings(steps=4, renoise=kind, ignore_eos=True), index=i)
        for i in range(30)
    ]
    generate(model, Flatten(), requests, WORDS, batch_size=30)
    state = model.states[2]  # t = 0.5
    n = 1 - math.cos(math.pi / 4)
    mass = state.candidates.mass[:, 1:]
    replaced = (mass - 1 / 24).abs().amax(-1) < 1e-6
    assert float(replaced.float().mean()) == pytest.approx(n if kind == "replaced" else 0, abs=0.04)
    expected = torch.tensor([0.98, 0.01, 0.01]) * (1 - n) + n / 24
    torch.testing.assert_close(mass[~replaced], expected.expand_as(mass[~replaced]), atol=1e-5, rtol=1e-4)
    texts = generate(tiny(candidates=3), Flatten(), requests, WORDS, batch_size=7)
    assert len({t.tokens for t in texts}) == 30, "texts are drawn"
    assert [t.tokens for t in texts] == [t.tokens for t in generate(tiny(candidates=3), Flatten(), requests, WORDS)]


def test_it_drives_only_the_process_that_trains_such_states():
    assert drives(Flatten.Settings, FlattenOptions) and not drives(Flatten.Settings, MaskedOptions)
    with pytest.raises(Error, match="shows weighted candidates .* trained as masked: it saw masks"):
        check_drives(Flatten.Settings, MaskedOptions)
    with pytest.raises(Error, match="renoise is 'often'"):
        Flatten.Settings(renoise="often")
