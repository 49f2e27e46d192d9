"""Talks: what a line may be, which of its tokens are learned, and how whole talks fill blocks."""

from __future__ import annotations

import json

import datasets
import numpy as np
import pytest

from unmask.data import talks as module
from unmask.data.blocks import pack
from unmask.data.chat_template import prompt_ids
from unmask.data.corpus import documents, load_corpus
from unmask.data.talks import messages_of
from unmask.data.tokenizers import make_tokenizer
from unmask.errors import Error

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
TWO = [
    {"role": "user", "content": "one?"},
    {"role": "assistant", "content": "1"},
    {"role": "user", "content": "two?"},
    {"role": "assistant", "content": "2"},
]


@pytest.fixture
def words():
    return make_tokenizer("bytes", [], 0)


def talk(*messages):
    return json.dumps({"messages": messages})


def talk_ids(tokenizer, text):
    return (np.asarray(part) for part in module.talk_ids(tokenizer, text))


def write(path, *lines):
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def test_both_forms_of_a_line_are_the_same_talk_and_split_as_any_document(tmp_path):
    pairs = [{"prompt": f"Say {i}.", "response": f"{i}!"} for i in range(60)]
    chats = [
        {"messages": [{"role": "user", "content": one["prompt"]}, {"role": "assistant", "content": one["response"]}]}
        for one in pairs
    ]
    found = [
        load_corpus(write(tmp_path / name, *lines), valid_fraction=0.3, chat=True)
        for name, lines in (("a.jsonl", pairs), ("b.jsonl", chats))
    ]
    assert found[0].fingerprint == found[1].fingerprint
    train, valid = (set(documents(found[0].split(name))) for name in ("train", "valid"))
    assert valid and not train & valid
    assert {messages_of(one)[0]["content"] for one in train | valid} < {one["prompt"] for one in pairs}
    parts = [{"type": "text", "text": "Say"}, {"type": "text", "text": " 1."}]
    same = write(tmp_path / "c.jsonl", {"messages": [{"role": "user", "content": parts}, TWO[1]]})
    assert messages_of(
        next(documents(load_corpus(same, judge_fraction=0, valid_fraction=0, chat=True).split("train")))
    )[0] == {"role": "user", "content": "Say 1."}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"prompt": "a", "response": ""}, "line 2: a response is empty, and nothing can be learned"),
        ({"prompt": "a", "response": " \n"}, "line 2: a response is empty"),
        ({"prompt": "a", "response": 3}, "'response' is a number, not text"),
        ({"text": "a"}, r"line 2 is no talk \(fields: text\)"),
        ({"messages": []}, "must be a list"),
        ({"messages": ["a"]}, "message 1 is no object"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "has the role 'tool'"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "type 'image_url'"),
        ({"messages": [{"role": "user", "content": "a"}]}, "does not end with a response"),
        ({"messages": [{"role": "user", "content": None}]}, "'content' is null, not text"),
        ("[1]", 'not a JSON object. Write {"prompt"'),
        ("{", 'not JSON .* Write {"prompt"'),
    ],
)
def test_a_line_of_which_nothing_can_be_learned_is_refused_by_its_number(line, why, tmp_path):
    path = write(tmp_path / "t.jsonl", {"prompt": "a", "response": "b"}, line)
    with pytest.raises(Error, match=why):
        load_corpus(path, chat=True)


def test_what_holds_no_talks_is_refused_by_name(tmp_path):
    (tmp_path / "a.txt").write_text("a text")
    with pytest.raises(Error, match="is no .jsonl file, and data.format=chat"):
        load_corpus(tmp_path / "a.txt", chat=True)
    with pytest.raises(Error, match="pydocs holds texts"):
        load_corpus("pydocs", chat=True)


def test_the_plain_template_learns_the_response_and_its_end_alone(words):
    ids, learned = talk_ids(words, talk({"role": "system", "content": "Be kind."}, *TWO))
    said = "System: Be kind.\nUser: one?\nAssistant: 1\nUser: two?\nAssistant: 2"
    assert words.decode(ids) == said and words.decode(ids[learned]) == " 1 2"
    asked = prompt_ids(words, None, [{"role": "system", "content": "Be kind."}, TWO[0]])
    assert ids[: len(asked)].tolist() == asked  # as it is served


def test_a_template_of_its_own_learns_up_to_the_end_of_a_turn_and_gives_the_rest(words):
    words.chat_template = TEMPLATE
    ids, learned = talk_ids(words, talk(*TWO))
    end = words.eos_id
    parts = [*words.encode("user:one?"), end, *words.encode("\nassistant:1"), end]
    parts += [*words.encode("\nuser:two?"), end, *words.encode("\nassistant:2")]
    assert ids.tolist() == parts  # and the document's own end follows
    assert [int(i) for i in ids[learned]] == [*words.encode("1"), end, *words.encode("2")]
    asked = prompt_ids(words, TEMPLATE, TWO[:3])
    assert ids[: len(asked)].tolist() == asked


def test_a_specials_name_in_a_response_stays_text(words):
    words.chat_template = TEMPLATE
    name = {token: name for name, token in words.specials.items()}[words.eos_id]
    ids, learned = talk_ids(words, talk(TWO[0], {"role": "assistant", "content": f"a{name}b"}))
    assert words.decode(ids[learned]) == f"a{name}b" and (ids == words.eos_id).sum() == 1


def test_a_template_that_writes_a_turn_otherwise_once_it_is_answered_is_refused(words):
    words.chat_template = "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}"
    with pytest.raises(Error, match="writes a turn otherwise once it is answered"):
        talk_ids(words, talk(*TWO))


def test_talks_fill_blocks_whole_and_what_fits_none_is_told(words):
    rng = np.random.default_rng(0)
    said = [("q" * int(rng.integers(1, 9)), "a" * int(rng.integers(1, 9))) for _ in range(40)]
    talks = [talk({"role": "user", "content": q}, {"role": "assistant", "content": a}) for q, a in said]
    long = talk(TWO[0], {"role": "assistant", "content": "a" * 200})
    blocks = pack(datasets.Dataset.from_dict({"text": [*talks, long]}, split="train"), words, 64, chat=True)
    tokens, segments = blocks.rows(range(len(blocks)))
    supervised = blocks.supervised(range(len(blocks)))
    found = []
    for row, owner, mark in zip(tokens, segments, supervised, strict=True):
        assert mark.any() and not (mark & (owner == 0)).any()  # no block without anything to learn, no padding learned
        for piece in range(1, int(owner.max()) + 1):
            ids, learned = row[owner == piece], mark[owner == piece]
            assert ids[0] == words.bos_id and ids[-1] == words.eos_id and bool(learned[-1])
            found.append((words.decode(ids.tolist()), words.decode(ids[learned].tolist())))
    assert found == [(f"User: {q}\nAssistant: {a}", f" {a}") for q, a in said]
    assert blocks.learned == pytest.approx(float(supervised.sum()) / (len(blocks) * 63))
    assert blocks.notes == (
        "1 of 41 talks of the train split do not fit a block of 64 tokens and are left out; a larger data.length keeps "
        "them",
    )
    with pytest.raises(Error, match="no talk of the train split fits a block of 64 tokens"):
        pack(datasets.Dataset.from_dict({"text": [long]}, split="train"), words, 64, chat=True)
