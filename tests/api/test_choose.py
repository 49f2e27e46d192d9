"""Options are weighed as the run's own law says, one way agrees with another, and what cannot be weighed is refused."""

import itertools
import json
import math

import numpy as np
import pytest
import torch

import unmask
from unmask.api.writing import vocabulary_of
from unmask.data.tokenizers import make_tokenizer
from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.evaluation.continuation import encode_pairs, score_continuations
from unmask.evaluation.options import Asked, any_order
from unmask.models.config import TransformerConfig
from unmask.models.transformer import Transformer
from unmask.sampling import SAMPLERS
from unmask.sampling.calibrated import Calibration
from unmask.training.calibration_file import write_calibration
from unmask.training.fingerprints import weights_fingerprint
from unmask.training.recipe import parse_recipe

TEXTS = ["the cat sat on the mat and the dog sat by the door. "] * 30 + ["a red boat under the old bridge. "] * 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a maker of runs with random networks."""

    def make(process, name="run", **options):
        path = tmp_path_factory.mktemp("choose") / f"{process}-{name}"
        words = make_tokenizer("bpe", TEXTS, 300)
        recipe = parse_recipe(
            {
                "data": {"tokenizer": "bpe", "vocab_size": 300, "length": 64},
                "process": {"name": process, **options},
            }
        )
        torch.manual_seed(0)
        size = {"vocab_size": words.vocab_size, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
        model = Transformer(TransformerConfig(**size, max_position_embeddings=64, initializer_range=0.5)).eval()
        with torch.no_grad():
            model.head.weight.mul_(0.3)
        model.save_pretrained(path)
        words.save(path / "tokenizer")
        (path / "recipe.yaml").write_text(recipe.to_yaml())
        (path / "run.json").write_text(json.dumps({"format": 1, "status": "finished"}))
        return path

    return make


@pytest.fixture(scope="module")
def run(folder):
    made = {}

    def load(process):
        return made.setdefault(process, made.get(process) or unmask.load(folder(process)))

    return load


@pytest.mark.parametrize("process", ["causal", "masked", "block", "uniform"])
def test_probabilities_sum_to_one_and_say_what_they_are(run, process):
    found = run(process).choose("the cat", [" sat", " old", " mat"])
    assert math.isclose(sum(found.probabilities), 1, abs_tol=1e-12)
    assert found.choice == int(np.argmax(found.probabilities))
    assert found.kind == {"causal": "exact", "masked": "exact", "block": "exact", "uniform": "bound"}[process]
    assert not found.calibrated


OPTIONS = [" sat", " cat sat on the mat", " zq", " sat by"]


@pytest.mark.parametrize("process", ["causal", "block"])
def test_left_to_right_they_are_the_likelihoods_of_continuations(run, process):
    loaded = run(process)
    found = loaded.choose("the dog ", [one.strip() for one in OPTIONS], batch_size=3)
    pairs = encode_pairs(loaded.tokenizer, [("the dog ", one.strip()) for one in OPTIONS])
    name = "autoregressive"
    wanted = score_continuations(
        loaded.network,
        run("causal").process,
        loaded.tokenizer,
        pairs,
        SAMPLERS.get(name)(),
        SAMPLERS.facts(name)(),
        vocabulary_of(loaded.tokenizer, loaded.network),
    )
    assert found.nats == pytest.approx([one.nats for one in wanted], rel=1e-4)
    assert found.calls == 1 + 2, "the prompt is read once"
    assert found.tokens == [len(after) for _, after in pairs]
    law = np.exp(-np.array(found.nats))
    assert found.probabilities == pytest.approx(list(law / law.sum()))


def test_text_behind_the_place_counts_left_to_right_too(run):
    loaded = run("causal")
    found = loaded.choose("the ____ sat on the mat", ["cat", "old boat"])
    whole = loaded.choose("the", [" cat sat on the mat", " old boat sat on the mat"])
    assert found.nats == pytest.approx(whole.nats, rel=1e-4)
    assert loaded.choose("the [x] sat", ["cat", "dog"], hole="[x]").nats == pytest.approx(
        loaded.choose("the ____ sat", ["cat", "dog"]).nats
    )


def test_no_option_depends_on_the_others(run):
    for process in ("causal", "masked"):
        loaded = run(process)
        alone = {one: loaded.choose("the", [one, " mat"]).nats[0] for one in (" cat", " dog", " old")}
        together = loaded.choose("the", [*alone, " mat"], batch_size=2)
        assert together.nats[:3] == pytest.approx(list(alone.values()), rel=1e-4)


def _asked(loaded, text, options):
    before, behind = text.split("____")
    encode = loaded.tokenizer.encode
    return Asked(encode(before.rstrip()), encode(behind), [encode(f" {one}") for one in options])


def test_in_any_order_they_are_the_mean_of_the_chain_rule_over_all_orders(run):
    loaded = run("masked")
    asked = _asked(loaded, "the ____ on the mat", ["red boat under", "cat sat by"])
    vocabulary = vocabulary_of(loaded.tokenizer, loaded.network)
    assert {len(one) for one in asked.options} == {3}
    found = any_order(loaded.network, asked, vocabulary, 8, by="exact")
    never = [vocabulary.mask, vocabulary.bos, vocabulary.pad, vocabulary.eos]  # given words follow
    for option, nats in zip(asked.options, found.nats, strict=True):
        total = 0.0
        for order in itertools.permutations(range(3)):
            canvas = [vocabulary.bos, *asked.before, *[vocabulary.mask] * 3, *asked.behind]
            first, product = 1 + len(asked.before), 1.0
            for place in order:
                at = torch.zeros(1, len(canvas), dtype=torch.bool)
                at[0, first + place] = True
                with torch.no_grad():
                    logits = loaded.network(State(torch.tensor([canvas]), "bidirectional"), at=at).logits[0].double()
                logits[never] = -torch.inf
                product *= float(logits.softmax(0)[option[place]])
                canvas[first + place] = option[place]
            total += product / 6
        assert math.isclose(-math.log(total), nats, rel_tol=1e-4)
    assert (found.kind, found.calls) == ("exact", 2), "13 canvases, the open one shared"


def test_one_call_is_the_product_of_its_answers_and_says_so(run):
    loaded = run("masked")
    found = loaded.choose("the ____ on the mat", ["cat sat", "dog sat"], by="one-call")
    assert (found.kind, found.calls) == ("one call", 1)
    exact = loaded.choose("the ____ on the mat", ["cat sat", "dog sat"])
    assert (exact.kind, exact.calls) == ("exact", 1)
    single = loaded.choose("the ____ sat", ["cat", "dog"], by="one-call")
    assert single.kind == "exact", "one word has no order"
    assert single.nats == loaded.choose("the ____ sat", ["cat", "dog"], by="exact").nats


def test_all_texts_of_a_place_share_one_in_any_order(run):
    loaded = run("masked")
    vocabulary = vocabulary_of(loaded.tokenizer, loaded.network)
    words = [i for i in range(loaded.tokenizer.vocab_size) if i > 3]
    few = words[:12]
    encode = loaded.tokenizer.encode
    asked = Asked(encode("the"), encode(" sat"), [[a, b] for a in few for b in few])
    for by in ("exact", "one-call"):
        found = any_order(loaded.network, asked, vocabulary, 64, by=by)
        assert 0 < sum(math.exp(-nats) for nats in found.nats) < 1
    one = any_order(loaded.network, Asked(asked.before, asked.behind, [[i] for i in words]), vocabulary, 64)
    assert math.isclose(sum(math.exp(-nats) for nats in one.nats), 1, rel_tol=1e-6)


def test_options_of_unlike_lengths_are_weighed_with_their_lengths(run):
    found = run("masked").choose("the ____ on the mat", ["cat sat", "dog", "old boat"])
    assert (found.kind, found.tokens) == ("estimate", [2, 1, 2])
    again = run("masked").choose("the ____ on the mat", ["cat sat", "dog", "old boat"])
    assert again.probabilities == found.probabilities
    with pytest.raises(Error, match="equally many tokens"):
        run("masked").choose("the ____ on the mat", ["cat sat", "dog"], by="one-call")


def test_a_calibration_stands_for_what_the_network_says(folder):
    path = folder("masked", "calibrated")
    options = ["cat", "dog", "boat"]
    raw = unmask.choose(path, "the ____ sat", options)
    assert not raw.calibrated
    flat = Calibration("platt", (0.0, 1.0), {"a": [0.01], "b": [0.0]}, {})
    write_calibration(path, flat, weights_fingerprint(path), {})
    found = unmask.choose(path, "the ____ sat", options)
    assert found.calibrated
    assert unmask.choose(path, "the ____ sat", options, calibrated=False).probabilities == raw.probabilities
    loaded = unmask.load(path)
    vocabulary = vocabulary_of(loaded.tokenizer, loaded.network)
    words = [[i] for i in range(4, loaded.tokenizer.vocab_size)]
    law, worth = (
        np.exp(-np.array(any_order(loaded.network, Asked([5], [6], words), vocabulary, 64, calibrated=on).nats))
        for on in (False, True)
    )
    best = int(law.argmax())
    told = 1 / (1 + math.exp(-0.01 * math.log(law[best] / (1 - law[best]))))
    assert math.isclose(worth[best], told, rel_tol=1e-6), "the likeliest word counts as often as it is right"
    rest = np.arange(len(words)) != best
    assert worth[rest] == pytest.approx(np.minimum(law[rest] * (1 - told) / (1 - law[best]), told), rel=1e-6)
    with pytest.raises(Error, match="masked positions"):
        unmask.choose(folder("causal"), "the", options, calibrated=True)
    with pytest.raises(Error, match="no calibration"):
        unmask.choose(folder("masked", "bare"), "the ____ sat", options, calibrated=True)


def test_nats_are_divided_only_where_that_is_asked(run):
    loaded = run("causal")
    plain = loaded.choose("the", [" cat", " dog sat"])
    by = {how: loaded.choose("the", [" cat", " dog sat"], normalise=how) for how in ("tokens", "bytes")}
    score = -np.array(plain.nats) / plain.tokens
    assert by["tokens"].probabilities == pytest.approx(list(np.exp(score) / np.exp(score).sum()), rel=1e-4)
    assert by["bytes"].normalise == "bytes"
    assert plain.normalise == "none"


def test_a_long_prompt_is_cut_alike_for_all_options(run):
    found = run("causal").choose("the cat sat on the mat " * 20, ["and", "the old bridge"])
    assert found.prompt_seen < found.prompt_tokens
    assert found.prompt_seen + max(found.tokens) + 1 == 64


@pytest.mark.parametrize(
    ("process", "given", "said"),
    [
        ("causal", {"options": ["a"]}, "give 2"),
        ("causal", {"options": "ab"}, "options"),
        ("causal", {"options": ["a", "a"]}, "same text"),
        ("causal", {"options": ["a", ""]}, "no tokens"),
        ("causal", {"options": ["a", "b " * 200]}, "shorten"),
        ("causal", {"by": "one-call"}, "left to right"),
        ("uniform", {"by": "exact"}, "likelihood"),
        ("masked", {"by": "soon"}, "auto, exact"),
        ("masked", {"normalise": "words"}, "none, tokens"),
        ("masked", {"prompt": "a ____ b ____"}, "2 holes"),
        ("masked", {"prompt": "a b", "hole": "[]"}, "no '\\[\\]'"),
        ("masked", {"hole": ""}, "empty"),
        ("masked", {"orders": 0}, "at least 1"),
    ],
)
def test_what_cannot_be_weighed_is_refused_in_one_line(run, process, given, said):
    with pytest.raises(Error, match=said) as caught:
        run(process).choose(**({"prompt": "the", "options": ["a", "b"]} | given))
    assert "\n" not in str(caught.value)


def test_the_verb_prints_options_best_first(folder, cli):
    path = folder("causal", "verb")
    done = cli("choose", path, "the cat", "--option", " sat", "--option", " zq", "--json")
    told = json.loads(done.out)
    assert (done.status, told["options"], told["kind"]) == (0, [" sat", " zq"], "exact")
    done = cli("choose", path, "the cat", "--option", " sat", "--option", " zq")
    first, second = (float(row.split()[0]) for row in done.out.strip().splitlines())
    assert first >= second
    assert "exact" in done.err
    done = cli("choose", path, "the cat", "--option", " sat")
    assert (done.status, done.out, len(done.err.strip().splitlines())) == (2, "", 1)
