"""A text ends before the first stop string, and costs no more steps than it needs."""

from __future__ import annotations

from unmask.sampling import SAMPLERS, Request, Settings, Vocabulary, canvas, fill_request, generate
from unmask.sampling.until import cut_at, generate_until

WORDS = Vocabulary(size=24)


def decode(ids: list[int]) -> str:
    """One letter a token."""
    return "".join(chr(ord("a") + i - 4) for i in ids if i > 3)


def settings(name: str, seed: int) -> Settings:
    uses = SAMPLERS.facts(name).model_fields
    wanted = {"ignore_eos": True, "steps": 8, "remask_strength": 0.5, "rule": "remasking"}
    return SAMPLERS.facts(name)(seed=seed, **{k: v for k, v in wanted.items() if k in uses})


def test_the_text_is_the_samplers_own_cut_at_the_first_stop_string(sampler, model) -> None:
    requests = [fill_request([5, 6 + i], 10 + i, WORDS, settings(sampler.Settings.name, i)) for i in range(5)]
    whole = [decode(list(sample.written)) for sample in generate(model, sampler, requests, WORDS)]
    stops = [[text[4:6], "", text[7]] if i % 2 else [] for i, text in enumerate(whole)]
    for batch_size in (1, 5):
        found = generate_until(model, sampler, requests, stops, WORDS, decode, batch_size=batch_size)
        assert found == [cut_at(text, stop) for text, stop in zip(whole, stops, strict=True)]
    assert len(found[1]) < len(whole[1]) and found[0] == whole[0]


def test_a_row_leaves_at_its_stop_string(model) -> None:
    calls = []

    class Counting:
        config, parameters, new_cache = model.config, model.parameters, model.new_cache

        def __call__(self, *given, **named):
            calls.append(1)
            return model(*given, **named)

    sampler = SAMPLERS.get("autoregressive")()
    request = fill_request([5], 40, WORDS, settings("autoregressive", 0))
    whole = decode(list(generate(model, sampler, [request], WORDS)[0].written))
    (text,) = generate_until(Counting(), sampler, [request], [[whole[3]]], WORDS, decode)
    assert whole.startswith(text + whole[3]) and len(calls) == len(text) + 1 < len(whole)


def test_a_space_that_was_handed_over_is_not_given_back(model) -> None:
    import torch

    spaced = torch.zeros(24, dtype=torch.bool)
    spaced[10:] = True
    words = Vocabulary(spaced=spaced)
    tokens, lead = canvas([[5], []], [4], words, [0])
    request = Request(tokens, settings("autoregressive", 0), 0, lead)

    def spell(ids: list[int]) -> str:
        return "".join((" " if i >= 10 else "") + chr(ord("a") + i - 4) for i in ids if i > 3)

    (text,) = generate_until(model, SAMPLERS.get("autoregressive")(), [request], [[]], words, spell)
    assert text and not text.startswith(" ")


def test_stop_strings_are_cut_at_the_earliest() -> None:
    assert cut_at("one two three", ["three", "two"]) == "one "
    assert cut_at("one", ["", "x"]) == "one" and cut_at("x", ["x"]) == ""
