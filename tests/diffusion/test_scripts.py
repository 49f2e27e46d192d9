"""Script-aware hiding: each kind by its schedule, clusters whole, spans, markers by policy, and weights that follow."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from guards.parts import VOCABULARY, make_process
from unmask.certificates.worlds import HMM
from unmask.data import scripts
from unmask.data.batch import Batch
from unmask.data.tokenizers import make_tokenizer
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.masked import Masked
from unmask.diffusion.options import BlockOptions, MaskedOptions, SparseOptions, UniformOptions
from unmask.diffusion.script_options import KINDS, ScriptOptions
from unmask.diffusion.scripts import Scripts
from unmask.errors import Error
from unmask.models.backbones import BACKBONES
from unmask.training.recipe import load_recipe
from unmask.training.sections import ProcessSection

BYTES = make_tokenizer("bytes", [], 0)
TEXT = "\u0939\u093f\u0928\u094d\u0926\u0940 \u0939\u0948\u0964 go 42 \u0915\u093c\u094d\u0937 \u0967"


def rows_of(text, tokenizer, rows):
    tokens = torch.tensor([[tokenizer.bos_id, *tokenizer.encode(text), tokenizer.eos_id]]).expand(rows, -1)
    return Batch(tokens, torch.ones_like(tokens), torch.arange(rows), tokenizer.bos_id)


def process(tokenizer=BYTES, **scripts):
    return Masked(MaskedOptions(scripts=scripts), tokenizer.vocabulary)


def test_kinds_and_clusters_are_those_of_the_text_whatever_the_tokens():
    pieces = make_tokenizer("bpe", [TEXT, "go going"] * 4, 280)
    for tokenizer in (BYTES, pieces):
        batch = rows_of(TEXT, tokenizer, 1)
        read = process(tokenizer).scripts.read(batch)
        tokens, kinds, at = batch.tokens[0].tolist(), [KINDS[kind] for kind in read.kind[0]], 0
        clusters = {len(TEXT[:place].encode()) for place in scripts.clusters(TEXT)}
        for token, kind, first in zip(tokens[1:-1], kinds[1:-1], read.first[0, 1:-1].tolist(), strict=True):
            size = len(tokenizer.decode_bytes([token]))
            held = TEXT.encode()[at : at + size].decode("utf-8", "replace")
            assert first == (at in clusters)
            if "g" in held or "o" in held:
                assert kind == "latin"
            if held and not held.strip():
                assert kind == "other"
            if held == "\u0964":
                assert kind == "markers"
            if held.strip().isdigit():
                assert kind == "digits"
            at += size
        assert kinds[-1] == "other" and read.first[0, -1]


@given(parts=st.lists(st.binary(max_size=5) | st.text(max_size=3).map(str.encode), min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_tokens_at_all_are_read_and_a_first_one_begins_a_cluster(parts):
    table = (b"",) * 4 + tuple(parts)
    tokens = torch.tensor([[1, *range(4, 4 + len(parts))]])
    read = Scripts(ScriptOptions(), "linear", table).read(
        Batch(tokens, torch.ones_like(tokens), torch.zeros(1, dtype=torch.long), 1)
    )
    assert read.kind.shape == read.first.shape == tokens.shape and int(read.kind.max()) < len(KINDS)
    spelled = [place for place, part in enumerate(parts, 1) if part]
    assert not spelled or bool(read.first[0, spelled[0]])


def test_each_kind_is_hidden_by_its_own_schedule():
    made = process(devanagari="polynomial:3", latin="polynomial:0.5", clusters=0.0)
    batch = rows_of(TEXT, BYTES, 4000)
    hidden = made.hidden_at(batch, 0, torch.full((4000,), 0.25)).double().mean(0)
    read = made.scripts.read(batch)
    for kind, rate in (
        ("devanagari", 0.25**3),
        ("latin", 0.5),
        ("digits", 0.25),
        ("markers", 0.25**3),
        ("other", 0.25),
    ):
        at = (read.kind[0] == KINDS.index(kind)) & batch.predictable[0]
        assert bool(at.any()) and float((hidden[at] - rate).abs().max()) < 0.03, kind


def test_clusters_are_hidden_whole_in_the_share_of_rows_that_was_asked_for():
    batch = rows_of(TEXT, BYTES, 2000)
    made = process(clusters=0.7, devanagari="polynomial:2")
    hidden = made.corrupt(batch, 0).state.tokens == BYTES.mask_id
    first = made.scripts.read(batch).first
    split = ((hidden[:, 1:] != hidden[:, :-1]) & ~first[:, 1:]).any(1)
    assert 0.2 < float(split.double().mean()) < 0.3 + 1e-9


def test_markers_go_with_their_cluster_unless_they_have_a_schedule():
    batch = rows_of(TEXT, BYTES, 3000)
    late = process(markers="polynomial:4", clusters=0.99)
    read = late.scripts.read(batch)
    nukta = (read.kind[0] == KINDS.index("markers")) & ~read.first[0]
    shown = late.hidden_at(batch, 0, torch.full((3000,), 0.5)).double().mean(0)
    assert float(shown[nukta].max()) < 0.1
    with_it = process(clusters=0.99).hidden_at(batch, 0, torch.full((3000,), 0.5)).double().mean(0)
    assert float(with_it[nukta].min()) > 0.45


def test_spans_of_a_mean_length_share_one_draw():
    batch = rows_of("abcdefgh" * 8, BYTES, 400)
    for span in (1.0, 3.0):
        hidden = process(span=span, clusters=0.0).hidden_at(batch, 0, torch.full((400,), 0.5))[:, 1:-1]
        turns = (hidden[:, 1:] != hidden[:, :-1]).double().mean()
        assert abs(float(turns) - 0.5 / span) < 0.03, "neighbours of two draws differ in half of the cases"
        assert abs(float(hidden.double().mean()) - 0.5) < 0.03


class WeighsByTheUsualSchedule(Masked):
    def rates_at(self, place, progress, schedule):
        return super().rates_at(place, progress, schedule)[0], super().rates_at(place, progress, self.schedule)[1]


@pytest.mark.parametrize("kind, right", [(Masked, True), (WeighsByTheUsualSchedule, False)])
def test_the_elbo_of_the_schedules_in_use_is_the_text_of_a_known_source(kind, right):
    """Nobody reads the pattern here: the answers are the source's own, so every order adds up to the text's nats."""
    world = HMM.random()
    words = world.sample(3000, 8)
    batch = world.batch(words)
    options = MaskedOptions(scripts={"devanagari": "polynomial:2", "clusters": 0.0}, weighting="elbo")
    made = kind(options, VOCABULARY)
    found = []
    for seed in range(4):
        nats = made.loss(world, batch, seed)["loss"] * (batch.tokens.shape[1] - 1)
        found.append(float(nats))
    truth = float(world.nats(words).mean())
    mean = sum(found) / len(found)
    assert (abs(mean / truth - 1) < 0.06) == right, (mean, truth)


def test_without_the_option_nothing_changes_and_the_bound_is_the_same_with_it():
    clean = rows_of(TEXT, BYTES, 3)
    plain, aware = Masked(MaskedOptions(), BYTES.vocabulary), process(devanagari="cosine")
    kind = BACKBONES.get("transformer")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = kind.model(kind.config(vocab_size=BYTES.vocab_size, **sizes)).eval()
    with torch.no_grad():
        assert torch.equal(plain.likelihood(model, clean).nats, aware.likelihood(model, clean).nats)


def test_a_block_and_a_sparse_run_take_it_and_a_uniform_one_is_told_why_not():
    scripts = {"devanagari": "cosine"}
    for options in (BlockOptions, SparseOptions):
        assert options(scripts=scripts).scripts.devanagari == "cosine"
    with pytest.raises(Error, match="draws words anew and hides none"):
        UniformOptions(scripts=scripts).check(BACKBONES.get("transformer").keys(vocab_size=260, time_input=True))


@pytest.mark.parametrize(
    "given, message",
    [
        ({"tamil": "cosine"}, "unknown recipe key process.scripts.tamil. Known: devanagari, latin"),
        ({"devanagri": "cosine"}, "Did you mean 'devanagari'"),
        ({"latin": "cosin"}, "unknown schedule 'cosin'"),
        ({"clusters": 1.0}, "process.scripts.clusters is 1.0: Input should be less than 1"),
    ],
)
def test_a_slip_in_the_recipe_is_one_line(given, message):
    with pytest.raises(Error, match=message):
        load_recipe("nano-masked").model_copy(
            update={"process": ProcessSection(name="masked", scripts=given)}
        ).process_options()


def test_tokens_without_bytes_are_refused_in_one_line():
    made = make_process("masked", scripts={})
    made.scripts._table = None
    with pytest.raises(Error, match="use bpe or bytes"):
        made.corrupt(rows_of("ab", BYTES, 1), 0)
    assert math.isclose(made.expected_share(1.0), 0.5, abs_tol=1e-3) and Vocabulary().table is None
