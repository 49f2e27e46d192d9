import itertools
import math

import pytest
import torch

from oracles import Tempered
from unmask.certificates.worlds import HMM, all_texts
from unmask.data.batch import Batch
from unmask.diffusion.causal import Causal, CausalOptions
from unmask.diffusion.likelihood import ORDERS
from unmask.diffusion.masked import Masked, MaskedOptions
from unmask.diffusion.state import Prediction, State
from unmask.errors import Error
from unmask.sampling import Vocabulary

WORDS, BOS, MASK = 3, 3, 4  # ids 0, 1, 2 are words
SOURCE_MASK = Vocabulary().mask  # of the known sources


def causal() -> Causal:
    return Causal(CausalOptions(), Vocabulary(mask=MASK))


def masked(mask_id: int = MASK) -> Masked:
    return Masked(MaskedOptions(), Vocabulary(mask=mask_id))


def texts(words: torch.Tensor) -> Batch:
    tokens = torch.cat([torch.full_like(words[:, :1], BOS), words], 1)
    return Batch(tokens, torch.ones_like(tokens), torch.arange(len(tokens)), BOS)


@pytest.fixture
def network(tiny):
    """A random transformer over three words, BOS and the mask that never predicts BOS."""
    model = tiny(vocab_size=5, initializer_range=0.8)

    @torch.no_grad()
    def call(state: State, at: torch.Tensor) -> Prediction:
        logits = model(state, at=at).logits
        logits[:, BOS] = -torch.inf
        return Prediction(logits)

    return call


def test_a_uniform_model_scores_the_log_of_what_may_be_predicted_in_every_order(batch, spy):
    clean = batch(ragged=True)  # 23 ids, and the mask is never predicted
    expected = clean.predictable.sum(1).double() * math.log(22)
    process = Masked(MaskedOptions(), Vocabulary())
    for order in ORDERS:
        for per_step in (1, 4):
            nats = process.duel(spy(), clean, order, per_step).nats
            torch.testing.assert_close(nats, expected, atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("length", [3, 4])
def test_the_causal_likelihoods_of_all_texts_sum_to_one(network, length):
    nats = causal().likelihood(network, texts(all_texts(WORDS, length))).nats
    assert float((-nats).exp().sum()) == pytest.approx(1, abs=1e-5)
    assert nats.std() > 0.5


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("per_step", [1, 2, 4])
def test_the_duel_likelihoods_of_all_texts_sum_to_one(network, order, per_step):
    likelihood = masked().duel(network, texts(all_texts(WORDS, 4)), order, per_step)
    assert float((-likelihood.nats).exp().sum()) == pytest.approx(1, abs=1e-5)
    assert likelihood.bound == f"exact for order {order}, {per_step} a step"
    assert likelihood.nats.std() > 0.5


def test_orders_of_confidence_differ_from_left_to_right(network):
    every = texts(all_texts(WORDS, 4))
    nats = {order: masked().duel(network, every, order).nats for order in ORDERS}
    assert (nats["peak"] - nats["left-to-right"]).abs().max() > 0.1


def test_duel_in_one_step_is_the_product_of_the_marginals(network):
    clean = texts(all_texts(WORDS, 4))
    hidden = clean.predictable
    state = State(clean.tokens.masked_fill(hidden, MASK), t=torch.ones(len(hidden)))
    logits = network(state, at=hidden).logits.double()
    logits[:, MASK] = -torch.inf
    nats = -logits.log_softmax(-1).gather(1, clean.tokens[hidden][:, None]).view(-1, 4).sum(1)
    for per_step in (4, 9):
        torch.testing.assert_close(masked().duel(network, clean, "peak", per_step).nats, nats, atol=1e-4, rtol=1e-5)


def nats_in_order(network, clean: Batch, order: tuple[int, ...]) -> torch.Tensor:
    """-log p of texts whose tokens are revealed one by one in a fixed order."""
    hidden = clean.predictable.clone()
    total = torch.zeros(len(hidden), dtype=torch.float64)
    for p in order:
        at = torch.zeros_like(hidden)
        at[:, p] = True
        logits = network(State(clean.tokens.masked_fill(hidden, MASK), t=hidden.float().mean(1)), at=at).logits.double()
        logits[:, MASK] = -torch.inf
        total -= logits.log_softmax(-1).gather(1, clean.tokens[:, p][:, None])[:, 0]
        hidden[:, p] = False
    return total


def test_the_bound_is_the_mean_over_all_orders_and_above_their_mixture(network):
    words = all_texts(WORDS, 3)
    orders = torch.stack([nats_in_order(network, texts(words), order) for order in itertools.permutations((1, 2, 3))])
    mixture = -torch.logsumexp(-orders, 0) + math.log(len(orders))
    assert float((-mixture).exp().sum()) == pytest.approx(1, abs=1e-5)
    repeats = 1000
    estimates = masked().likelihood(network, texts(words.repeat(repeats, 1)), draws=3).nats.view(repeats, len(words))
    error = estimates.std(0) / math.sqrt(repeats)
    assert ((estimates.mean(0) - orders.mean(0)).abs() < 4.5 * error + 1e-3).all()
    assert (estimates.mean(0) - mixture > -4.5 * error - 1e-3).all()
    assert float((orders.mean(0) - mixture).max()) > 0.05


@pytest.fixture(scope="module")
def source():
    return HMM.random()


def test_exact_likelihoods_of_a_known_source_are_the_true_ones(source):
    words = source.sample(200, 8)
    clean, truth = source.batch(words), source.nats(words)
    torch.testing.assert_close(
        Causal(CausalOptions(), Vocabulary()).likelihood(source, clean).nats, truth, atol=1e-4, rtol=1e-5
    )
    for order in ORDERS:  # with exact conditionals, every order multiplies to the same text probability
        torch.testing.assert_close(masked(SOURCE_MASK).duel(source, clean, order).nats, truth, atol=1e-4, rtol=1e-5)
    assert masked(SOURCE_MASK).duel(source, clean, "peak", 8).nats.mean() > truth.mean() + 0.1


@pytest.mark.parametrize("temperature", [1.0, 1.7, 0.6])
def test_the_bound_of_a_perfect_denoiser_is_tight_and_that_of_another_is_not(temperature):
    source = HMM.random()
    words = source.sample(4000, 8)
    nats = masked(SOURCE_MASK).likelihood(Tempered(source, temperature), source.batch(words), draws=4).nats
    excess = nats - source.nats(words)  # against the text's own nats: the source's spread cancels
    error = float(excess.std()) / math.sqrt(len(excess))
    assert error < 0.05
    if temperature == 1.0:
        assert abs(float(excess.mean())) < 4 * error  # a perfect denoiser's bound is tight
        assert float(nats.mean()) == pytest.approx(source.entropy(8), abs=0.2)
    else:
        assert float(excess.mean()) > 4 * error


def test_more_draws_make_the_bound_sharper(source):
    words = source.sample(1, 12).expand(1500, -1)
    spreads = [
        float(masked(SOURCE_MASK).likelihood(source, source.batch(words), draws=k).nats.std()) for k in (1, 4, 12)
    ]
    assert spreads[1] < 0.6 * spreads[0] and spreads[2] < 0.7 * spreads[1]


def test_a_packed_blocks_likelihood_is_the_sum_of_its_documents(tiny):
    model = tiny()
    first, second = [5, 6, 7, 2], [8, 9, 10, 11, 12, 2]

    def pack(*documents: list[int], length: int) -> Batch:
        tokens = [token for d in documents for token in (1, *d)]
        segments = [i + 1 for i, d in enumerate(documents) for _ in (1, *d)]
        fill = length - len(tokens)
        return Batch(
            torch.tensor([tokens + [0] * fill]),
            torch.tensor([segments + [0] * fill]),
            torch.zeros(1, dtype=torch.int64),
            1,
        )

    packed, alone = pack(first, second, length=16), [pack(d, length=len(d) + 1) for d in (first, second)]
    process = Masked(MaskedOptions(), Vocabulary())
    for score in (Causal(CausalOptions(), Vocabulary()).likelihood, process.duel):
        nats = sum(score(model, b).nats for b in alone)
        torch.testing.assert_close(score(model, packed).nats, nats, atol=1e-3, rtol=1e-4)


def tail(clean: Batch, length: int) -> torch.Tensor:
    """The last words of each text."""
    scored = torch.zeros_like(clean.predictable)
    scored[:, -length:] = True
    return scored


def test_the_nats_of_a_part_given_the_rest_are_the_true_ones(source):
    words = source.sample(400, 8)
    clean = source.batch(words)
    truth = source.nats(words) - source.nats(words[:, :5])  # the head's nats are those of a shorter text
    scored = tail(clean, 3)
    torch.testing.assert_close(
        Causal(CausalOptions(), Vocabulary()).likelihood(source, clean, scored=scored).nats, truth, atol=1e-4, rtol=1e-5
    )
    torch.testing.assert_close(masked(SOURCE_MASK).duel(source, clean, scored=scored).nats, truth, atol=1e-4, rtol=1e-5)
    bound = masked(SOURCE_MASK).likelihood(source, clean, draws=8, scored=scored)
    excess = bound.nats - truth
    assert bound.bound == "upper bound" and abs(float(excess.mean())) < 4 * float(excess.std()) / 20
    weaker = Tempered(source, 1.7)
    excess = masked(SOURCE_MASK).likelihood(weaker, clean, draws=8, scored=scored).nats - truth
    assert float(excess.mean()) > 4 * float(excess.std()) / 20


def test_what_is_given_is_never_hidden_and_the_noise_level_is_that_of_the_whole_text(batch, spy):
    clean, network = batch(), spy()
    scored = tail(clean, 5)
    process = Masked(MaskedOptions(), Vocabulary())
    process.likelihood(network, clean, draws=3, scored=scored)
    process.duel(network, clean, scored=scored)
    assert len(network.calls) == 3 + 5
    for state, at in network.calls:
        assert torch.equal(state.tokens == 3, at) and not bool((at & ~scored).any())
        torch.testing.assert_close(state.t, at.sum(1) / 15)  # 15 words behind BOS


@pytest.mark.parametrize("kind", ["causal", "bound", "duel"])
def test_asking_for_every_position_is_asking_for_none(tiny, batch, kind):
    clean, model = batch(ragged=True), tiny()
    process = Masked(MaskedOptions(), Vocabulary())
    score = {
        "causal": Causal(CausalOptions(), Vocabulary()).likelihood,
        "bound": process.likelihood,
        "duel": process.duel,
    }[kind]
    assert torch.equal(score(model, clean).nats, score(model, clean, scored=torch.ones_like(clean.predictable)).nats)
    nothing = score(model, clean, scored=torch.zeros_like(clean.predictable)).nats
    assert nothing.count_nonzero() == 0


def test_bad_questions_are_refused(batch, spy):
    process = Masked(MaskedOptions(), Vocabulary())
    with pytest.raises(Error, match="draws is 0"):
        process.likelihood(spy(), batch(), draws=0)
    with pytest.raises(Error, match="unknown order 'peek'.*peak"):
        process.duel(spy(), batch(), order="peek")
    with pytest.raises(Error, match="per_step is 0"):
        process.duel(spy(), batch(), per_step=0)
