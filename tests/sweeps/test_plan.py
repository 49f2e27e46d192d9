"""Promises of plans: they expand as they say, ids are stable, budgets are equal, mistakes name the right word."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from unmask.api.sweep import plan_sweep, sweep_plans
from unmask.errors import Error
from unmask.sweeps.expand import RowPlan, expand
from unmask.sweeps.expand_ways import expand_samplers
from unmask.sweeps.plan_files import load_plan, parse_plan, plan_names
from unmask.training.recipe import load_recipe


def rows_of(**plan: object) -> list[RowPlan]:
    return expand(parse_plan({"recipes": ["nano-masked"], **plan}))


def test_rows_are_recipes_times_grid_times_seeds_in_order():
    rows = rows_of(
        recipes=["nano-masked", "nano-causal"],
        grid={
            "training.lr": [1e-3, "2e-3"],
            "size": {"small": {"backbone.d_model": 64}, "wide": {"backbone.d_model": 96}},
        },
        seeds=2,
    )
    assert [row.label for row in rows[:3]] == [
        "nano-masked, lr=0.001, small, seed 0",
        "nano-masked, lr=0.001, small, seed 1",
        "nano-masked, lr=0.001, wide, seed 0",
    ]
    assert len(rows) == len({row.id for row in rows}) == 16
    last = rows[-1]
    assert last.configuration == "nano-causal, lr=2e-3, wide"
    assert last.values == {"recipe": "nano-causal", "training.lr": "2e-3", "size": "wide"}
    assert last.numbers == {"training.lr": 2e-3}
    recipe = last.cost.recipe
    assert (recipe.process.name, recipe.training.learning_rate, recipe.seed) == ("causal", 2e-3, 1)
    assert recipe.backbone.model_extra["hidden_size"] == 96


def test_the_same_training_has_the_same_id_whatever_the_plan_calls_it(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text("base: nano-masked\nabout: another name\n")
    one = rows_of(grid={"training.lr": [1e-3], "process.schedule": ["cosine"]}, seeds=[3])[0]
    other = rows_of(
        recipes=[str(tmp_path / "mine.yaml")],
        set={"process": {"schedule": "cosine"}, "training.learning_rate": 0.001},
        seeds=[3],
    )[0]
    assert one.id == other.id and one.label != other.label
    assert one.id != rows_of(grid={"training.lr": [1e-3], "process.schedule": ["cosine"]}, seeds=[4])[0].id


def test_seconds_of_training_are_part_of_the_id():
    ids = {rows_of(budget={"time": seconds})[0].id for seconds in (5, 6)}
    assert len(ids | {rows_of()[0].id}) == 3


def test_another_part_keeps_the_options_that_the_grid_gives_it_wherever_they_stand():
    axes = {"process.isolate_documents": [False], "process": ["causal"]}
    for grid in (axes, dict(reversed(axes.items()))):
        process = rows_of(grid=grid)[0].cost.recipe.process
        assert (process.name, process.model_extra) == ("causal", {"isolate_documents": False})


@pytest.mark.parametrize("kind", ["tokens", "flops"])
def test_a_budget_makes_rows_equal_to_half_a_step(kind: str):
    grid = {"training.per_device_train_batch_size": [4, 16], "backbone.num_hidden_layers": [2, 6]}
    wanted = {"tokens": 1e6, "flops": 1e13}[kind]
    steps = set()
    for row in rows_of(grid=grid, budget={kind: wanted}):
        cost = row.cost
        each = 1.0 if kind == "tokens" else cost.training_flops_per_token
        a_step = each * cost.tokens / cost.recipe.training.max_steps
        assert abs(each * cost.tokens - wanted) <= a_step / 2
        steps.add(cost.recipe.training.max_steps)
    assert len(steps) == (2 if kind == "tokens" else 4)


def test_options_of_the_command_line_reach_every_row_and_not_the_axes():
    plan = parse_plan(
        {"recipes": ["nano-masked"], "set": {"training.max_steps": 5}, "grid": {"training.lr": [1e-3, 1e-2]}}
    )
    assert {row.cost.recipe.training.max_steps for row in expand(plan, ["training.steps=7"])} == {7}
    with pytest.raises(Error, match="training.learning_rate is an axis of the plan's grid"):
        expand(plan, ["training.learning_rate=1"])


def test_a_named_set_of_the_grid_comes_before_what_all_rows_get():
    rows = rows_of(set={"training.lr": 1e-3}, grid={"v": {"as all": {}, "own": {"training": {"lr": 2e-3}}}})
    assert [row.cost.recipe.training.learning_rate for row in rows] == [1e-3, 2e-3]


def test_a_part_that_does_not_exist_is_missing_and_no_error():
    rows = rows_of(grid={"backbone": ["transformer", "ecco", "transformr"]})
    assert [row.missing for row in rows] == [
        "",
        "unknown backbone 'ecco'. Did you mean 'eco'?",
        "unknown backbone 'transformr'. Did you mean 'transformer'?",
    ]
    assert [bool(row.id) for row in rows] == [True, False, False]
    assert rows_of(grid={"process": ["masked", "sprase"]})[1].missing.startswith("unknown process 'sprase'")


def test_samplers_are_sections_whose_lists_are_axes():
    plan = parse_plan(
        {
            "recipes": "nano-masked",
            "samplers": [{"name": "confidence", "steps": [8, 16], "reveal": "linear"}, "ancestral", "verified"],
        }
    )
    ways = expand_samplers(plan)
    assert [way.label for way in ways] == [
        "confidence steps=8 reveal=linear",
        "confidence steps=16 reveal=linear",
        "ancestral",
        "verified",
    ]
    assert ways[1].way.settings.steps == 16
    assert ways[3].missing == "unknown sampler 'verified'" and ways[3].way is None


MISTAKES: list[tuple[dict[str, object], str]] = [
    ({"stop_erly": {}}, "unknown plan key stop_erly. Did you mean 'stop_early'?"),
    ({"stop_early": {"worse": 2}}, "unknown plan key stop_early.worse. Did you mean 'worse_than'?"),
    ({"evaluate": {"document": 2}}, "unknown plan key evaluate.document. Did you mean 'documents'?"),
    ({"budget": {"token": 2}}, "unknown plan key budget.token. Did you mean 'tokens'?"),
    ({"budget": {"tokens": 1, "time": 2}}, "must be exactly one of tokens, flops, time"),
    ({"budget": {"tokens": 10}}, "budget.tokens 10 is less than a step of 2,048 tokens"),
    ({"budget": {"tokens": 1e6}, "set": {"training.steps": 3}}, "the plan's budget decides training.max_steps"),
    ({"stop_early": {"after": 1.5}}, "growing shares of the training"),
    ({"stop_early": {"metric": "loss"}}, "plan key stop_early.metric is 'loss'"),
    ({"stop_early": {}, "set": {"training.valid_blocks": 0}}, "has no held-out text to stop early by"),
    ({"grid": {"trining.lr": [1]}}, "unknown recipe key 'trining.lr' in grid of the plan. Did you mean 'training'?"),
    (
        {"grid": {"training.lerning_rate": [1]}},
        "unknown recipe key training.lerning_rate. Did you mean 'learning_rate'?",
    ),
    ({"grid": {"process.schedule": ["cosin"]}}, "unknown schedule 'cosin'. Did you mean 'cosine'?"),
    ({"grid": {"training.lr": []}}, "grid axis 'training.lr' of the plan has no values"),
    ({"grid": {"training.lr": [1, 1]}}, "has a value twice"),
    (
        {"grid": {"training.lr": 3}},
        "grid axis 'training.lr' of the plan must be a list of values, or named sets of keys.",
    ),
    ({"grid": {"seed": [1]}}, "give seeds at the top of the plan"),
    ({"grid": {"data": ["x"]}}, "write it as data.key"),
    (
        {"grid": {"training.lr": [1], "training.learning_rate": [2]}},
        "training.learning_rate is set by 'training.lr' and 'training.learning_rate'",
    ),
    ({"set": {"training.lr": 1}, "grid": {"training.learning_rate": [2]}}, "is in set and in the grid"),
    ({"seeds": 0}, "seeds is 0"),
    ({"seeds": [1, 1]}, "a seed is there twice"),
    ({"seeds": "many"}, "plan key seeds"),
    ({"recipes": []}, "the plan trains nothing"),
    ({"recipes": ["nano-mask"]}, "unknown recipe 'nano-mask'. Did you mean 'nano-masked'?"),
    ({"recipes": ["nano-masked", "demo-masked"], "set": {"training.steps": 1}, "runs": ["a"]}, "no samplers"),
    ({"samplers": [{"steps": 3}]}, "sampler 1 of the plan has no name"),
    ({"samplers": [{"name": "ancestral", "step": 3}]}, "unknown setting 'step'. Did you mean 'steps'?"),
    ({"samplers": [{"name": "ancestral", "steps": [0]}]}, "steps is 0; it must be at least 1."),
    ({"samplers": [{"name": "ancestral", "confidence_stop": 0.5}]}, "does not use confidence_stop"),
    ({"samplers": ["ancestral", "ancestral"]}, "is in the plan twice"),
    ({"samplers": ["autoregressive"]}, "fits no row of the plan"),
    ({"samplers": [{"name": "ancestral", "seed": 3}]}, "sample.seed"),
    ({"sample": {"batches": []}}, "sample.batches"),
]


@pytest.mark.parametrize(("wrong", "message"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_wrong_plan_is_answered_in_one_line_with_the_right_word(wrong: dict[str, object], message: str):
    with pytest.raises(Error) as error:
        plan_sweep(parse_plan({"recipes": ["nano-masked"], **wrong}))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_two_names_for_one_training_are_refused():
    with pytest.raises(Error, match="rows 'a' and 'b' of the plan are the same training"):
        rows_of(grid={"v": {"a": {"training.lr": 1e-3}, "b": {"training.lr": "1e-3"}}})


def test_files_are_read_with_their_mistakes_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "tiny.yaml").write_text("base: nano-causal\nseed: 9\n")
    (tmp_path / "plan.yaml").write_text("recipes: tiny.yaml\n")
    (tmp_path / "bad.yaml").write_text("recipes: [1,")
    (tmp_path / "list.yaml").write_text("- 1")
    (tmp_path / "latin.yaml").write_bytes(b"about: caf\xe9")
    monkeypatch.chdir("/")
    (row,) = plan_sweep(tmp_path / "plan.yaml").rows  # the recipe lies beside the plan
    assert (row.seed, row.label, load_plan(tmp_path / "plan.yaml").name) == (9, "tiny", "plan")
    for name, message in (
        ("bad.yaml", "is not valid YAML"),
        ("list.yaml", "must be a mapping"),
        ("latin.yaml", "is not UTF-8"),
        ("none.yaml", "does not exist"),
        ("aira", "Did you mean 'aria'?"),
    ):
        with pytest.raises(Error, match=message):
            load_plan(tmp_path / name if name.endswith("yaml") else name)


@pytest.mark.parametrize("name", plan_names())
def test_every_packaged_plan_can_be_planned(name: str):
    ahead = plan_sweep(name)
    assert ahead.rows and ahead.plan.about and name in [line.name for line in sweep_plans()]
    assert any(row.cost is not None for row in ahead.rows)


def test_arias_experiment_plan_compares_networks_of_equal_parameters_and_tokens():
    ahead = plan_sweep("aria")
    assert len(ahead.rows) == 4 * 2
    costs = [row.cost for row in ahead.rows]
    assert all(cost is not None and cost.tokens == 81_920_000 for cost in costs)
    assert max(c.parameters for c in costs) <= 1.02 * min(c.parameters for c in costs)
    slots = {row.values["network"]: row.cost.recipe.backbone.model_extra.get("memory_slots") for row in ahead.rows}
    assert slots == {"baseline": None, "eco-8": 8, "eco-16": 16, "eco-32": 32}
    own = {name: load_recipe(name).backbone for name in ("aria-baseline", "aria-eco")}
    of = {row.values["network"]: row.cost.recipe.backbone for row in ahead.rows}
    assert of["baseline"] == own["aria-baseline"] and of["eco-16"] == own["aria-eco"]
    aware = {row.values["scripts"]: (row.cost.recipe.process.model_extra or {}).get("scripts") for row in ahead.rows}
    assert aware["alike"] is None and aware["aware"]["clusters"] == 0.5
    settings = [way.given for way in ahead.ways]
    assert {s["steps"] for s in settings} == {8, 12, 16}
    assert {s.get("confidence_stop") for s in settings} == {None, 0.95, 0.98, 0.99}


def test_a_plan_reads_back_as_itself():
    plan = load_plan("nano-masked")
    assert parse_plan(yaml.safe_load(yaml.safe_dump(plan.model_dump()))) == plan
