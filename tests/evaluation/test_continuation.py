"""A continuation's score is what the chain rule or the bound says of it, whatever its batch; greedy means greedy."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from unmask.data.tokenizers import Tokenizer, make_tokenizer
from unmask.diffusion.causal import Causal, CausalOptions
from unmask.diffusion.masked import Masked, MaskedOptions
from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.evaluation.continuation import encode_pairs, fit, score_continuations
from unmask.models.config import TransformerConfig
from unmask.models.transformer import Transformer
from unmask.sampling import SAMPLERS, Request, Settings, Vocabulary, generate

PAIRS = [("the cat", " sat on"), ("the cat", " ran up"), ("", "x"), ("a dog and", " then"), ("one", ""), ("end ", "y")]


@pytest.fixture
def sharp(byte_tokenizer: Tokenizer) -> Transformer:
    """A byte model whose predictions are far from uniform."""
    torch.manual_seed(1)
    config = TransformerConfig(
        vocab_size=byte_tokenizer.vocab_size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=0.4,
    )
    return Transformer(config).eval()


def vocabulary(tokenizer: Tokenizer) -> Vocabulary:
    return tokenizer.vocabulary


def score(model, name: str, tokenizer: Tokenizer, pairs, *, sampler: str | None = None, steps: int = 4, **options):
    words = tokenizer.vocabulary
    part = Causal(CausalOptions(), words) if name == "causal" else Masked(MaskedOptions(), words)
    chosen = sampler or part.sampler
    settings = SAMPLERS.facts(chosen)(steps=steps) if "steps" in SAMPLERS.facts(chosen).model_fields else Settings()
    encoded = encode_pairs(tokenizer, pairs)
    return score_continuations(
        model, part, tokenizer, encoded, SAMPLERS.get(chosen)(), settings, vocabulary(tokenizer), **options
    )


def test_causal_nats_are_the_chain_rule_from_whole_texts(sharp: Transformer, byte_tokenizer: Tokenizer) -> None:
    scored = score(sharp, "causal", byte_tokenizer, PAIRS)
    for (context, more), found in zip(PAIRS, scored, strict=True):
        ids = [byte_tokenizer.bos_id, *byte_tokenizer.encode(context + more)]
        with torch.no_grad():
            logits = sharp(State(torch.tensor([ids]), "causal")).logits.double()
        logits[:, byte_tokenizer.mask_id] = -torch.inf
        moved = len((context.rstrip()).encode())
        each = -logits.log_softmax(-1)[range(len(ids)), ids][1 + moved :]
        assert found.nats == pytest.approx(float(each.sum()), rel=1e-5)
    assert scored[4].nats == 0 and scored[4].greedy


@pytest.mark.parametrize("name", ["causal", "masked"])
def test_a_score_depends_on_content_and_seed_alone(name: str, sharp: Transformer, byte_tokenizer: Tokenizer) -> None:
    together = score(sharp, name, byte_tokenizer, PAIRS, draws=3)
    alone = [score(sharp, name, byte_tokenizer, [pair], draws=3)[0] for pair in PAIRS]
    turned = score(sharp, name, byte_tokenizer, PAIRS[::-1], draws=3, batch_size=2)[::-1]
    for a, b, c in zip(together, alone, turned, strict=True):
        assert a.nats == pytest.approx(b.nats, rel=1e-4) and a.nats == pytest.approx(c.nats, rel=1e-4)
        assert a.greedy == b.greedy == c.greedy
    other = score(sharp, name, byte_tokenizer, PAIRS[:1], draws=3, seed=9)[0]
    assert (other.nats == pytest.approx(together[0].nats, rel=1e-6)) == (name == "causal")


def test_the_choices_of_a_question_are_hidden_at_the_same_places(byte_tokenizer: Tokenizer, sharp: Transformer) -> None:
    seen = []

    class Spy(torch.nn.Module):
        config, device = sharp.config, sharp.device

        def forward(self, state: State, at: torch.Tensor) -> object:
            seen.append(at)
            return sharp(state, at=at)

    for more in (" sat on", " ran up"):
        seen.append(None)
        score(Spy(), "masked", byte_tokenizer, [("the cat", more)], draws=4)
    first, second = seen[1:5], seen[seen.index(None, 1) + 1 :][:4]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_one_token_is_scored_exactly_and_duel_agrees(sharp: Transformer, byte_tokenizer: Tokenizer) -> None:
    pairs = [("the cat", "s"), ("", "x")]
    bound, duel = (score(sharp, "masked", byte_tokenizer, pairs, likelihood=kind) for kind in ("default", "duel"))
    assert [each.nats for each in bound] == pytest.approx([each.nats for each in duel], rel=1e-6)
    longer = [("the cat", " sat on the mat")]
    many = score(sharp, "masked", byte_tokenizer, longer, draws=64)[0].nats
    assert score(sharp, "masked", byte_tokenizer, longer, likelihood="duel")[0].nats != pytest.approx(many, abs=1e-3)
    with pytest.raises(Error, match="no duel likelihood"):
        score(sharp, "causal", byte_tokenizer, pairs, likelihood="duel")


@pytest.mark.parametrize(
    ("name", "sampler"), [("causal", "autoregressive"), ("masked", "ancestral"), ("masked", "confidence")]
)
def test_greedy_is_what_the_sampler_writes_at_temperature_zero(
    name: str, sampler: str, sharp: Transformer, byte_tokenizer: Tokenizer
) -> None:
    words = replace(vocabulary(byte_tokenizer), table=None)  # a random network's letters are not completed
    cold = {"temperature": 0.0, "ignore_eos": True} | ({} if name == "causal" else {"steps": 4})
    context = byte_tokenizer.encode("the cat")
    open_ = (words.bos, *context, *(words.mask,) * 6)
    written = list(
        generate(sharp, SAMPLERS.get(sampler)(), [Request(open_, SAMPLERS.facts(sampler)(**cold))], words)[0].written
    )
    wrong = [*written[:-1], written[-1] ^ 1]
    process = Causal(CausalOptions(), words) if name == "causal" else Masked(MaskedOptions(), words)
    settings = Settings() if name == "causal" else SAMPLERS.facts(sampler)(steps=4)
    pairs = [(context, written), (context, wrong)]
    found = score_continuations(sharp, process, byte_tokenizer, pairs, SAMPLERS.get(sampler)(), settings, words)
    assert [each.greedy for each in found] == [True, False]


def test_white_space_at_the_contexts_end_belongs_to_the_continuation() -> None:
    words = make_tokenizer("bpe", ["the cat sat on the mat and the dog sat by the door. "] * 40, 300)
    ((context, more),) = encode_pairs(words, [("the cat ", "sat")])
    assert (words.decode(context), words.decode(more)) == ("the cat", " sat") and len(more) == 1
    whole = words.encode("the cat sat on")
    ((context, more),) = encode_pairs(words, [("the cat", " sat on")])
    assert [*context, *more] == whole  # at a border between words, apart is together
    assert encode_pairs(words, [(" \n", "sat")])[0][0] == []


def test_long_contexts_lose_their_beginning_and_long_continuations_are_refused() -> None:
    fitted, cut = fit([([1, 2, 3, 4, 5, 6], [7, 8]), ([1], [2]), ([], [3] * 7), ([9], [3] * 7)], 8)
    assert fitted == [([2, 3, 4, 5, 6], [7, 8]), ([1], [2]), ([], [3] * 7), ([], [3] * 7)] and cut == 2
    with pytest.raises(Error, match="a continuation of 8 tokens does not fit into the context of 8"):
        fit([([1], [2] * 8)], 8)


def test_the_bound_of_a_uniform_model_is_ln_v_a_token(uniform: Transformer, byte_tokenizer: Tokenizer) -> None:
    for name in ("causal", "masked"):
        nats = [each.nats for each in score(uniform, name, byte_tokenizer, PAIRS)]
        sizes = [len((c[len(c.rstrip()) :] + more).encode()) for c, more in PAIRS]
        assert nats == pytest.approx([n * math.log(byte_tokenizer.vocab_size - 1) for n in sizes], rel=1e-5)
