"""A known world answers with its exact conditional probabilities, whatever is visible."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from unmask.certificates.ground import Ground
from unmask.certificates.masked_law import ReverseProcess
from unmask.certificates.total_variation import total_variation
from unmask.certificates.worlds import HMM, WORLDS
from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.sampling import Autoregressive, Request, Settings, Vocabulary, fill_request, generate

LENGTH = 4
MADE = {**{name: WORLDS.get(name) for name in WORLDS}, "random": HMM.random, "hidden": lambda: HMM.random(3, states=4)}


@pytest.fixture(params=list(MADE))
def world(request) -> HMM:
    return MADE[request.param]()


@pytest.fixture
def truth(world) -> torch.Tensor:
    """Probabilities of all texts, by going through all paths of hidden states."""
    total = torch.zeros(world.words**LENGTH, dtype=torch.float64)
    texts = world.all_texts(LENGTH)
    for path in itertools.product(range(len(world.start)), repeat=LENGTH):
        p = world.start[path[0]]
        for a, b in itertools.pairwise(path):
            p = p * world.transition[a, b]
        total += p * torch.stack([world.emission[z, texts[:, i]] for i, z in enumerate(path)]).prod(0)
    return total


def by_counting(world, truth, row: list[int], place: int, seen: list[bool]) -> torch.Tensor:
    """Return p(word at a place | the seen words of a row), summed over all texts that fit."""
    texts = world.all_texts(LENGTH)
    fits = torch.ones(len(texts), dtype=torch.bool)
    for i, visible in enumerate(seen):
        if visible:
            fits &= texts[:, i] == row[i]
    p = torch.stack([truth[fits & (texts[:, place] == w)].sum() for w in range(world.words)])
    return p / p.sum()


def test_the_likelihood_and_the_entropy_are_those_of_all_hidden_paths(world, truth):
    torch.testing.assert_close((-world.nats(world.all_texts(LENGTH))).exp(), truth)
    assert float(truth.sum()) == pytest.approx(1)
    assert world.entropy(LENGTH) == pytest.approx(float(-(truth * truth.log()).sum()))


def test_both_sides_of_a_hidden_word_are_used_exactly(world, truth):
    row = [2, 0, 1, 1]
    for seen in itertools.product([False, True], repeat=LENGTH):
        tokens = world.tokens(torch.tensor([row]))
        at = torch.tensor([[False, *(not s for s in seen)]])
        tokens[at] = world.vocabulary.mask
        answer = world(State(tokens), at=at).logits.exp()
        assert torch.all(answer[:, : world.first] == 0), "special tokens are never predicted"
        for slot, place in enumerate(p for p in range(LENGTH) if not seen[p]):
            torch.testing.assert_close(answer[slot, world.first :], by_counting(world, truth, row, place, list(seen)))


def test_left_to_right_uses_the_past_alone(world, truth):
    row = [1, 2, 2, 0]
    answer = world(State(world.tokens(torch.tensor([row])), "causal")).logits.exp()[:, world.first :]
    for place in range(LENGTH):
        past = [p < place for p in range(LENGTH)]
        torch.testing.assert_close(answer[place + 1], by_counting(world, truth, row, place, past))


def test_a_visible_word_is_certain(world):
    tokens = world.tokens(torch.tensor([[2, 0, 1, 1]]))
    tokens[0, 3] = world.vocabulary.mask
    answer = world(State(tokens)).logits.exp()
    assert [float(answer[p, int(tokens[0, p])]) for p in (1, 2, 4)] == [1.0, 1.0, 1.0]


def test_padding_tells_nothing_and_rows_do_not_see_each_other(world):
    tokens = world.tokens(world.sample(6, LENGTH, seed=1))
    tokens[:, 2] = world.vocabulary.mask
    short = world(State(tokens[:, :4]), at=tokens[:, :4] == world.vocabulary.mask).logits
    for behind in (world.vocabulary.pad, world.first + 1):
        padded = tokens.clone()
        padded[:, 4:] = behind
        valid = torch.arange(LENGTH + 1).expand_as(padded) < 4
        at = (padded == world.vocabulary.mask) & valid
        torch.testing.assert_close(world(State(padded, valid=valid), at=at).logits, short)
    alone = torch.cat([world(State(r[None, :4]), at=r[None, :4] == world.vocabulary.mask).logits for r in tokens])
    torch.testing.assert_close(alone, short)


def test_answers_come_in_the_order_of_what_was_asked(world):
    tokens = world.tokens(world.sample(5, LENGTH, seed=2))
    at = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    at[:, 0] = False
    tokens[at] = world.vocabulary.mask
    every = world(State(tokens)).logits.view(*tokens.shape, -1)
    assert torch.equal(world(State(tokens), at=at).logits, every[at])


def test_samples_follow_the_truth(world, truth):
    texts = world.sample(20_000, LENGTH, seed=3)
    number = (texts * world.words ** torch.arange(LENGTH - 1, -1, -1)).sum(1)
    assert total_variation(number, truth).low < 0.01
    assert total_variation(number, truth.roll(1)).low > 0.1


def test_the_cache_answers_as_reading_the_whole_text_does(world):
    vocabulary = world.vocabulary
    settings = Settings(ignore_eos=True)
    prefixes = [[], [4], [6, 5], [5, 5, 4]]
    requests = [fill_request(p, 3 + i, vocabulary, settings, index=i) for i, p in enumerate(prefixes * 8)]
    cached = generate(world, Autoregressive(), requests, vocabulary, batch_size=5)
    plain = generate(world, Autoregressive(use_cache=False), requests, vocabulary, batch_size=32)
    assert [s.tokens for s in cached] == [s.tokens for s in plain]
    for a, b in zip(cached, plain, strict=True):
        assert a.confidence == pytest.approx(b.confidence, rel=1e-6)


def test_other_special_tokens_are_honoured():
    world = HMM(*(getattr(HMM.random(), n) for n in ("start", "transition", "emission")), Vocabulary(7, 0, 9, 2))
    assert world.first == 10
    (sample,) = generate(world, Autoregressive(), [Request((0, 2, 2), Settings(ignore_eos=True))], world.vocabulary)
    assert min(sample.written) >= 10


def test_worlds_that_cannot_answer_and_questions_without_answer_are_refused(world):
    half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    eye = torch.eye(2, dtype=torch.float64)
    with pytest.raises(Error, match="transition must hold 2 x 2 probabilities above 0"):
        HMM.markov(half, eye)
    with pytest.raises(Error, match="transition must be float64 probabilities that sum to 1"):
        HMM.markov(half, torch.full((2, 2), 0.4, dtype=torch.float64))
    with pytest.raises(Error, match="every word a state"):
        HMM(half, half.expand(2, 2), torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64))
    tokens = world.tokens(world.sample(2, LENGTH))
    with pytest.raises(Error, match="do not pack"):
        world(State(tokens, segments=torch.tensor([[1, 1, 1, 2, 2]] * 2)))
    with pytest.raises(Error, match="no answer under 'sideways'"):
        world(State(tokens, "sideways"))


def ordered_partitions(places: tuple[int, ...]):
    """Yield every way to cut a set into an ordered sequence of non-empty parts."""
    if not places:
        yield []
    for size in range(1, len(places) + 1):
        for part in itertools.combinations(places, size):
            for rest in ordered_partitions(tuple(p for p in places if p not in part)):
                yield [part, *rest]


def test_the_reverse_process_is_the_mean_over_all_ordered_partitions(world, truth):
    texts = world.all_texts(LENGTH)
    tokens = world.tokens(texts)
    every = list(ordered_partitions(tuple(range(LENGTH))))
    assert len(every) == 75  # the ordered Bell number of 4
    written = []
    for parts in every:
        p, hidden = torch.ones(len(texts), dtype=torch.float64), torch.ones_like(tokens, dtype=torch.bool)
        hidden[:, 0] = False
        for part in parts:
            answer = (
                world(State(tokens.masked_fill(hidden, world.vocabulary.mask))).logits.exp().view(*tokens.shape, -1)
            )
            for place in part:
                p = p * answer[:, place + 1].gather(1, tokens[:, place + 1, None])[:, 0]
            hidden[:, [place + 1 for place in part]] = False
        written.append(p)
    reverse = ReverseProcess(world, LENGTH)
    for steps in (1, 2, 3, 7, 64):
        chances = [math.comb(steps, len(parts)) / steps**LENGTH for parts in every]
        assert sum(chances) == pytest.approx(1)
        torch.testing.assert_close(reverse.law(steps), sum(c * p for c, p in zip(chances, written, strict=True)))
    ground = Ground("", world, LENGTH)
    apart = [ground.from_truth(reverse.law(n)) for n in (1, 2, 4, 8, 1000)]
    assert apart == sorted(apart, reverse=True) and apart[-1] < 0.01 * apart[0]
