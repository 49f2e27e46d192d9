"""Every part of every registry keeps every promise. A new entry is tested with no new code."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guards.guard import shown
from guards.lengths import all_texts_share_one
from guards.networks import (
    candidate_fields,
    candidate_order_does_not_matter,
    few_asked_as_all,
    network_rows_stay_apart,
    position_matters,
    the_future_stays_unseen,
)
from guards.parts import (
    CASES,
    DRIVEN,
    NETWORKS,
    PAIRS,
    any_settings,
    make_batch,
    make_process,
    network,
    over,
)
from guards.processes import (
    a_uniform_model_scores_ln_v,
    documents_stay_apart,
    every_parameter_learns,
    every_token_counts_alike,
    hidden_truth_stays_hidden,
    no_likelihood_beats_the_source,
    process_rows_stay_apart,
    seeds_decide_the_noise,
)
from guards.samplers import (
    an_overfit_model_recites,
    sampler_rows_stay_apart,
    seeds_decide_the_text,
    skipped_calls_change_nothing,
    states_were_trained,
)
from guards.texts import tokenizer_is_lossless
from unmask.data.tokenizers import PROBES, make_tokenizer
from unmask.diffusion.process import PROCESSES
from unmask.models.registry import BACKBONES
from unmask.sampling import SAMPLERS, drives

USUAL = [pair for pair in PAIRS if not pair.options]
"""Every process with its defaults, and every network that can learn it."""


def drivers(pair):
    """Return the samplers that can drive the finished model of a pair."""
    made = [SAMPLERS.get(name)() for name in SAMPLERS]
    return [sampler for sampler in made if drives(sampler.Settings, pair.process)]


DRIVERS = [(pair, sampler.Settings.name) for pair in USUAL for sampler in drivers(pair)]


@over("backbone, sizes, visibility", NETWORKS)
def test_position_matters(backbone, sizes, visibility):
    position_matters(network(backbone, **sizes), visibility)


@over("backbone, sizes, visibility", NETWORKS)
def test_rows_of_a_networks_batch_do_not_mix_and_padding_is_not_seen(backbone, sizes, visibility):
    network_rows_stay_apart(network(backbone, **sizes), visibility)


@over("backbone, sizes, visibility", NETWORKS)
def test_asking_for_few_positions_gives_the_same_logits_as_asking_for_all(backbone, sizes, visibility):
    few_asked_as_all(network(backbone, **sizes), visibility)


@over("pair", [pair for pair in USUAL if pair.process.visibility == "causal"])
def test_no_later_token_changes_an_earlier_prediction(pair):
    the_future_stays_unseen(pair.network())


@over("pair", PAIRS, guard="candidate_order_does_not_matter")
def test_the_order_of_candidates_does_not_matter(pair):
    model = pair.network()
    calls = shown(pair.process, model, make_batch(3, 10, ragged=True))
    for call in calls:
        candidate_order_does_not_matter(model, call.state)
    if pair.process.options.network().get("candidates"):
        assert any(candidate_fields(call.state) for call in calls), "no state of the process has candidates to shuffle"


@over("pair", PAIRS, guard="hidden_truth_stays_hidden")
def test_hidden_truth_never_reaches_the_logits(pair):
    for progress in (0.0, 1.0) if pair.options else (1.0,):  # curricula and warm starts are options
        hidden_truth_stays_hidden(pair.process, pair.network(), make_batch(4, 9, ragged=True), progress=progress)


@over("pair", [pair for pair in PAIRS if pair.process.options.isolate_documents])
def test_no_prediction_crosses_a_documents_border(pair):
    documents_stay_apart(pair.process, pair.network(), make_batch(8, 12, ragged=True))


@over("name, options", [case for case in CASES if case[0] in ("masked", "sparse") or "scripts" in case[1]])
def test_every_token_counts_as_much_in_the_loss_as_any_other(name, options):
    tolerance = 0.33 if options.get("weighting") == "elbo" else 0.1
    every_token_counts_alike(make_process(name, **options), make_batch(3, 13), tolerance=tolerance)


@over("pair", PAIRS)
def test_every_learnable_parameter_gets_a_gradient(pair):
    every_parameter_learns(pair.process, pair.network(), make_batch(16, ragged=True))


@over("pair", PAIRS)
def test_the_same_seed_gives_the_same_loss_and_likelihood(pair):
    seeds_decide_the_noise(pair.process, pair.network(), make_batch(ragged=True))


@over("pair", PAIRS)
def test_rows_of_a_processs_batch_do_not_mix_and_padding_is_not_seen(pair):
    process_rows_stay_apart(pair.process, pair.network(), make_batch(4, 12, ragged=True))


@over("name, options", CASES)
def test_a_uniform_model_scores_ln_v(name, options):
    a_uniform_model_scores_ln_v(make_process(name, **options), make_batch(ragged=True))


@over("name, options", CASES)
def test_a_likelihood_is_never_below_the_entropy_of_a_known_source(name, options):
    no_likelihood_beats_the_source(make_process(name, **options))


@over("name", list(PROCESSES))
def test_all_texts_together_have_no_more_probability_than_one(name):
    all_texts_share_one(make_process(name))


@over("pair", [pair for pair in PAIRS if pair.plain], guard="an_overfit_model_recites")
def test_an_overfit_model_recites_its_text(pair):
    names = {sampler.Settings.name for sampler in drivers(pair)}
    assert pair.process.sampler in names, f"{pair.name} names {pair.process.sampler!r}, which cannot drive it"
    an_overfit_model_recites(pair.process, pair.network(initializer_range=0.1, hidden_size=32), drivers(pair))


@over("sampler, name, options", DRIVEN, guard="states_were_trained")
def test_a_sampler_visits_only_states_that_training_visits(sampler, name, options):
    states_were_trained(make_process(name, **options), SAMPLERS.get(sampler)())


@over("pair, sampler", [(pair, sampler) for pair, sampler in DRIVERS if pair.plain], guard="seeds_decide_the_text")
def test_the_same_seed_gives_the_same_text(pair, sampler):
    seeds_decide_the_text(pair.network(), SAMPLERS.get(sampler)())


@over("pair, sampler", DRIVERS)
def test_batch_mates_order_and_padding_do_not_change_a_text(pair, sampler):
    sampler_rows_stay_apart(pair.network(), SAMPLERS.get(sampler)())


@over(
    "pair, sampler",
    [(p, s) for p, s in DRIVERS if p.plain and "skip" in {f.name for f in fields(SAMPLERS.get(s))}],
)
def test_calls_that_a_sampler_leaves_out_change_no_text(pair, sampler):
    skipped_calls_change_nothing(pair.network(), SAMPLERS.get(sampler)())


def test_every_setting_is_varied_by_row():
    for name in SAMPLERS:
        drawn = [any_settings(SAMPLERS.get(name), number) for number in range(200)]
        for setting in SAMPLERS.facts(name).model_fields:
            assert len({getattr(own, setting) for own in drawn}) > 1, f"{name}: all rows have one {setting}"


def test_nothing_registered_escapes_the_guards():
    assert {pair.backbone for pair in USUAL} == set(BACKBONES)
    assert {pair.name for pair in USUAL} == set(PROCESSES)
    assert {name for _, name in DRIVERS} == set(SAMPLERS)


TEXTS = ["the cat sat on the mat", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e"] * 3
TOKENIZERS = [make_tokenizer("bytes", [], 0), make_tokenizer("bpe", TEXTS, 300)]


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda t: t.name)
@given(text=st.text(max_size=40))
@example(text="")
@example(text="a\u200db\u200cc \u0301  \u00a0\u3000\r\n\t")
@example(text="<|mask|> and <|eos|>")
@example(text="".join(PROBES))
@settings(deadline=None, max_examples=150)
def test_decoding_gives_the_text_back_exactly(tokenizer, text):
    tokenizer_is_lossless(tokenizer, text)
