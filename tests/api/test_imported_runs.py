"""An imported run is a run: every verb takes one of each kind, and one in 8 bits, and its network keeps the guards."""

import json
import math

import pytest
import torch
from lm_eval.api.instance import Instance

import unmask
from guards.networks import few_asked_as_all, network_rows_stay_apart, position_matters, the_future_stays_unseen
from guards.parts import make_batch, make_process
from guards.processes import documents_stay_apart, hidden_truth_stays_hidden, process_rows_stay_apart
from open_weights import a2d, llada, qwen2
from unmask.api.harness import UnmaskLM
from unmask.errors import Error
from unmask.training.run import Run

KINDS = ("causal", "masked", "block", "int8")
TEXTS = [f"The hen met the fox on day {n}. Then they ate {n} eggs." for n in range(6)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    place, made = tmp_path_factory.mktemp("imported"), {}
    for name, write in (("causal", qwen2), ("masked", llada), ("block", a2d)):
        write(place / f"{name}-source")
        made[name] = unmask.import_run(place / f"{name}-source", place / name, length=64).path
    made["int8"] = unmask.import_run(place / "causal-source", place / "int8", length=64, dtype="int8").path
    return made


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "held.jsonl"
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in TEXTS))
    return str(path)


def test_runs_of_all_kinds_are_compared_and_one_of_them_judges(runs, text, tmp_path):
    three = [runs[name] for name in ("causal", "masked", "block")]
    report = unmask.compare(
        three, judge=runs["int8"], source=text, quick=True, output=tmp_path / "report", documents=3, samples=4
    ).to_dict()
    rows = {row["name"]: row for row in report["rows"] if row["name"] in runs}
    assert set(rows) == {"causal", "masked", "block"}
    told = json.dumps(report)
    assert "exact" in told and "upper bound" in told and "int8" in told
    assert all("not known here" in told for _ in rows)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_scored(runs, text, kind):
    found = unmask.evaluate(runs[kind], source=text, draws=2)
    assert found.bound == ("upper bound" if kind in ("masked", "block") else "exact")
    assert 0 < found.bits_per_byte < 20 and found.left_to_right is None
    with pytest.raises(Error, match="Give --source FILE"):
        unmask.evaluate(runs[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_it_writes_the_same_text_at_a_seed_and_fills_what_it_can_see_both_sides_of(runs, kind):
    texts = [unmask.sample(runs[kind], prompt="The hen", max_tokens=6, n=2, seed=1).texts for _ in range(2)]
    assert texts[0] == texts[1] and all(text.startswith("The hen") for text in texts[0])
    hole = "The ____ met the fox."
    if kind in ("causal", "int8"):
        with pytest.raises(Error, match="writes left to right and cannot fill holes"):
            unmask.infill(runs[kind], hole)
        return
    if kind == "block":
        with pytest.raises(Error, match="a block sees nothing of what stands behind it"):
            unmask.infill(runs[kind], hole, length=2)
        ends = unmask.infill(runs[kind], "The hen met ____", length=2, seed=1).texts[0]
        assert ends.startswith("The hen met ")
        return
    filled = unmask.infill(runs[kind], hole, length=2, seed=1).texts[0]
    assert filled.startswith("The ") and filled.endswith(" met the fox.")


@pytest.mark.parametrize("kind", KINDS)
def test_the_harness_asks_it_and_gets_the_numbers_of_evaluate(runs, text, kind):
    model = UnmaskLM(str(runs[kind]), draws=2, batch_size=2)
    rolling = [Instance("loglikelihood_rolling", {}, (row,), i, ("t", i, 1)) for i, row in enumerate(TEXTS)]
    nats = model.loglikelihood_rolling(rolling, disable_tqdm=True)
    bits = -sum(nats) / math.log(2) / sum(map(len, TEXTS))
    assert bits == pytest.approx(unmask.evaluate(runs[kind], source=text, draws=2).bits_per_byte, rel=0.1)
    until = Instance("generate_until", {}, ("The hen", {"until": ["."], "max_gen_toks": 4}), 0, ("t", 0, 1))
    assert len(model.generate_until([until], disable_tqdm=True)) == 1


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_its_network_keeps_the_guards(runs, kind):
    opened = Run.open(runs[kind])
    network, name = opened.model("cpu"), opened.process.name
    visibility = "bidirectional" if name == "masked" else "causal"
    if name != "block":
        position_matters(network, visibility)
        few_asked_as_all(network, visibility)
        network_rows_stay_apart(network, visibility)
    if name == "causal":
        the_future_stays_unseen(network)
    process = make_process(name, **opened.recipe.process_options().model_dump(exclude_unset=True))
    hidden_truth_stays_hidden(process, network, make_batch())
    documents_stay_apart(process, network, make_batch(ragged=True))
    process_rows_stay_apart(process, network, make_batch(ragged=True))


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_to_others_and_is_the_same_run_there(runs, tmp_path, kind):
    hub = unmask.export(runs[kind], tmp_path / "hub")
    one, other = (unmask.sample(each, prompt="The hen", max_tokens=5, seed=1).texts for each in (runs[kind], hub.path))
    assert one == other
    assert Run.open(hub.path).stored_as == Run.open(runs[kind]).stored_as, "in no more bytes than it had"
