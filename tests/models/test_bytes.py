"""The byte network: no byte sees the future, patch borders included; a cache changes nothing; UTF-8 stays UTF-8.

In double precision, where what is equal but for the order of sums differs by less than 1e-9.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from unmask.data.ngram import ByteNgram
from unmask.data.ngram_entropy import NgramEntropy
from unmask.data.patches import make_patcher
from unmask.diffusion.carried import Texts
from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.models.byte_head import HierarchicalHead
from unmask.models.bytes import Bytes
from unmask.models.bytes_config import BytesConfig
from unmask.models.cuts import cut
from unmask.models.patch_attention import PatchAttention, inside
from unmask.models.utf8_next import ALLOWED, allowed, states

SIZES: dict[str, Any] = {
    "vocab_size": 260,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_encoder_layers": 1,
    "intermediate_size": 24,
    "n_gram_vocab_size": 50,
    "initializer_range": 0.3,
    "wubu": {"hyperbolic_dims": [8, 4], "num_levels": 2},
}
TEXT = (
    "The cat sat, on the mat; \u0928\u092e\u0938\u094d\u0924\u0947 and \u20acuro \U0001f600! Once upon a time.".encode()
)
KINDS = [
    {"latent": latent, "memory_read": read, "patcher": patcher}
    for latent, read, patcher in [
        ("wubu", "attention", "babylon"),
        ("wubu", "last", "whitespace"),
        ("transformer", "attention", "babylon"),
        ("transformer", "last", "delimiter"),
        ("none", "attention", "fixed"),
        ("wubu", "attention", "none"),
    ]
]


def ids(text: bytes) -> Tensor:
    return torch.tensor([[1, *(byte + 4 for byte in text)]])


def network(**given: Any) -> Bytes:
    torch.manual_seed(0)
    model = Bytes(BytesConfig(**(SIZES | given))).double().eval()
    if model.patcher is None:
        entropy = NgramEntropy(ByteNgram(3).fit([TEXT * 3]), "character")
        model.patcher = make_patcher("babylon", {"theta": 1.0, "max_length": 8}, entropy)
    return model


def logits(model: Bytes, tokens: Tensor, **state: Any) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(State(tokens, "causal", **state)).logits
    return found.view(*tokens.shape, -1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: "-".join(k.values()))
def test_no_later_byte_changes_an_earlier_prediction(kind: dict[str, Any]) -> None:
    model, tokens = network(**kind), ids(TEXT)
    before = logits(model, tokens)
    generator = torch.Generator().manual_seed(0)
    for column in range(1, tokens.shape[1]):
        changed = tokens.clone()
        changed[:, column:] = torch.randint(4, 260, changed[:, column:].shape, generator=generator)
        after = logits(model, changed)
        assert torch.allclose(before[:, 1 : column + 1], after[:, 1 : column + 1], atol=1e-9), column
        assert not torch.allclose(before[:, column + 1 :], after[:, column + 1 :], atol=1e-3) or column == len(TEXT)


def test_the_causality_test_finds_a_decoder_that_reads_the_patch_that_it_writes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import unmask.models.bytes as module

    honest = module.cut

    def leaky(*given: Any) -> Any:
        cuts = honest(*given)
        return replace(cuts, done=cuts.done + 1)

    monkeypatch.setattr(module, "cut", leaky)
    with pytest.raises(AssertionError):
        test_no_later_byte_changes_an_earlier_prediction(KINDS[0])


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: "-".join(k.values()))
def test_the_cache_changes_no_prediction(kind: dict[str, Any]) -> None:
    """Rows of other lengths, one byte at a time and several, taken back, stacked and picked."""
    model, tokens = network(**kind, utf8=True), ids(TEXT).repeat(2, 1)
    whole = logits(model, tokens)
    cache = model.new_cache(2, 40)
    lengths = torch.tensor([5, 9])

    def read(cache: Any, at: Tensor, count: Tensor) -> Any:
        column = torch.arange(int(count.max()))
        view = tokens.gather(1, (at[:, None] + column).clamp(max=tokens.shape[1] - 1))
        with torch.no_grad():
            found = model(State(view, "causal", valid=column < count[:, None]), cache=cache)
        for row, place in enumerate((at + count).tolist()):
            assert torch.allclose(found.logits[row], whole[row, place], atol=1e-9), place
        return found.cache

    at = torch.zeros_like(lengths)
    for count in (lengths, torch.tensor([1, 1]), torch.tensor([3, 2]), torch.tensor([1, 4])):
        cache, at = read(cache, at, count), at + count
    assert torch.equal(cache.lengths, at)
    at = torch.tensor([7, 2])
    cache = cache.rewound(at)
    for count in (torch.tensor([2, 5]), torch.tensor([9, 1])):
        cache, at = read(cache, at, count), at + count
    texts = [Texts(torch.zeros(1, dtype=torch.int64), 30)] * 3
    swapped = type(cache).join([cache.rows(torch.tensor([1])), None, cache.rows(torch.tensor([0]))], texts)
    cache, at = swapped.rows(torch.tensor([2, 1])), torch.tensor([int(at[0]), 0])
    for _ in range(6):
        cache, at = read(cache, at, torch.ones_like(at)), at + 1


@pytest.mark.parametrize("read", ["attention", "last"])
@pytest.mark.parametrize("patcher", ["whitespace", "fixed"])
def test_pieces_of_a_packed_row_do_not_see_each_other(patcher: str, read: str) -> None:
    model = network(patcher=patcher, memory_read=read)
    parts = [ids(b"the old man"), ids(b"and a sea of words"), ids(b"x")]
    packed = torch.cat(parts, 1)
    segments = torch.cat([torch.full_like(part, n + 1) for n, part in enumerate(parts)], 1)
    together, start = logits(model, packed, segments=segments), 0
    for part in parts:
        alone, end = logits(model, part), start + part.shape[1]
        assert torch.allclose(together[:, start + 1 : end], alone[:, 1:], atol=1e-9)
        start = end


def test_masked_text_is_refused_where_the_words_decide_the_cuts_and_read_where_they_do_not() -> None:
    with pytest.raises(Error, match="whole_characters=false"):
        network(patcher="whitespace")(State(ids(TEXT), "bidirectional"))
    options = {"patcher": "fixed", "patcher_options": {"whole_characters": False}}
    assert BytesConfig(**(SIZES | options)).visibilities == ("causal", "bidirectional")
    for read in ("attention", "last"):
        model, tokens = network(**options, memory_read=read), ids(TEXT)
        with torch.no_grad():
            before = model(State(tokens, "bidirectional")).logits
            changed = tokens.clone()
            changed[:, -1] = 99
            after = model(State(changed, "bidirectional")).logits
        assert ((before - after).abs().amax(-1) > 1e-9).all()  # every position sees the last byte


def test_a_network_with_a_fitted_patcher_keeps_it(tmp_path: Path) -> None:
    model = network(patcher="babylon").float()
    model.save_pretrained(tmp_path)
    again = Bytes.from_pretrained(tmp_path).eval()
    assert again.patcher is not None
    assert again.patcher.starts(TEXT).tolist() == model.patcher.starts(TEXT).tolist()  # type: ignore[union-attr]
    assert {k: v.tolist() for k, v in model.state_dict().items()} == {
        k: v.tolist() for k, v in again.state_dict().items()
    }
    assert torch.allclose(logits(model, ids(TEXT)), logits(again, ids(TEXT)), atol=1e-5)
    bare = Bytes(BytesConfig(**(SIZES | {"patcher": "babylon"})))
    with pytest.raises(Error, match="fitted to text first"):
        bare(State(ids(TEXT), "causal"))


def test_every_parameter_gets_a_gradient() -> None:
    for kind in KINDS[0] | {"use_hierarchical_decoder": True}, KINDS[3] | {"use_hierarchical_decoder": False}:
        model = network(**kind).train()
        model(State(ids(TEXT), "causal")).logits.log_softmax(-1)[..., 40:60].square().mean().backward()
        without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum()]
        assert not without, without


def test_curvature_changes_the_predictions_and_its_flat_twin_has_none() -> None:
    model = network(latent="wubu")
    before = logits(model, ids(TEXT))
    with torch.no_grad():
        for level in model.latent_stack.stack.levels:  # type: ignore[union-attr]
            level.curvature.raw.add_(1.0)
    assert not torch.allclose(before, logits(model, ids(TEXT)), atol=1e-4)
    flat = network(latent="wubu", wubu={**SIZES["wubu"], "euclidean": True})
    assert not [name for name, _ in flat.named_parameters() if "curvature" in name]
    assert flat.undecayed() < model.undecayed()


def test_blocks_of_patches_attend_as_a_mask_over_the_whole_text_does() -> None:
    torch.manual_seed(0)
    from unmask.models.byte_encoder import blocks_config
    from unmask.models.rope import rotary

    config = BytesConfig(**SIZES)
    part = PatchAttention(blocks_config(config, 16, 2, 1, None), 0).double()
    patch = torch.stack([(torch.rand(150) < share).long().cumsum(0) for share in (0.2, 0.5)])
    x, places = torch.randn(2, 150, 16, dtype=torch.float64), torch.arange(150)[None]
    by = rotary(places, 8, 1e4)
    for causal in (True, False):
        mask = inside(patch, causal)
        assert mask.shape[2] < 150, "the text is too short to be cut into blocks"
        same = patch[:, :, None] == patch[:, None, :]
        full = (same.tril() if causal else same)[:, None]
        assert torch.allclose(
            part(x, by, mask, False, None, places), part(x, by, full, False, None, places), atol=1e-12
        )


@given(st.binary(max_size=60), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_cuts_are_the_patchers_own_and_known_before_the_next_byte(text: bytes, split: int) -> None:
    patcher = make_patcher("whitespace", {"max_length": 7})
    tokens = ids(text)
    cuts = cut(patcher, tokens, torch.ones_like(tokens), 4)
    starts = torch.tensor(patcher.starts(text).tolist(), dtype=torch.long)
    assert torch.equal(cuts.patch[0], torch.cat([torch.zeros(1, dtype=torch.long), starts.cumsum(0)]))
    upto = min(split, len(text)) + 1
    part = cut(patcher, tokens[:, :upto], torch.ones_like(tokens[:, :upto]), 4)
    assert torch.equal(part.done, cuts.done[:, :upto])


@given(st.text(max_size=20))
@settings(max_examples=100, deadline=None)
def test_utf8_allows_every_next_byte_of_a_text_and_no_end_inside_a_character(text: str) -> None:
    data = text.encode()
    tokens = ids(data)
    legal = allowed(tokens)[0]
    assert all(legal[place, byte + 4] for place, byte in enumerate(data))
    for place in range(len(data) + 1):
        whole = data[:place].decode("utf-8", "ignore").encode() == data[:place]
        assert bool(legal[place, 2]) is whole


def test_utf8_allows_what_a_decoder_accepts_and_nothing_else() -> None:
    """By enumeration: every byte after every prefix of a character is allowed if and only if some text has it there."""
    codes = [code for code in [*range(0, 0x10000), *range(0x10000, 0x110000, 0x40)] if not 0xD800 <= code < 0xE000]
    goes_on = {c[: n + 1] for c in (chr(code).encode() for code in codes) for n in range(len(c))}
    goes_on |= {c[:3] + bytes([last]) for c in goes_on if len(c) == 4 for last in range(0x80, 0xC0)}
    prefixes = sorted({c[:-1] for c in goes_on})
    assert len(prefixes) > 2000
    for prefix in [p for p in prefixes if len(p) < 2] + prefixes[::40]:
        legal = ALLOWED[states(ids(prefix))[0, -1]]
        assert [bool(legal[byte + 4]) for byte in range(256)] == [
            prefix + bytes([byte]) in goes_on for byte in range(256)
        ]


def test_the_utf8_mask_only_lowers_the_loss_of_text_and_every_sample_decodes() -> None:
    model, tokens = network(), ids(TEXT)
    shifted = logits(model, tokens)[0, 1:].log_softmax(-1).gather(-1, tokens[0, 1:, None])
    model.config.utf8 = True
    masked = logits(model, tokens)[0, 1:].log_softmax(-1).gather(-1, tokens[0, 1:, None])
    assert (masked >= shifted - 1e-12).all() and (masked > shifted + 1e-6).any()
    generator = torch.Generator().manual_seed(0)
    cache, text = model.new_cache(16, 40), torch.full((16, 1), 1)
    for _ in range(36):
        with torch.no_grad():
            found = model(State(text[:, -1:], "causal"), cache=cache)
        found.logits[:, [0, 1, 3]] = -torch.inf
        text = torch.cat([text, torch.multinomial(found.logits.softmax(-1), 1, generator=generator)], 1)
        cache = found.cache
    for row in text.tolist():
        data = bytes(i - 4 for i in row[1:] if i >= 4)
        whole = data.decode("utf-8", "ignore").encode()
        assert data.startswith(whole) and len(data) - len(whole) < 4  # at most a character that is not finished


@pytest.mark.parametrize("vocabulary", [23, 260])
def test_the_hierarchical_head_is_a_distribution_over_all_ids(vocabulary: int) -> None:
    torch.manual_seed(0)
    head = HierarchicalHead(8, vocabulary)
    x = torch.randn(5, 8)
    found = head(x)
    assert found.shape == (5, vocabulary) and torch.allclose(found.exp().sum(-1), torch.ones(5), atol=1e-5)
    if vocabulary == 260:
        byte = 0xC5
        high = head.high(x).log_softmax(-1)[:, 1 + (byte >> 4)]
        low = head.low(x).view(5, -1, 16)[:, 1 + (byte >> 4)].log_softmax(-1)[:, byte & 15]
        assert torch.allclose(found[:, 4 + byte], high + low, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"wubu": {"hyperbolic_dims": [8, 4, 2]}, "latent": "wubu"}, None),
        ({"wubu": {"num_levels": 2, "hyperbolic_dims": [8]}}, "give 2, one a level"),
        ({"wubu": {"num_lvls": 2}}, "num_levels"),
        ({"patcher": "babilon"}, "babylon"),
        ({"patcher": "babylon", "patch_size": None}, "theta"),
        ({"patcher": "babylon", "patcher_options": {"thetta": 1}}, "theta"),
        ({"utf8": True, "vocab_size": 300}, "tokenizer=bytes"),
        ({"latent": "poincare"}, "choose wubu"),
        ({"memory_width": 8}, "retrieved memory"),
        ({"num_encoder_heads": 3}, "num_encoder_heads"),
    ],
)
def test_impossible_settings_are_refused_with_what_to_do(given: dict[str, Any], says: str | None) -> None:
    if says is None:
        BytesConfig(**(SIZES | given))
        return
    with pytest.raises(Error, match=says):
        BytesConfig(**(SIZES | given))
