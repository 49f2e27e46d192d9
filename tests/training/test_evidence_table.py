"""Blocks carry what their documents' beginnings found: whose it is, what is given, and what may not be asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from unmask.data.blocks import pack
from unmask.data.corpus import documents, load_corpus
from unmask.data.tokenizers import make_tokenizer
from unmask.errors import Error
from unmask.training.evidence_table import Found, Pieces, evidence_table
from unmask.training.order import BlockStream, as_batch, collate
from unmask.training.recipe import load_recipe
from unmask.training.sections import EvidenceSection
from unmask.training.train import train

BYTES = make_tokenizer("bytes", [], 0)
QUERY, WIDTH, LENGTH = 12, 5, 40
TEXTS = [("abcdefghijklmnopqrstuvwxyz"[n % 20 :] + str(n)) * (1 + n % 7) for n in range(40)] + ["short", "exactly12by!"]


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "all.jsonl"
    path.write_text("".join(f'{{"text": "{text}"}}\n' for text in TEXTS), encoding="utf-8")
    return load_corpus(str(path), valid_fraction=0.1, judge_fraction=0.1).split("train")


@pytest.fixture(scope="module")
def blocks(split):
    return pack(split, BYTES, LENGTH)


def found_by(wanted, queries, texts, key):
    """Return vectors that are the number of the document, two of them, one where the number is a multiple of 5."""
    count = len(queries)
    members = np.stack([np.arange(count), np.where(np.arange(count) % 5 == 0, -1, 7)], 1)
    members[[not query for query in queries]] = -1
    vectors = np.broadcast_to(np.arange(count, dtype=np.float16)[:, None, None], (count, 2, WIDTH)).copy()
    list(texts)
    return Found(vectors, members, np.zeros((count, 2), np.float32), {"index": "x"})


def table(split, blocks, find=found_by, width=WIDTH, query=QUERY):
    wanted = EvidenceSection(index="index", texts=2, query=query)
    return evidence_table(wanted, width, blocks, BYTES, documents(split), find)


def test_queries_are_the_beginnings_of_the_documents_that_go_on_behind_them(split, blocks):
    pieces = Pieces(blocks, BYTES, QUERY)
    texts = list(documents(split))
    assert pieces.queries == [text[:QUERY] if len(text.encode()) > QUERY else "" for text in texts]
    assert pieces.document.max() == len(texts) - 1 and (pieces.offset > 0).any()


def test_what_lies_behind_the_query_changes_no_query(tmp_path):
    texts = [f"number {n:04d} {'x' * (9 * n)}" for n in range(12)]
    changed = [text[:QUERY] + "y" * (len(text) - QUERY) if len(text) > QUERY else text for text in texts]
    queries = []
    other = tmp_path / "other.jsonl"
    other.write_text("".join(f'{{"text": "{text}"}}\n' for text in TEXTS), encoding="utf-8")
    for name, these in (("a", texts), ("b", changed)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(f'{{"text": "{text}"}}\n' for text in these), encoding="utf-8")
        part = load_corpus(str(other), valid=str(path)).split("valid")
        queries.append(Pieces(pack(part, BYTES, LENGTH), BYTES, QUERY).queries)
    assert queries[0] == queries[1] and any(queries[0])


def test_every_piece_has_its_documents_evidence_and_only_queries_are_given(split, blocks):
    made, texts = table(split, blocks), list(documents(split))
    pieces = made.pieces
    stream = BlockStream(blocks, 2 * len(blocks), 0, made)
    seen = {number: "" for number in range(len(texts))}
    for block in range(len(blocks)):
        tokens, segments = (x[0] for x in blocks.rows([block]))
        extra = made.of(block, LENGTH)
        for number, piece in enumerate(range(pieces.first[block], pieces.first[block + 1]), 1):
            document = int(pieces.document[piece])
            here = segments == number
            body = BYTES.decode([t for t in tokens[here].tolist() if t not in (BYTES.bos_id, BYTES.eos_id)])
            own = extra["memory"][extra["memory_segments"] == number]
            behind = len(texts[document].encode()) > QUERY and pieces.offset[piece] + pieces.length[piece] > QUERY
            assert len(own) == (0 if not behind else 1 if document % 5 == 0 else 2)
            assert (own == document).all()
            given = BYTES.decode(tokens[here & extra["given"]].tolist())
            inside = max(0, QUERY - len(seen[document]))
            assert given == (body[:inside] if behind else "")
            seen[document] += body
    assert list(seen.values()) == texts
    assert stream[3]["evidence"]["memory"].shape[1] == WIDTH


def test_a_batch_holds_what_its_examples_hold(split, blocks):
    stream = BlockStream(blocks, 64, 1, table(split, blocks))
    positions = [5, 0, 9, 11]
    examples = stream.__getitems__(positions)
    batch = as_batch(collate(examples), BYTES.bos_id)
    for row, example in enumerate(examples):
        own = batch.evidence.valid[row]
        assert torch.equal(batch.evidence.vectors[row][own], example["evidence"]["memory"])
        assert torch.equal(batch.evidence.segments[row][own], example["evidence"]["memory_segments"])
        assert torch.equal(batch.evidence.given[row], example["evidence"]["given"])
        assert not (batch.evidence.given[row] & (batch.tokens[row] == BYTES.bos_id)).any()
    plain = as_batch(collate(BlockStream(blocks, 64, 1).__getitems__(positions)), BYTES.bos_id)
    assert torch.equal(plain.tokens, batch.tokens) and plain.evidence is None


def test_what_cannot_be_looked_up_is_one_line(split, blocks):
    with pytest.raises(Error, match="unmask train"):
        table(split, blocks, find=None)
    with pytest.raises(Error, match="memory_width=5"):
        table(split, blocks, width=9)
    with pytest.raises(Error, match="lower it"):
        table(split, blocks, query=10_000)

    def nothing(wanted, queries, texts, key):
        got = found_by(wanted, queries, texts, key)
        return Found(got.vectors, np.full_like(got.members, -1), got.scores, got.told)

    with pytest.raises(Error, match="index other text"):
        table(split, blocks, find=nothing)


def recipe(source: Path, *more: str):
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "memory_width": WIDTH}
    given = [f"backbone.{key}={value}" for key, value in sizes.items()] + ["backbone.match=null"]
    steps = ["training.max_steps=4", "training.per_device_train_batch_size=4", "training.valid_blocks=0"]
    data = [f"data.source={source}", "data.tokenizer=bytes", f"data.length={LENGTH}", "data.valid_fraction=0.1"]
    evidence = ["evidence.index=somewhere", f"evidence.query={QUERY}", "training.save_steps=2"]
    return load_recipe("nano-eco", [*data, *given, *steps, *evidence, *more])


def test_a_run_with_evidence_resumes_to_the_same_weights(tmp_path):
    source = tmp_path / "all.jsonl"
    source.write_text("".join(f'{{"text": "{text}"}}\n' for text in TEXTS), encoding="utf-8")
    whole = train(recipe(source), tmp_path / "whole", find=found_by)
    assert whole.manifest["evidence"] == {"index": "x"}

    from transformers import TrainerCallback

    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_training_stop = state.global_step == 2

    train(recipe(source), tmp_path / "half", callbacks=[Stop()], find=found_by)
    again = train(recipe(source), tmp_path / "half", resume=True, find=found_by)
    a, b = whole.model("cpu").state_dict(), again.model("cpu").state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert float(a["retrieved.project.weight"].norm()) > 0

    def another(wanted, queries, texts, key):
        return Found(*(getattr(found_by(wanted, queries, texts, key), n) for n in ("vectors", "members", "scores")), {})

    train(recipe(source), tmp_path / "third", callbacks=[Stop()], find=found_by)
    with pytest.raises(Error, match="has changed"):
        train(recipe(source), tmp_path / "third", resume=True, find=another)


def test_a_recipe_says_what_evidence_it_wants():
    made = load_recipe("nano-eco", ["evidence=folder"])
    assert made.evidence == EvidenceSection(index="folder") and "evidence" not in load_recipe("nano-eco").to_yaml()
    with pytest.raises(Error, match=r"evidence\.query"):
        load_recipe("nano-eco", ["evidence=folder", "evidence.query=127"])
    with pytest.raises(Error, match="quer"):
        load_recipe("nano-eco", ["evidence.quer=3"])
