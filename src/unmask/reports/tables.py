"""The tables of a comparison as text cells, the most important first."""

from __future__ import annotations

import math
from collections.abc import Sequence

from unmask.lines import counted
from unmask.reports.cells import UNDER_LOAD, Table, beside, difference, interval, judged, measured, scale, sign, speed
from unmask.reports.probe_tables import filling_table, restoring_table
from unmask.reports.rows import CompareResult, Decision
from unmask.reports.script_tables import script_tables

OTHERS = {"self_bleu": "self-BLEU", "coherence": "coherence", "divergence": "divergence"}
DIGITS = {"self_bleu": 1}


def tables(comparison: CompareResult) -> list[Table]:
    """Return all tables of a comparison, the most important first."""
    decided = [decision_table(comparison.decisions)] if comparison.decisions else []
    probed = [restoring_table(comparison)]
    if comparison.fills:
        probed.append(filling_table(comparison))
    scripts = script_tables(comparison) if comparison.scripts else []
    return [bits_table(comparison), *decided, speed_table(comparison), quality_table(comparison), *probed, *scripts]


def bits_table(comparison: CompareResult) -> Table:
    """Bits per byte of the held-out text, with what each run cost to train."""
    seeds = max(len(row.seeds) for row in comparison.rows) > 1
    rows = []
    for row in comparison.rows:
        value = f"{sign(row.bound)}{row.bits_per_byte:.3f}"
        if row.spread is not None:
            value += f" ± {row.spread:.3f}"
        rows.append(
            [
                row.name,
                row.process,
                value,
                *([str(len(row.seeds))] if seeds else []),
                row.bound if row.bound != "upper bound" else f"upper bound, {counted(row.draws, 'draw')}",
                f"{sign(row.bound)}{row.perplexity:.1f}",
                interval(row.interval),
                difference(row.difference),
                f"{row.parameters:,}",
                f"{row.tokens_seen:,}",
                scale(row.training_flops),
                "-" if row.train_seconds is None else f"{row.train_seconds:,.0f}",
                "-" if row.train_tokens_per_second is None else f"{row.train_tokens_per_second:,.0f}",
            ]
        )
    runs = len(rows)
    for control in comparison.controls:
        if control.bits_per_byte is not None:
            value = f"{sign(control.bound)}{control.bits_per_byte:.3f}"
            one = ["-"] if seeds else []
            rows.append(
                [control.name, "control", value, *one, control.bound, "-", interval(control.interval), *["-"] * 6]
            )
    held = comparison.held_out
    spread = "± is the standard deviation over seeds. " if seeds else ""
    paid = {row.name: row.length_nats / math.log(2) / held["bytes"] for row in comparison.rows if row.length_nats}
    each = ", ".join(f"{name} {bits:.4f}" for name, bits in paid.items())
    told = f"What a network is told of lengths is paid for, in the figure: {each} bits a byte. " if paid else ""
    characters = held.get("characters")  # comparisons that were kept by older versions have none
    wide = f"Bits a character are {held['bytes'] / characters:.3f} times as many. " if characters else ""
    return Table(
        "Bits per byte of held-out text",
        [
            "run",
            "process",
            "bits/byte",
            *(["seeds"] if seeds else []),
            "kind",
            "perplexity",
            "95 % interval",
            "above the first",
            "parameters",
            "tokens seen",
            "train FLOPs",
            "train s",
            "train tok/s",
        ],
        rows,
        frozenset(range(runs, len(rows))),
        f"Lower is better. Declared equal: {comparison.setup['budget']}. {counted(held['documents'], 'document')}, "
        f"{held['bytes']:,} bytes of {held['source']} ({held['split']}, fingerprint {held['fingerprint']}), windows of "
        f"{held['window']} bytes. {wide}"
        f"Kinds are not to be mixed: a model's own figure may lie below an upper bound, never "
        f"above. Perplexity is a token's, of each run's own tokenizer. "
        f"{told}{spread}Intervals are "
        "over documents, and over seeds where there are several; the difference is paired. The n-grams read documents "
        "whole.",
    )


def decision_table(decisions: Sequence[Decision]) -> Table:
    """Every rule with what was measured, and the verdict of each set of rules."""
    rows = []
    for decision in decisions:
        for outcome in decision.outcomes:
            met = {True: "met", False: "broken", None: "undecided"}[outcome.met]
            value = "-" if outcome.value is None else f"{outcome.value:.4g}"
            span = "-" if outcome.interval is None else f"{outcome.interval[0]:.4g} to {outcome.interval[1]:.4g}"
            about = f"{decision.keep} against {decision.against}"
            rows.append([about, outcome.rule, value, span, met, outcome.why, decision.verdict.upper()])
    return Table(
        "Decisions",
        ["row", "rule", "measured", "95 % interval", "rule is", "because", "verdict"],
        rows,
        frozenset(),
        "Rules are to be written down before the measurement. x: times the baseline's value. All met: keep; one "
        "broken: drop; otherwise undecided.",
    )


def speed_table(comparison: CompareResult) -> Table:
    """Latency and throughput of each way to sample, beside the quality of its text."""
    every = [text for row in comparison.rows for text in row.generation]
    batches = sorted({cell.batch for text in every for cell in text.latency})
    judges = list(every[0].judges) if every else []
    columns = ["run", "sampler", "steps", *judges, "distinct-2", "repeated-4", "entropy"]
    for batch in batches:
        columns += [f"B{batch} s (p90)", f"B{batch} tok/s"]
    rows = []
    for text in every:
        cells = {cell.batch: cell for cell in text.latency}
        row = [text.name, text.sampler, "-" if text.steps is None else str(text.steps), *judged(text, judges)]
        row += [beside(text, "distinct_2"), beside(text, "repeated_4"), beside(text, "entropy", 2)]
        for batch in batches:
            row += speed(cells.get(batch))
        rows.append(row)
    setup = comparison.setup
    brackets = "In brackets: real text of the same size; a good text is close to it, not far below. "
    if not batches:
        return Table("Ways to sample, and their text", columns, rows, frozenset(), f"{brackets}Timing was off.")
    loaded = UNDER_LOAD if any(cell.contended for text in every for cell in text.latency) else ""
    return Table(
        "Speed, and the text that it buys",
        columns,
        rows,
        frozenset(),
        f"{brackets}{loaded}Seconds are the median "
        f"until all texts of a batch of B are done, {setup['length']} tokens each, no prompt, end of text not allowed "
        "(equal work); p90 is over few repeats, and a cell marked * is a single run without warm-up. "
        f"{setup['device']}, threads: {setup['threads']}.",
    )


def quality_table(comparison: CompareResult) -> Table:
    """All measures of generated text, beside real text of the same size and the control texts."""
    every = [text for row in comparison.rows for text in row.generation]
    runs = len(every)
    every += [control.text for control in comparison.controls if control.text is not None]
    judges = list(every[0].judges) if every else []
    others = list(every[0].measures) if every else []
    rows = [
        [
            text.label,
            *judged(text, judges),
            *(beside(text, name) for name in ("distinct_1", "distinct_2", "distinct_3", "repeated_4")),
            beside(text, "entropy", 2),
            *(measured(text, name, DIGITS.get(name, 3)) for name in others),
            f"{text.quality.words:.0f}",
            f"{text.quality.bytes:.0f}",
        ]
        for text in every
    ]
    names = [OTHERS.get(name, name) for name in others]
    return Table(
        "Quality of generated text",
        ["text", *judges, "distinct-1", "distinct-2", "distinct-3", "repeated-4", "entropy", *names, "words", "bytes"],
        rows,
        frozenset(range(runs, len(rows))),
        "In brackets: real text of the same size. Judges: bits per byte under models that never saw the training "
        "split; a collapsed text pleases any judge, so read them beside distinct-n (share of different n-grams), "
        "repeated-4 (share of 4-grams said before in the same text) and entropy (bits a word). Self-BLEU: each text "
        "against the others. Coherence: how much more alike neighbouring pieces of a text are than pieces of different "
        "texts. Divergence: like MAUVE, 1 is as close as real text is to other real text (in brackets).",
    )
