"""An index over HTTP: a request names it, and its prompt's nearest texts are what the network reads."""

from __future__ import annotations

import json

import httpx2
import openai
import pytest
import torch

import unmask
from roots.small_corpus import lines, write
from unmask.api.index import build_index
from unmask.data.tokenizers import make_tokenizer
from unmask.models.config import TransformerConfig
from unmask.models.transformer import Transformer
from unmask.result import plain
from unmask.serving.served import shelf
from unmask.training.recipe import parse_recipe

PROMPT = "ship sail harbour captain wave"


@pytest.fixture(scope="module")
def reading(tmp_path_factory):
    """A folder with an index, and an untrained run that reads what is found in it."""
    root = tmp_path_factory.mktemp("reading")
    build_index(str(write(root / "text.jsonl", lines(24))), root / "index", shelves=2, embedder="wordllama-64")
    words = make_tokenizer("bytes", [], 0)
    config = TransformerConfig(
        vocab_size=words.vocab_size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=96,
        initializer_range=0.5,
        memory_width=64,
    )
    torch.manual_seed(0)
    Transformer(config).save_pretrained(root / "reader")
    words.save(root / "reader" / "tokenizer")
    recipe = parse_recipe({"data": {"tokenizer": "bytes", "length": 96}, "process": {"name": "masked"}})
    (root / "reader" / "recipe.yaml").write_text(recipe.to_yaml())
    (root / "reader" / "run.json").write_text(json.dumps({"format": 1, "status": "finished"}))
    return root


@pytest.fixture(scope="module")
def found(reading, served_runs):
    return shelf([str(reading / "reader"), str(served_runs["masked"])], [("tales", str(reading / "index"))])


def test_a_text_and_its_evidence_are_those_of_sample(reading, found, running_with):
    own = unmask.sample(
        found.find("reader").run, PROMPT, index=reading / "index", evidence=2, max_tokens=12, seed=3, steps=6
    )
    assert own.evidence and any(word in own.evidence[0].text for word in PROMPT.split())
    with running_with(found) as live:
        client = live.client()
        asked = {"model": "reader", "prompt": PROMPT, "max_tokens": 12, "seed": 3}

        def ask(**extra):
            return client.completions.create(**asked, extra_body={"unmask": {"steps": 6, **extra}}).choices[0]

        told, without = ask(index="tales", evidence=2), ask()
        assert told.text == own.completions[0] and told.unmask["evidence"] == plain(own.evidence)
        assert without.text != told.text and "evidence" not in without.unmask
        assert len(ask(index="tales", evidence=1).unmask["evidence"]) == 1
        extra = {"unmask": {"steps": 6, "index": "tales", "evidence": 2}}
        *_, last = client.completions.create(**asked, stream=True, extra_body=extra)
        assert last.choices[0].text == told.text and last.choices[0].unmask["evidence"] == told.unmask["evidence"]
        talk = [{"role": "user", "content": PROMPT}]
        chat = client.chat.completions.create(model="reader", messages=talk, max_tokens=4, seed=3, extra_body=extra)
        assert len(chat.choices[0].unmask["evidence"]) == 2
        offers = httpx2.get(f"{live.address}/v1/unmask").json()
        assert [(one["name"], one["texts"]) for one in offers["indexes"]] == [("tales", 24)]
        assert {one["id"]: one["evidence"] for one in offers["models"]} == {"reader": True, "masked": False}


@pytest.mark.parametrize(
    ("body", "extra", "kind", "said"),
    [
        ({}, {"index": "none"}, openai.NotFoundError, "there is no index 'none'; there is tales"),
        ({}, {"index": "../index"}, openai.NotFoundError, "there is no index"),
        ({}, {"evidence": 2}, openai.BadRequestError, "evidence is given without an index"),
        ({"model": "masked"}, {"index": "tales"}, openai.BadRequestError, "takes no evidence"),
        ({"prompt": ""}, {"index": "tales"}, openai.BadRequestError, "looked up by the prompt, and it is empty"),
        ({"prompt": "a ____", "max_tokens": None}, {"index": "tales", "infill": True}, openai.BadRequestError, "none"),
        ({}, {"index": "tales", "evidence": 0}, openai.UnprocessableEntityError, "greater than or equal to 1"),
    ],
)
def test_a_mistake_about_an_index_is_told_and_names_no_folder(found, running_with, reading, body, extra, kind, said):
    with running_with(found) as live, pytest.raises(kind, match=said) as caught:
        asked = {"model": "reader", "prompt": PROMPT, "max_tokens": 4, **body}
        live.client().completions.create(**asked, extra_body={"unmask": extra})
    assert str(reading) not in caught.value.message
