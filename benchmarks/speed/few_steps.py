"""Few steps against many: ``confidence`` at 16 beside ``ancestral`` at 256 for 256 tokens, speed beside quality.

It needs a trained masked run, since fewer steps are only worth something if the text does not suffer: see the quality
table, where the real text's own figures and those of the same words shuffled stand beside.
"""

from __future__ import annotations

from typing import Any

from benchmarks.lib.measure import Goal, Options, Result, Row, say, take_turns, timed
from unmask.data.corpus import documents
from unmask.data.ngram import ByteNgram
from unmask.errors import Error
from unmask.evaluation.judge import NgramJudge
from unmask.evaluation.text import real_like, shuffled_words, text_quality
from unmask.sampling import SAMPLERS, Ancestral, Confidence, Vocabulary, fill_request, generate
from unmask.training.held_out import corpus_of
from unmask.training.run import Run

NAME = "confidence16_vs_ancestral256"


def run(options: Options) -> Result:
    """Time both at batch 1 and 8, and measure their texts."""
    if options.run is None:
        return Result(NAME, notes=["skipped: it needs a trained masked run; give one with --run DIR"])
    trained = Run.open(options.run)
    if trained.process.visibility != "bidirectional":
        raise Error(f"{options.run} is a left-to-right run; {NAME} needs a masked one.")
    model = trained.model("cpu")
    context = int(model.config.max_position_embeddings)
    tokens = min(16 if options.quick else 256, context - 1)
    many = tokens if options.quick else 256
    few = 4 if options.quick else 16
    notes = []
    if context < 257:
        notes.append(f"texts of {tokens} tokens, not 256: the context of {trained.name} is {context}")
    ways = {
        f"confidence, {few} steps": Confidence.Settings(steps=few),
        f"confidence with noise 1, {few} steps": Confidence.Settings(steps=few, confidence_noise=1.0),
        f"confidence by the drawn token, {few} steps": Confidence.Settings(steps=few, confidence_of="drawn"),
        f"ancestral, {few} steps": Ancestral.Settings(steps=few),
        f"ancestral, {many} steps": Ancestral.Settings(steps=many),
    }
    vocabulary = _vocabulary(trained)

    def write(way: str, count: int, batch: int, seed: int, ignore_eos: bool) -> list[str]:
        settings = ways[way].but(seed=seed, ignore_eos=ignore_eos)
        requests = [fill_request([], tokens, vocabulary, settings, index=i) for i in range(count)]
        done = generate(model, SAMPLERS.get(settings.name)(), requests, vocabulary, batch_size=batch)
        return [trained.tokenizer.decode(sample.written) for sample in done]

    rows, goals = [], []
    rivals = [next(iter(ways)), list(ways)[-1]]
    for batch in (1, 8):
        say(f"{NAME}: speed, batch {batch}")
        for way in rivals:
            write(way, 1, 1, 0, True)
        found = take_turns(
            {w: lambda w=w, n=batch: timed(lambda: write(w, n, n, 1, True)) for w in rivals},
            options.turns(3 if batch > 1 else 5),
        )
        rows += [Row(f"{way}, batch {batch}", "s", samples) for way, samples in found.items()]
        few_s, many_s = found.values()
        goals.append(Goal(f"speed-up at batch {batch}", [m / f for f, m in zip(few_s, many_s, strict=True)]))
    count = 4 if options.quick else 32
    say(f"{NAME}: quality of {count} texts each")
    texts = {way: write(way, count, min(count, 32), 0, False) for way in ways}
    tables = {
        f"quality of {count} texts each (close to real text is good, lower is not)": _quality(trained, texts, notes)
    }
    settings = {
        "run": trained.name,
        "parameters": trained.manifest.get("parameters"),
        "tokens_seen": trained.manifest.get("tokens_seen"),
        "corpus_fingerprint": trained.manifest.get("corpus_fingerprint"),
        "tokens": tokens,
        "texts": count,
    }
    notes += [f"{way}: {text[:300]!r}" for way, several in texts.items() for text in several[:1]]
    return Result(NAME, settings, rows, goals, notes, tables)


def _vocabulary(trained: Run) -> Vocabulary:
    tokenizer = trained.tokenizer
    return tokenizer.vocabulary


def _quality(trained: Run, texts: dict[str, list[str]], notes: list[str]) -> list[dict[str, Any]]:
    """Return a row for each way, then the controls; without the corpus, the counts of the ways alone."""
    judge = None
    shown = dict(texts)
    try:
        corpus = corpus_of(trained)
        model = ByteNgram().fit(text.encode() for text in documents(corpus.split("judge")))
        judge = NgramJudge(model, name="judge")
        real = real_like(next(iter(texts.values())), list(documents(corpus.split("valid")))[:500])
        shown |= {"real text, as many words": real, "real text, words shuffled": shuffled_words(real)}
    except Error as error:
        notes.append(f"neither judge nor controls: the run's corpus cannot be opened ({error})")
    table = []
    for name, several in shown.items():
        quality = text_quality(several)
        table.append(
            {
                "text": name,
                "judge, bits per byte": judge.bits(several) if judge else None,
                "distinct-1": quality.distinct_1,
                "distinct-2": quality.distinct_2,
                "repeated 4-grams": quality.repeated_4,
                "entropy, bits a word": quality.entropy,
                "words": quality.words,
            }
        )
    return table
