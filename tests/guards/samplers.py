"""Guards of samplers: what was learned is what is written, the states visited were trained, texts have one seed.

Letters: B rows, T positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from guards.guard import Call, Uniform, Watched, guard, in_a_world_of
from guards.parts import IDS, REORDERS, VOCABULARY, any_settings, make_batch, make_requests, without_cache
from unmask.data.batch import Batch as Texts
from unmask.diffusion.state import Prediction, State
from unmask.sampling import Batch, Request, Sample, fill_request, generate
from unmask.sampling.loop import collect

TEXTS = [[1, 5, 9, 14, 7, 12, 20, 11, 2], [1, 6, 13, 8, 17, 10, 4, 19, 2]]
"""Two texts that share no word: whichever word is given, the rest is certain."""


@guard("an overfit model recites its text through generate()")
def an_overfit_model_recites(process: Any, model: Any, samplers: Sequence[Any]) -> None:
    """Trained on two texts until it knows them, it writes each to its end after its first words, and fills its middle.

    Targets, logits, cache and canvas must all count positions in the same way for that.
    """
    _learn_by_heart(process, model)
    for sampler in samplers:
        wanted = {"temperature": 0.0, "steps": 12}
        settings = sampler.Settings(**{k: v for k, v in wanted.items() if k in sampler.Settings.model_fields})
        requests, truth = [], []
        for text in TEXTS:
            for given in (2, 4):
                requests.append(fill_request(text[1 : 1 + given], len(text) - 1 - given, VOCABULARY, settings))
                truth.append(tuple(text))
            if sampler.Settings.visibility == "bidirectional":
                requests.append(fill_request(text[1:3], 3, VOCABULARY, settings, suffix=text[6:]))
                truth.append(tuple(text))
        for sample, text in zip(generate(model, sampler, requests, VOCABULARY), truth, strict=True):
            assert sample.tokens == text, f"the {sampler.Settings.name} sampler wrote {sample.tokens} for {text}"


def _learn_by_heart(process: Any, model: Any, rows: int = 16) -> None:
    """Train until the mean loss of 20 steps is low enough, and 60 steps more.

    Guessing costs 3.1 nats a token. Which of the texts it is, when all is hidden, costs ln 2 a token in 1 of 9 draws
    under masked diffusion with uniform times: 0.15 on average, which no training takes away. Where words may be wrong
    it is 0.20 (``uniform``, by the exact posterior of the two texts), and copying what is shown costs 0.8.
    """
    # Words that may be wrong tell less of each other: smaller steps, and many at the end, so that each word is sure.
    usual = (0.25, 400, 60, 1e-2, 1e-2)
    enough, most, more, rate, slower = (0.36, 1500, 300, 5e-3, 1e-3) if process.shows == "token" else usual
    tokens = torch.tensor(TEXTS * (rows // 2))
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    losses: list[float] = []
    last = most
    while len(losses) < last:
        order = len(losses) * rows + torch.arange(rows)
        parts = process.loss(model, Texts(tokens, torch.ones_like(tokens), order, VOCABULARY.bos), seed=0)
        loss = parts["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(parts.get("block", loss).detach()))
        if last == most and len(losses) >= 20 and sum(losses[-20:]) < 20 * enough:
            last = len(losses) + more
            optimizer.param_groups[0]["lr"] = slower
    model.eval()
    assert last != most, f"the model does not learn its texts (loss {sum(losses[-20:]) / 20:.2f} after {last} steps)"


Feature = tuple[str, object]


def features(call: Call) -> set[Feature]:
    """Return what is to be seen in the states of a call, as (feature, value).

    What a prediction cannot see does not count: under causal visibility, the tokens from the last asked one on.
    """
    state = call.state
    tokens, rows = state.tokens, call.at.any(1)
    valid = torch.ones_like(call.at) if state.valid is None else state.valid
    piece = torch.ones_like(tokens) if state.segments is None else state.segments
    valid = valid & (piece > 0)
    column = torch.arange(tokens.shape[1])[None]
    seen = valid & rows[:, None]
    if state.visibility == "causal":
        seen = seen & (column < (call.at * column).amax(1, keepdim=True))
    first = torch.ones_like(seen)
    first[:, 1:] = piece[:, 1:] != piece[:, :-1]
    masks = seen & (tokens == VOCABULARY.mask)
    share = masks.sum(1) / (seen & (tokens != VOCABULARY.bos)).sum(1).clamp(min=1)
    behind = torch.zeros_like(seen)
    behind[:, 1:] = seen[:, 1:] & ~first[:, 1:] & (tokens[:, :-1] == VOCABULARY.eos)
    if state.level is not None:  # words that may be wrong: how noisy the text is, is told of each
        share = (seen * state.level).sum(1) / (seen & (tokens != VOCABULARY.bos)).sum(1).clamp(min=1)
    level = None
    if state.t is not None and state.t.ndim == 1:
        level = bool(torch.allclose(state.t[rows].double(), share[rows].double(), atol=1e-5))
    elif state.t is not None:  # told of each position's document
        same = (piece[:, :, None] == piece[:, None]) & (seen & (tokens != VOCABULARY.bos))[:, None]
        own = (same & masks[:, None]).sum(2) / same.sum(2).clamp(min=1)
        level = bool(torch.allclose(state.t[seen].double(), own[seen].double(), atol=1e-5))
    found: set[Feature] = {
        ("visibility", state.visibility),
        ("the stated noise level is the share of masks", level),
        ("positions count from 0", state.positions is None or bool((state.positions == column).all())),
        *(
            (f"state.{f.name} is given", getattr(state, f.name) is not None)
            for f in fields(state)
            if f.name not in KNOWN
        ),
        *((f"a note of kind {type(thing).__name__} is given", True) for thing in state.notes.things),
    }
    if state.level is not None:
        noisy = state.level > 0
        found |= {("an asked position is told to be right", bool(x)) for x in ~noisy[call.at]}
        found |= {
            ("levels of a text are equal where noisy", bool((x[x > 0] == x.max()).all())) for x in state.level[rows]
        }
    found |= {("share of masks, in eighths rounded up", int(s)) for s in (share[rows] * 8 - 1e-6).ceil()}
    for name, value in (
        ("everything is hidden", share > 1 - 2e-3),
        ("a text opens with BOS", ~(seen & first & (tokens != VOCABULARY.bos)).any(1)),
        ("BOS stands inside a text", (seen & ~first & (tokens == VOCABULARY.bos)).any(1)),
        ("something stands behind EOS", behind.any(1)),
        ("padding is read as a word", (seen & (tokens == VOCABULARY.pad)).any(1)),
        ("a mask stands in padding", (~valid & (tokens == VOCABULARY.mask)).any(1)),
        ("an id is outside the vocabulary", ((tokens < 0) | (tokens >= IDS)).any(1)),
    ):
        found |= {(name, bool(x)) for x in value[rows]}
    if state.candidates is not None:
        given = state.candidates.mass > 0
        found |= {("candidates at a position", given.shape[-1])}
        found |= {("a decided position has candidates", bool(x)) for x in (given.any(-1) & ~masks).any(1)[rows]}
        found |= {("candidates of all mass", bool(x)) for x in (state.candidates.mass.sum(-1) > 1 + 1e-4).any(1)[rows]}
    if state.visibility != "causal":
        found |= {("an asked position shows a word", bool(x)) for x in tokens[call.at] != VOCABULARY.mask}
    return found


KNOWN = {"tokens", "visibility", "positions", "segments", "valid", "t"}
"""Fields whose values are compared; of any other it is compared whether it is given."""


@guard("a sampler visits only states that training visits")
def states_were_trained(process: Any, sampler: Any) -> None:
    """Every feature of a state that the sampler shows occurs in the training of the process, whole and packed."""
    sampler = without_cache(sampler)
    trained = _trained(process)
    assert ("the stated noise level is the share of masks", False) not in trained, "training mis-states its noise level"
    own = [{name: value for name, value in each.items() if name != "block_size"} for each in sampler.variants]
    for settings in ({}, {"ignore_eos": True}, *own):  # blocks as large as the model was trained with
        watched = Watched(Uneven(**process.options.network()))
        generate(watched, sampler, _visits(sampler, settings), VOCABULARY, batch_size=48)
        new = sorted(set().union(*map(features, watched.calls)) - trained, key=str)
        told = [f"{name}: the sampler shows {v}, training {[w for n, w in trained if n == name]}" for name, v in new]
        assert not told, "; ".join(told) + f" (settings: {settings or 'defaults'})"


_TRAINED: dict[tuple[type, str], set[Feature]] = {}


def _trained(process: Any) -> set[Feature]:
    """Return the features of 4,000 texts' training; they are the same for every sampler that is asked about them."""
    key = type(process), repr(process.options)
    if key not in _TRAINED:
        training = Watched(Uniform(IDS))
        with torch.no_grad():
            for clean in (make_batch(2000, 9), make_batch(2000, 12, order=2000, ragged=True)):
                process.loss(training, clean, seed=0, progress=1.0)
        calls = [one for call in training.calls for one in _apart(call)]
        _TRAINED[key] = set().union(*map(features, calls))
    return _TRAINED[key]


def _apart(call: Call) -> list[Call]:
    """Return a call whose text is read clean and in noisy blocks at once as calls that show a writer's states.

    The clean copy, where it is asked, is a text left to right; each noisy block stands behind the clean text before it.
    """
    state = call.state
    if state.clean is None:
        return [call]
    found, column = [], torch.arange(state.tokens.shape[1])
    given = {"segments": state.segments}
    if state.clean_at is not None:
        found.append(Call(State(state.clean, "causal", **given), state.clean_at, call.logits))
    assert state.block is not None
    for start in range(1, state.tokens.shape[1]):
        rows = (state.block == start).any(1)
        own = state.block == start
        until = (own * (column + 1)).amax(1, keepdim=True)
        if bool(rows.any()):
            tokens = torch.where(own, state.tokens, state.clean)[rows]
            piece = torch.ones_like(state.tokens) if state.segments is None else state.segments
            shown = replace(
                State(tokens, "block", block=torch.where(own, start, column.expand(own.shape))[rows]),
                segments=(piece * (piece == piece[:, start : start + 1]) * (column < until))[rows],
                random_mask=None if state.random_mask is None else state.random_mask.rows(rows),
            )
            found.append(Call(shown, (call.at & own)[rows], call.logits))
    return found


class Uneven:
    """A network that is sure here and doubtful there, so that positions are decided in any order, EOS not seldom."""

    def __init__(self, **config: Any) -> None:
        self.config = SimpleNamespace(**{"vocab_size": IDS, **config})
        self.calibration = REORDERS

    def __call__(self, state: State, at: Tensor) -> Prediction:
        """Answer by position."""
        table = 1.5 * torch.randn(at.shape[1], IDS, generator=torch.Generator().manual_seed(0))
        table[:, VOCABULARY.eos] = 1.5
        return Prediction(table[at.nonzero()[:, 1]])


def _visits(sampler: Any, settings: dict[str, Any]) -> list[Request]:
    """Requests from an empty canvas, behind a prompt, and where possible before a suffix; texts end anywhere."""
    suffixes = [(), (7, 9)] if sampler.Settings.visibility == "bidirectional" else [()]
    steps = [{"steps": n} for n in (1, 12)] if "steps" in sampler.Settings(**settings).known else [{}]
    return [
        fill_request(prefix, hole, VOCABULARY, sampler.Settings(**(dict(settings) | s)), suffix=suffix, index=index)
        for prefix, hole in (((), 8), ((5, 6, 7), 5))
        for suffix in suffixes
        for s in steps
        for index in range(6)
    ]


@guard("the same seed gives the same text, another seed or number another")
def seeds_decide_the_text(model: Any, sampler: Any) -> None:
    """A text is a function of (request, seed, number of the text): nothing else is drawn from."""
    requests = make_requests(sampler)

    def texts(asked: Sequence[Request] = requests) -> list[tuple[int, ...]]:
        return [s.tokens for s in generate(model, sampler, asked, VOCABULARY)]

    once, again = (in_a_world_of(world, texts) for world in (1, 2))
    assert once == again, "the same seed gave two texts"
    reseeded = [replace(r, settings=r.settings.but(seed=100 + i)) for i, r in enumerate(requests)]
    assert texts(reseeded) != once, "another seed gave the same texts"
    numbered = [replace(fill_request([5], 12, VOCABULARY), index=i) for i in range(4)]
    assert len(set(texts(numbered))) == 4, "texts under one seed are equal"


def coming_and_going(model: Any, sampler: Any, requests: Sequence[Request]) -> list[Sample]:
    """Return the texts that are written when each joins a step after the one before, beside one that leaves early."""
    batch, found = Batch(model, sampler, VOCABULARY), {}
    waiting = list(enumerate(requests))
    guest, step = len(requests), 0
    while waiting or batch.numbers:
        if waiting:
            collect(batch.join(dict([waiting.pop(0)])), found)
        if step == 1:
            batch.join({guest: replace(requests[-1], index=77)})
        if step == 3:
            batch.leave([guest])
        if batch.numbers:
            collect(batch.step(), found)
        step += 1
    return [found[number] for number in range(len(requests))]


@guard("a text does not depend on its batch mates, their order and padding, nor on when they come and go")
def sampler_rows_stay_apart(model: Any, sampler: Any, rows: int = 6) -> None:
    """Alone, together, in another order, and when they come one by one: the same texts, whatever settings they have."""
    plain = make_requests(sampler, rows)
    requests = [replace(r, settings=any_settings(sampler, number)) for number, r in enumerate(plain)]
    alone = [generate(model, sampler, [r], VOCABULARY)[0].tokens for r in requests]
    for batch_size, step in ((rows, 1), (4, -1)):
        together = generate(model, sampler, requests[::step], VOCABULARY, batch_size=batch_size)[::step]
        for number, (sample, text) in enumerate(zip(together, alone, strict=True)):
            settings = requests[number].settings.model_dump(exclude_defaults=True)
            assert sample.tokens == text, f"text {number} changes in a batch of {batch_size} ({settings})"
    for number, (sample, text) in enumerate(zip(coming_and_going(model, sampler, requests), alone, strict=True)):
        assert sample.tokens == text, f"text {number} changes when others come and go ({requests[number].settings})"


@guard("calls that a sampler leaves out change no text")
def skipped_calls_change_nothing(model: Any, sampler: Any) -> None:
    """Where it asks the network only if something is decided, the text is the one that all calls would have written.

    Steps are many more than positions, so that most of them decide nothing.
    """
    often = {"steps": 40, "remask_strength": 0.1, "rule": "remasking"}
    settings = sampler.Settings(**{key: value for key, value in often.items() if key in sampler.Settings.model_fields})
    requests = [replace(r, settings=settings.but(seed=i)) for i, r in enumerate(make_requests(sampler, 4))]
    few, all_calls = (generate(model, replace(sampler, skip=skip), requests, VOCABULARY) for skip in (True, False))
    for number, (one, other) in enumerate(zip(few, all_calls, strict=True)):
        assert one.tokens == other.tokens, f"text {number} is another with all calls"
        assert one.forwards <= other.forwards, f"text {number} took more calls by leaving some out"
