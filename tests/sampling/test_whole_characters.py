"""No sampler leaves half a character, whatever its network says; what is whole stays as it was."""

import pytest
import torch

from guards.parts import SIZES
from unmask.data.tokenizers import make_tokenizer
from unmask.data.whole_text import broken
from unmask.models.backbones import BACKBONES
from unmask.sampling import SAMPLERS, fill_request, frames, generate

BYTES = make_tokenizer("bytes", [], 0)
PIECES = make_tokenizer("bpe", ["\u0939\u093f\u0928\u094d\u0926\u0940 \u0915\u0939\u093e\u0928\u0940 one two"] * 4, 275)
WRITERS = ["ancestral", "confidence", "remasking", "entropy-bound", "uniform", "block", "autoregressive"]


def asked(name, tokenizer, prompt="\u0939\u093f\u0928\u094d", tokens=24, told=True, suffix=""):
    """Return a network of random weights, which breaks nearly every text, what drives it, and what it is asked."""
    kind = BACKBONES.get("transformer")
    torch.manual_seed(0)
    sizes = SIZES | {"vocab_size": tokenizer.vocab_size, "output_shift": int(name in ("block", "autoregressive"))}
    model = kind.model(kind.config(**sizes, time_input=name == "uniform")).eval()
    sampler, words = SAMPLERS.get(name)(), tokenizer.vocabulary
    if not told:
        words = type(words)(words.pad, words.bos, words.eos, words.mask, words.size)
    few = {"steps": 4} if "steps" in sampler.Settings.model_fields else {}
    settings = [sampler.Settings(seed=seed, ignore_eos=seed % 2 == 0, **few) for seed in range(4)]
    before, behind = tokenizer.encode(prompt), tokenizer.encode(suffix)
    requests = [fill_request(before, tokens, words, own, suffix=behind) for own in settings]
    return model, sampler, requests, words


def written(name, tokenizer, *args, **options):
    """Return what a network of random weights writes, and the tokens that were given before."""
    model, sampler, requests, words = asked(name, tokenizer, *args, **options)
    return generate(model, sampler, requests, words), requests[0].tokens.index(words.mask)


@pytest.mark.parametrize("tokenizer", [BYTES, PIECES], ids=lambda each: each.name)
@pytest.mark.parametrize("name", WRITERS)
def test_no_sampler_leaves_half_a_character(name, tokenizer):
    raw, _ = written(name, tokenizer, told=False)
    assert any(broken(tokenizer.decode_bytes(text.tokens))[0].any() for text in raw), "there is nothing to mend"
    samples, given = written(name, tokenizer)
    for text, before in zip(samples, raw, strict=True):
        data = tokenizer.decode_bytes(text.tokens)
        assert not broken(data)[0].any() and data.decode().startswith("\u0939\u093f\u0928\u094d")
        assert text.tokens[:given] == before.tokens[:given] and len(text.tokens) == len(before.tokens)


@pytest.mark.parametrize("name", ["autoregressive", "confidence"])
def test_a_text_of_several_windows_is_whole_at_their_borders(name):
    for text in written(name, BYTES, "", 150)[0]:
        assert not broken(BYTES.decode_bytes(text.tokens))[0].any()


def test_a_hole_is_whole_at_both_borders():
    for text in written("ancestral", BYTES, tokens=7, suffix="\u0915\u093f b")[0]:
        data = BYTES.decode_bytes(text.tokens)
        assert not broken(data)[0].any() and data.endswith("\u0915\u093f b".encode())


def test_a_text_that_is_whole_keeps_every_token_and_asks_no_network():
    tokenizer = make_tokenizer("bpe", ["\u0939\u093f\u0928\u094d\u0926\u0940 one two"] * 4, 275)
    whole = 0
    for prompt in ("", "one", "two"):
        raw, made = (written("ancestral", tokenizer, prompt, 1, told)[0] for told in (False, True))
        for before, after in zip(raw, made, strict=True):
            if not broken(tokenizer.decode_bytes(before.tokens))[0].any():
                whole += 1
                assert before == after
    assert whole > 2


@pytest.mark.parametrize("name", WRITERS)
def test_the_last_frame_shows_the_text_that_is_returned_and_what_was_changed_in_it(name):
    made = asked(name, BYTES)
    last, shown = {}, {}
    for which, frame in frames(*made):
        for row, number in enumerate(which):
            now = frame.tokens[row][frame.valid[row]].tolist()
            before = shown.get(number, now)
            turned = [place for place, pair in enumerate(zip(before, now, strict=False)) if pair[0] != pair[1]]
            assert bool(frame.changed[row, turned].all()) or name == "uniform"
            last[number], shown[number] = tuple(now), now
    assert [last[number] for number in range(4)] == [sample.tokens for sample in generate(*made)]
