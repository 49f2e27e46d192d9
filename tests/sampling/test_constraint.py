"""A text under a constraint is what it has to be, whoever writes it and beside whom; what cannot be is refused."""

import json
import re
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import unmask
from unmask.api.constraints import constraint_of
from unmask.api.writing import vocabulary_of
from unmask.data.tokenizers import make_tokenizer
from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.sampling import SAMPLERS, Request, canvas, generate, lock, rows, stack, ticks
from unmask.sampling.constraint import Constraint, Words
from unmask.sampling.grammar import json_grammar, regex_grammar

pytest.importorskip("llguidance")

WAYS = {
    "autoregressive": ("causal", {}),
    "ancestral": ("masked", {"steps": 8}),
    "confidence": ("masked", {"steps": 8}),
    "confidence drawn": ("masked", {"steps": 4, "confidence_of": "drawn", "confidence_noise": 1.0}),
    "entropy-bound": ("masked", {"entropy_budget": 1.0}),
    "block": ("block", {"steps": 3, "block_size": 4}),
    "block confidence": ("block", {"rule": "confidence", "steps": 2}),
    "block one": ("block", {"rule": "entropy-bound", "block_size": 1}),
}
"""Ways to write under a grammar: the process of the run and the settings."""


@pytest.fixture(scope="module")
def loaded(run_folder):
    made = {}

    def load(process, tokenizer="bpe"):
        return made.setdefault((process, tokenizer), unmask.load(run_folder(process, tokenizer)))

    return load


@pytest.fixture(params=list(WAYS), scope="module")
def way(request, loaded):
    """What writes under a grammar: (run, sampler's name, settings)."""
    process, own = WAYS[request.param]
    return loaded(process), request.param.split()[0], own


def _asked(run, name, own, count=1, constraint=None, before="the", room=40):
    """Return what ``generate`` takes but for the batch size."""
    settings = SAMPLERS.facts(name)(seed=3, **own)
    vocabulary = vocabulary_of(run.tokenizer, run.network)
    tokens, lead = canvas([run.tokenizer.encode(before), []], [room], vocabulary)
    asked = [Request(tokens, settings, i, lead, constraint=constraint) for i in range(count)]
    return run.network, SAMPLERS.get(name)(), asked, vocabulary


PATTERNS = st.recursive(
    st.sampled_from(["cat", "the", "[a-c]", "[0-9]", "ं", "[क-घ]", " ", "é"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.tuples(inner, inner).map("(?:%s|%s)".__mod__),
        inner.map("(?:%s)?".__mod__),
        inner.map("(?:%s){1,3}".__mod__),
    ),
    max_leaves=6,
)


@given(pattern=PATTERNS, seed=st.integers(0, 99))
@settings(max_examples=5)
def test_a_text_that_ended_matches_the_whole_regular_expression(way, pattern, seed):
    run, name, own = way
    found = run.sample("the ", regex=pattern, sampler=name, n=2, max_tokens=40, seed=seed, **own)
    for text, fits, ended in zip(found.completions, found.satisfied, found.ended, strict=True):
        assert fits == bool(re.fullmatch(pattern, text))
        assert fits or not ended


SCHEMAS = st.recursive(
    st.sampled_from(
        [
            {"type": "integer", "minimum": 0, "maximum": 20},
            {"enum": ["a", "हाँ", 3]},
            {"type": "boolean"},
            {"type": "null"},
        ]
    ),
    lambda inner: st.one_of(
        inner.map(lambda own: {"type": "array", "items": own, "minItems": 1, "maxItems": 2}),
        st.tuples(inner, inner).map(
            lambda own: {
                "type": "object",
                "properties": {"x": own[0], "y": own[1]},
                "required": ["x"],
                "additionalProperties": False,
            }
        ),
    ),
    max_leaves=3,
)


@given(schema=SCHEMAS, seed=st.integers(0, 99))
@settings(max_examples=4)
def test_a_text_that_ended_is_json_of_the_schema(way, schema, seed):
    jsonschema = pytest.importorskip("jsonschema")
    run, name, own = way
    found = run.sample("the ", json_schema=schema, sampler=name, max_tokens=45, seed=seed, **own)
    if found.ended[0]:
        jsonschema.validate(json.loads(found.completions[0]), schema)
    assert found.satisfied[0] or not found.ended[0]


@pytest.mark.parametrize("tokenizer", ["bytes", "bpe"])
@pytest.mark.parametrize("process", ["causal", "block"])
def test_characters_may_be_cut_into_tokens_anywhere(loaded, process, tokenizer):
    found = loaded(process, tokenizer).sample("नम", regex="[\u0915-\u0939]{1,4}|नमस्ते", n=4, max_tokens=30)
    assert all(found.ended)
    assert all(re.fullmatch("[\u0915-\u0939]{1,4}|नमस्ते", text) for text in found.completions)


def test_a_text_that_is_cut_off_says_so(way):
    run, name, own = way
    found = run.sample("the", regex="[a-z]{500}", sampler=name, max_tokens=6, **own)
    assert (found.ended, found.satisfied) == ([False], [False])
    assert re.fullmatch("[a-z]+", found.completions[0])


def test_a_whole_text_that_fills_its_canvas_fits_without_an_end(loaded):
    found = loaded("causal", "bytes").sample("the", regex="abc", max_tokens=3)
    assert (found.completions, found.ended, found.satisfied) == (["abc"], [False], [True])


def test_a_text_longer_than_the_context_fits(loaded):
    run = loaded("causal", "bytes")
    found = run.sample("the", regex="(?:[a-f]{7},){12}", max_tokens=120)
    assert found.ended == [True]
    assert re.fullmatch("(?:[a-f]{7},){12}", found.completions[0])


def test_a_text_does_not_depend_on_its_batch_mates_whatever_they_must_be(way):
    run, name, own = way
    plain = regex_grammar(run.tokenizer, "[a-z]{3,9}(?: [a-z]{2}){0,2}")
    other = json_grammar(run.tokenizer, {"type": "array", "items": {"type": "integer"}, "maxItems": 3})
    network, sampler, asked, vocabulary = _asked(run, name, own, 4, room=16)
    each = [None, Constraint(plain), Constraint(other), None]
    requests = [
        Request(one.tokens[: len(one.tokens) - i], one.settings, i, one.lead, constraint=limit)
        for i, (one, limit) in enumerate(zip(asked, each, strict=True))
    ]
    together = generate(network, sampler, requests, vocabulary)
    for request, sample in zip(requests, together, strict=True):
        (alone,) = generate(network, sampler, [request], vocabulary)
        assert alone.tokens == sample.tokens
    free = [Request(one.tokens, one.settings, one.index, one.lead) for one in requests]
    unlimited = generate(network, sampler, free, vocabulary)
    assert [unlimited[i].tokens for i in (0, 3)] == [together[i].tokens for i in (0, 3)]


def test_what_is_drawn_is_the_networks_law_of_the_tokens_that_may_follow(loaded):
    run = loaded("causal", "bytes")
    grammar = regex_grammar(run.tokenizer, "[ab][cd]")
    network, sampler, asked, vocabulary = _asked(run, "autoregressive", {}, 1, Constraint(grammar))
    (sample,) = generate(network, sampler, asked, vocabulary)
    may = [[run.tokenizer.encode(c)[0] for c in own] for own in ("ab", "cd")] + [[vocabulary.eos]]
    with torch.no_grad():
        for place, allowed in zip(range(4, 7), may, strict=True):
            tokens = torch.tensor([sample.tokens[: place + 1]])
            at = torch.zeros_like(tokens, dtype=torch.bool)
            at[0, place] = True
            p = network(State(tokens, "causal"), at=at).logits[0].double()[allowed].softmax(0)
            assert sample.tokens[place] in allowed
            got = p[allowed.index(sample.tokens[place])]
            assert abs(float(got) - sample.confidence[place]) < 1e-5


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"regex": "["}, "unclosed character class"),
        ({"regex": "(a)\\1"}, "backreferences"),
        ({"regex": "(?=a)b"}, "look-around"),
        ({"regex": "a[^\\s\\S]"}, "no text fits"),
        ({"regex": "(" * 3000 + ")" * 3000}, "cannot be used"),
        ({"regex": "a" * 30_000}, "30000 characters"),
        ({"regex": "\ud800"}, "lone surrogate"),
        ({"regex": "((((.{1,50}){1,50}){1,50}){1,50})"}, "too large"),
        ({"json_schema": {"type": "integer", "minimum": 3, "maximum": 2}}, "Unsatisfiable"),
        ({"json_schema": {"enum": []}}, "Unsatisfiable"),
        ({"json_schema": {"type": "nope"}}, "Invalid type"),
        ({"json_schema": {"$ref": "http://example.org/x.json"}}, "cannot be used"),
        ({"json_schema": {"properties": {"a": {"$ref": "#"}}, "type": "object", "required": ["a"]}}, "no text fits"),
        ({"json_schema": {"type": "array", "uniqueItems": True}}, "Unimplemented"),
        ({"json_schema": {"not": {}, "x-guidance": {"lenient": True}}}, "Unimplemented"),
        ({"json_schema": {"const": float("nan")}}, "cannot be written as JSON"),
        ({"json_schema": '{"a": '}, "cannot be read"),
        ({"json_schema": "[1]"}, "schema"),
        ({"json_schema": "no-such-file.json"}, "no-such-file.json"),
        ({"regex": "a", "json_schema": {}}, "give one of them"),
    ],
)
def test_what_cannot_be_is_refused_before_a_word_is_written(loaded, limit, said):
    with pytest.raises(Error, match=re.escape(said)):
        loaded("causal").sample("the", max_tokens=40, **limit)


@pytest.mark.parametrize(
    ("process", "own", "said"),
    [
        ("masked", {"sampler": "remasking"}, "from the left"),
        ("uniform", {}, "from the left"),
        ("block", {"rule": "remasking"}, "from the left"),
        ("causal", {"sampler": "speculative"}, "from the left"),
        ("causal", {"ignore_eos": True}, "ignore_eos"),
        ("masked", {"suffix": " sat"}, "given words stand behind"),
    ],
)
def test_what_cannot_write_under_a_grammar_is_refused_by_name(loaded, process, own, said):
    with pytest.raises(Error, match=said):
        loaded(process).sample("the", regex="[a-z]+", max_tokens=5, **own)


def test_a_verifier_that_writes_again_is_refused(loaded):
    with pytest.raises(Error, match="repair opens words again"):
        loaded("masked").sample("the", regex="[a-z]+", max_tokens=5, verifier=loaded("causal"), verify="repair")


def test_a_run_of_bytes_of_any_kind_is_refused():
    with pytest.raises(Error, match="bytes of any kind"):
        regex_grammar(make_tokenizer("bytes", [], 0, binary=True), "a")


@pytest.mark.parametrize(
    ("process", "own"),
    [
        ("masked", {"sampler": "ancestral", "steps": 2}),
        ("masked", {"sampler": "confidence", "steps": 3}),
        ("masked", {"sampler": "remasking", "steps": 12, "remask_strength": 0.3}),
        ("masked", {"sampler": "entropy-bound", "entropy_budget": 9.0}),
    ],
)
def test_holes_become_the_words_that_are_given_for_them(loaded, process, own):
    words = [["cat sat", "dog sat"], None, ["mat", "door"]]
    run = loaded(process)
    sizes = [{len(run.tokenizer.encode(f" {word}")) for word in one or [""]} for one in words]
    assert sizes[0] == {2}, "the words are of several tokens"
    found = run.infill("the ____ by the ____ on the ____.", words=words, length=2, n=8, draws=1, temperature=9.0, **own)
    assert all(fill[0] in words[0] and fill[2] in words[2] for fill in found.fills)
    assert len({fill[0] for fill in found.fills}) == 2
    assert {fill[1] for fill in found.fills} - {"cat sat", "dog sat"}


def test_places_of_one_token_hold_for_samplers_that_change_words(loaded):
    run = loaded("uniform")
    found = run.infill("the ____ sat", words=[["cat", "dog"]], length=1, n=6, steps=4, draws=1)
    assert {fill[0] for fill in found.fills} == {"cat", "dog"}
    with pytest.raises(Error, match="apart from each other"):
        run.infill("the ____ sat", words=[["cat sat", "dog sat"]], n=1, draws=1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([["cat", "cat sat on"]], "equally many tokens"),
        ([[]], "no word"),
        ([[""]], "no word|empty|equally"),
        ([["cat"], ["dog"]], "2 holes"),
    ],
)
def test_words_that_cannot_fill_a_hole_are_refused(loaded, words, said):
    with pytest.raises(Error, match=said):
        loaded("masked").infill("the ____ sat", words=words, draws=1)


def test_positions_of_a_canvas_become_the_words_given_for_them(loaded):
    run = loaded("masked")
    limit = constraint_of(run, choices={1: [" cat", " dog"], 3: [run.tokenizer.encode(" mat")[0]]})
    network, sampler, asked, vocabulary = _asked(run, "ancestral", {"steps": 3}, 4, limit, room=4)
    for sample in generate(network, sampler, asked, vocabulary):
        assert run.tokenizer.decode([sample.tokens[2]]) in (" cat", " dog")
        assert run.tokenizer.decode([sample.tokens[4]]) == " mat"
    for choices, said in (({0: [" cat"]}, "not open"), ({9: [" cat"]}, "not open"), ({1: [2]}, "no word")):
        with pytest.raises(Error, match=said):
            limit = constraint_of(run, choices=choices)
            generate(*_asked(run, "ancestral", {"steps": 3}, 1, limit, room=4))


def test_a_locked_word_has_to_fit(loaded):
    run = loaded("causal", "bytes")
    limit = Constraint(regex_grammar(run.tokenizer, "[ab]c"))
    network, sampler, asked, vocabulary = _asked(run, "autoregressive", {}, 1, limit)
    state = sampler.start(asked, vocabulary)
    a, b, c = (run.tokenizer.encode(one)[0] for one in "abc")
    with pytest.raises(Error, match="does not fit"):
        lock(state, 0, 4, c)
    with pytest.raises(Error, match="not the next"):
        lock(state, 0, 5, c)
    state = lock(state, 0, 4, b)
    for _ in range(2):
        state, _ = sampler.step(network, state)
    assert run.tokenizer.decode(state.tokens[0, 4:6].tolist()) == "bc"
    assert bool(state.done[0])
    place = Constraint(words=(Words(4, ((a, b), (b, a))),))
    state = sampler.start(_asked(run, "autoregressive", {}, 1, place)[2], vocabulary)
    assert lock(state, 0, 5, a).tokens[0, 5] == a
    with pytest.raises(Error, match="does not fit"):
        lock(lock(state, 0, 5, a), 0, 4, a)


def test_a_constraint_travels_with_its_row(loaded):
    run = loaded("block")
    limit = Constraint(regex_grammar(run.tokenizer, "(?:cat |dog )+[0-9]"))
    network, sampler, asked, vocabulary = _asked(run, "block", {"steps": 3, "block_size": 4}, 2, limit)
    vocabulary = replace(vocabulary, table=None)  # no text is completed after its last step
    free = Request(asked[1].tokens, asked[1].settings, 1)
    requests = [free, asked[0], asked[1]]
    alone = [generate(network, sampler, [one], vocabulary)[0].tokens for one in requests]
    state = sampler.start(requests[:2], vocabulary)
    state, _ = sampler.step(network, state)
    late = sampler.start(requests[2:], vocabulary)
    state = stack([rows(state, [1]), late, rows(state, [0])]).to("cpu")
    while not bool(state.done.all()):
        state, _ = sampler.step(network, state)
    for row, tokens in zip((2, 0, 1), alone, strict=True):
        assert tuple(state.tokens[row][state.valid[row]].tolist()) == tokens


def test_kept_texts_of_other_constraints_are_not_handed_out(run_folder):
    run = unmask.load(run_folder("causal"), cache=1 << 20)
    free, first = run.sample("the", max_tokens=12), run.sample("the", max_tokens=12, regex="cat|dog")
    again = run.sample("the", max_tokens=12, regex="[0-9]{3}")
    assert first.completions[0] in ("cat", "dog")
    assert re.fullmatch("[0-9]{3}", again.completions[0])
    assert run.sample("the", max_tokens=12).texts == free.texts
    assert run.cache.hits == 1


def test_the_verb_writes_under_a_constraint(run_folder, cli, tmp_path):
    folder = run_folder("causal")
    schema = tmp_path / "schema.json"
    schema.write_text(
        '{"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"], "additionalProperties": false}'
    )
    done = cli("sample", folder, "the ", "--json-schema", schema, "--max-tokens", "30", "--json")
    told = json.loads(done.out)
    assert (done.status, told["satisfied"]) == (0, [True])
    assert set(json.loads(told["completions"][0])) == {"a"}
    done = cli("sample", folder, "the ", "--regex", "[a-z]{90}", "--max-tokens", "5")
    assert done.status == 0
    assert "cut off" in done.err
    for wrong in (("--regex", "["), ("--json-schema", "{"), ("--regex", "a", "--json-schema", "{}")):
        done = cli("sample", folder, "the ", *wrong)
        assert (done.status, done.out, len(done.err.strip().splitlines())) == (2, "", 1)
    done = cli("infill", run_folder("masked"), "the ____ sat", "--words", "cat,dog", "--draws", "1", "--json")
    assert json.loads(done.out)["fills"][0][0] in ("cat", "dog")


def test_all_moments_of_a_text_are_beginnings_of_what_it_must_be(way):
    run, name, own = way
    grammar = regex_grammar(run.tokenizer, "(?:cat|dog){1,5}[0-9]{4}")
    network, sampler, asked, vocabulary = _asked(run, name, own, 2, Constraint(grammar))
    begin = asked[0].tokens.index(vocabulary.mask)
    for tick in ticks(network, sampler, asked, vocabulary):
        for row in range(len(tick.which)):
            tokens, opened = tick.state.tokens[row].tolist(), tick.state.open[row].tolist()
            until = next((p for p in range(begin, len(tokens)) if opened[p] or not tick.state.valid[row, p]), 99)
            assert grammar.begins(tuple(t for t in tokens[begin:until] if t != vocabulary.eos))
            assert all(opened[p] or not tick.state.valid[row, p] for p in range(until, len(tokens)))
