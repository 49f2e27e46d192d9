import json

import pytest
import torch
from torch.nn import functional as F

from guards.parts import NETWORKS, network, over
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
def test_without_segments_all_documents_of_a_block_are_one_text(tiny, tokens, visibility):
    model = tiny()
    inside = torch.zeros(12, dtype=torch.bool)
    inside[5:9] = True
    other = torch.where(inside, tokens, (tokens * 7 + 3) % 23)
    a, b = (full(model, x, visibility)[:, inside] for x in (tokens, other))
    assert (a - b).abs().amax(-1).min() > 1e-3


@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_given_positions_are_used(tiny, tokens, visibility):
    model = tiny(output_shift=0)
    moved = torch.arange(12)[None] * 2  # the same tokens, further apart
    assert (full(model, tokens, visibility) - full(model, tokens, visibility, positions=moved)).abs().max() > 1e-2


def test_positions_are_relative(tiny, tokens):
    model = tiny()
    later = (torch.arange(12) + 9)[None]
    torch.testing.assert_close(full(model, tokens), full(model, tokens, positions=later), atol=1e-3, rtol=1e-3)


def test_a_causal_token_changes_every_later_prediction(tiny, tokens):
    model = tiny()
    before = full(model, tokens)
    for j in range(1, 11):
        changed = tokens.clone()
        changed[:, j] = (changed[:, j] + 5) % 23
        assert (before[:, j + 1 :] - full(model, changed)[:, j + 1 :]).abs().max() > 1e-3


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


@over("backbone, sizes, visibility", NETWORKS)
def test_every_backbone_comes_back_equal_through_auto_model(tmp_path, tokens, backbone, sizes, visibility):
    from transformers import AutoConfig, AutoModel

    kind, model = BACKBONES.get(backbone), network(backbone, **sizes)
    model.save_pretrained(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), kind.config) and kind.model.config_class is kind.config
    loaded = AutoModel.from_pretrained(tmp_path).eval()
    t = torch.full((len(tokens),), 0.3)
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())
    again, before = full(loaded, tokens, visibility, t=t), full(model, tokens, visibility, t=t)
    assert torch.allclose(again, before, atol=1e-5, rtol=1e-5)  # weights from a file lie elsewhere: other kernels
