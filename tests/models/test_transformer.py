import json

import pytest
import torch
from torch.nn import functional as F

from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.models.config import TransformerConfig
from unmask.models.registry import BACKBONES
from unmask.models.transformer import Transformer

VISIBILITIES = ["causal", "bidirectional"]


@torch.no_grad()
def full(model, tokens, visibility="causal", **rest):
    return model(State(tokens, visibility, **rest)).logits.view(*tokens.shape, -1)


def loss_of(model, tokens):
    return F.cross_entropy(model(State(tokens, "causal")).logits, tokens.flatten())


@pytest.mark.parametrize("time_input", [False, True])
def test_saved_networks_come_back_equal_through_auto_model_in_safetensors_only(tmp_path, tiny, tokens, time_input):
    from transformers import AutoModel

    model = tiny(num_key_value_heads=2, output_shift=0, time_input=time_input, dropout=0.1)
    model.save_pretrained(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "unmask-transformer"
    t = torch.full((len(tokens),), 0.3)
    for loaded in (Transformer.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path).eval()):
        assert isinstance(loaded, Transformer)
        assert torch.equal(full(loaded, tokens, "bidirectional", t=t), full(model, tokens, "bidirectional", t=t))
        assert loaded.head.weight is loaded.embed.weight


def test_an_untied_head_is_saved_on_its_own(tmp_path, tiny, tokens):
    model = tiny(tie_word_embeddings=False)
    assert model.head.weight is not model.embed.weight
    model.save_pretrained(tmp_path)
    assert torch.equal(full(Transformer.from_pretrained(tmp_path), tokens), full(model, tokens))


def test_gradient_checkpointing_gives_the_same_loss_and_gradients(tiny, tokens):
    plain, saving = tiny().train(), tiny().train()
    saving.activation_checkpointing_enable()
    assert any(getattr(block, "gradient_checkpointing", False) for block in saving.blocks)
    losses = [loss_of(model, tokens) for model in (plain, saving)]
    for loss in losses:
        loss.backward()
    assert torch.equal(*losses)
    for a, b in zip(plain.parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize("visibility", VISIBILITIES)
@pytest.mark.parametrize("by", ["valid", "segments"])
def test_what_lies_in_padding_never_changes_valid_logits(tiny, tokens, visibility, by):
    model = tiny()
    valid = torch.arange(12) < torch.tensor([12, 9, 4, 1])[:, None]
    mask = {"valid": valid} if by == "valid" else {"segments": valid.long()}
    garbage = torch.where(valid, tokens, (tokens * 7 + 3) % 23)
    a, b = full(model, tokens, visibility, **mask), full(model, garbage, visibility, **mask)
    assert torch.equal(a[valid], b[valid])
    assert a.isfinite().all()
    for row, length in enumerate(valid.sum(1)):
        alone = full(model, tokens[row : row + 1, :length], visibility)
        torch.testing.assert_close(a[row, :length], alone[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_another_document_of_the_block_never_changes_logits_unless_borders_are_off(tiny, tokens, visibility, shift):
    model = tiny(output_shift=shift)
    segments = torch.tensor([1] * 4 + [2] * 5 + [3] * 2 + [0]).expand(4, -1)
    inside = torch.zeros(12, dtype=torch.bool)
    inside[4 + shift : 9] = True  # the piece's BOS is asked by nobody; with shifted output its predictor lies before it
    second = segments[0] == 2
    other = torch.where(second, tokens, (tokens * 7 + 3) % 23)
    a, b = (full(model, x, visibility, segments=segments)[:, inside] for x in (tokens, other))
    assert torch.equal(a, b)
    a, b = (full(model, x, visibility)[:, inside] for x in (tokens, other))
    assert (a - b).abs().amax(-1).min() > 1e-3


@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_logits_at_asked_positions_are_the_full_logits_gathered(tiny, tokens, visibility):
    model = tiny()
    at = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(3)) < 0.3
    asked = model(State(tokens, visibility), at=at).logits
    assert asked.shape == (int(at.sum()), 23)
    torch.testing.assert_close(asked, full(model, tokens, visibility)[at], atol=1e-5, rtol=1e-5)
    assert model(State(tokens, visibility), at=torch.zeros_like(at)).logits.shape == (0, 23)


@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_position_matters(tiny, tokens, visibility):
    model = tiny(output_shift=0)
    swapped = tokens[:, [1, 0, *range(2, 12)]]
    assert (full(model, tokens, visibility) - full(model, swapped, visibility))[:, -1].abs().max() > 1e-2
    moved = torch.arange(12)[None] * 2  # the same tokens, further apart
    assert (full(model, tokens, visibility) - full(model, tokens, visibility, positions=moved)).abs().max() > 1e-2


def test_positions_are_relative(tiny, tokens):
    model = tiny()
    later = (torch.arange(12) + 9)[None]
    torch.testing.assert_close(full(model, tokens), full(model, tokens, positions=later), atol=1e-3, rtol=1e-3)


def test_a_causal_token_changes_no_prediction_up_to_its_own(tiny, tokens):
    model = tiny()
    before = full(model, tokens)
    for j in range(1, 12):  # position 0 is BOS: never predicted, always the same
        changed = tokens.clone()
        changed[:, j] = (changed[:, j] + 5) % 23
        after = full(model, changed)
        assert torch.equal(before[:, 1 : j + 1], after[:, 1 : j + 1])
        if j < 11:
            assert (before[:, j + 1 :] - after[:, j + 1 :]).abs().max() > 1e-3


@pytest.mark.parametrize("visibility", VISIBILITIES)
@pytest.mark.parametrize(
    "sizes", [{}, {"num_key_value_heads": 2}, {"time_input": True}, {"tie_word_embeddings": False}]
)
def test_every_learnable_parameter_gets_a_gradient(tiny, tokens, visibility, sizes):
    model = tiny(**sizes).train()
    state = State(tokens, visibility, t=torch.linspace(0.1, 1, 4))
    F.cross_entropy(model(state).logits, tokens.flatten()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_noise_level_is_read_only_by_a_network_with_a_time_input(tiny, tokens):
    early, late = torch.full((4,), 0.1), torch.full((4,), 0.9)
    for time_input in (False, True):
        model = tiny(time_input=time_input)
        same = torch.equal(full(model, tokens, t=early), full(model, tokens, t=late))
        assert same != time_input


def test_dropout_acts_in_training_only(tiny, tokens):
    model = tiny(dropout=0.5)
    assert torch.equal(full(model, tokens), full(model, tokens))
    model.train()
    assert not torch.equal(full(model, tokens), full(model, tokens))


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"hidden_size": 30}, "multiple of 8"),
        ({"hidden_size": 12}, "multiple of 8"),  # heads of width 3 cannot rotate
        ({"num_key_value_heads": 3}, "divide"),
        ({"output_shift": 2}, "0 or 1"),
        ({"num_hidden_layers": 0}, "at least 1"),
        ({"vocab_size": 0}, "at least 1"),
        ({"hidden_size": -8}, "at least 1"),
        ({"num_key_value_heads": -2}, "num_key_value_heads"),
        ({"intermediate_size": -64}, "intermediate_size"),
        ({"dropout": 1.5}, "dropout"),
        ({"hidden_size": "wide"}, "whole number"),
        ({"num_hidden_layers": 2.5}, "whole number"),
    ],
)
def test_impossible_shapes_are_refused_with_the_fix(sizes, words):
    with pytest.raises(Error, match=words):
        TransformerConfig(**{"hidden_size": 32, "num_attention_heads": 4, **sizes})


@pytest.mark.parametrize("name", list(BACKBONES))
def test_every_backbone_is_known_to_auto_model(name):
    from transformers import AutoConfig

    backbone = BACKBONES.get(name)
    assert isinstance(AutoConfig.for_model(backbone.config.model_type), backbone.config)
    assert backbone.model.config_class is backbone.config
