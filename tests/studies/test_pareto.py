"""The rows of the Pareto study are what the samplers have: a rule that is new is in it; a collapse is on no front."""

from typing import Literal, get_args, get_origin

from benchmarks.studies.few_steps.front import collapsed, fronts, table
from benchmarks.studies.few_steps.pareto import ways
from unmask.sampling.search_space import kinds_of


def test_every_sampler_and_each_of_its_choices_has_a_row():
    there = {(sampler, key, value) for _, sampler, given in ways() for key, value in given.items()}
    for process in ("masked", "block"):
        for kind in kinds_of(process):
            assert kind.name in {sampler for _, sampler, _ in ways()}
            for key, field in kind.model_fields.items():
                if get_origin(field.annotation) is Literal and key != "beyond":
                    found = {value for sampler, name, value in there if (sampler, name) == (kind.name, key)}
                    assert found >= {*get_args(field.annotation)} - {field.default}, f"{kind.name}: {key}"


def row(ms, bits, entropy=7.0, **more):
    times = {} if ms is None else {f"ms, batch {batch}": ms for batch in (1, 8)}
    counts = {"judge, bits per byte": bits, "entropy, bits a word": entropy, "repeated 4-grams": 0.01}
    return {"run": "block", "sampler": "block", "settings": {}, **counts, **times} | more


def test_a_front_has_no_collapsed_text_and_the_table_has_the_controls():
    rows = {
        "good": row(9.0, 2.0),
        "fast": row(2.0, 3.0),
        "poor": row(9.5, 2.5),
        "dull": row(1.0, 0.5, entropy=3.0),
        "left to right": row(99.0, 5.0, sampler="autoregressive"),
        "real text": row(None, 2.0, sampler=""),
    }
    assert collapsed(rows["dull"], rows["real text"]) and fronts(rows, 8) == ["fast", "good"]
    shown = [line["written by"] for line in table({"rows": rows})]
    assert [name in shown for name in rows] == [True, True, False, False, True, True]
