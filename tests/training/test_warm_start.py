"""A run begins with the weights of any other of the same shape, says so, and needs the other no more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import pytest
import torch
import transformers

from unmask.api.card import model_card
from unmask.api.public import public_manifest, public_recipe
from unmask.errors import Error
from unmask.reports.entrants import gather
from unmask.reports.fairness import uneven
from unmask.training.ancestry import spent
from unmask.training.folder import check_start
from unmask.training.plan import plan
from unmask.training.recipe import Recipe, load_recipe
from unmask.training.run import WEIGHTS, Run
from unmask.training.train import train
from unmask.training.warm_start import START, warm_start

Tiny = Callable[..., Recipe]


@pytest.fixture(scope="module")
def causal(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tiny("nano-causal"), tmp_path_factory.mktemp("init") / "causal")


@pytest.fixture(scope="module")
def masked(tiny: Tiny, causal: Run) -> Run:
    return train(tiny("nano-masked", f"training.init=run:{causal.path}", "seed=1"), causal.path.parent / "masked")


def _first(recipe: Recipe) -> dict[str, torch.Tensor]:
    settled, start = warm_start(recipe)
    assert start is not None
    return plan(settled, start=start).for_words(start.run.tokenizer.vocabulary).network().state_dict()


def _same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_weights_go_from_causal_to_masked_and_back_bit_for_bit(tiny, causal, masked):
    assert _same(_first(tiny("nano-masked", f"training.init={causal.path}")), causal.model("cpu").state_dict())
    assert _same(_first(tiny("nano-causal", f"training.init=run:{masked.path}")), masked.model("cpu").state_dict())


def test_a_block_run_begins_with_a_causal_or_masked_one_and_they_with_it(tiny, causal, masked, tmp_path):
    for run in (causal, masked):
        first = _first(tiny("nano-block", f"training.init={run.path}"))
        assert _same(first, run.model("cpu").state_dict())
    block = train(tiny("nano-block", f"training.init={causal.path}", "seed=2"), tmp_path / "block")
    for recipe in ("nano-causal", "nano-masked"):
        assert _same(_first(tiny(recipe, f"training.init={block.path}")), block.model("cpu").state_dict())


def test_a_causal_run_goes_on_where_the_causal_run_ended(tiny, causal, tmp_path):
    told = [f"training.init=run:{causal.path}", "training.eval_on_start=true", "training.ema=null", "seed=0"]
    rows = train(tiny("nano-causal", *told), tmp_path / "on").metrics()
    first = next(row["valid_nats_per_token"] for row in rows if "valid_nats_per_token" in row)
    assert first == pytest.approx(causal.manifest["valid_nats_per_token"], abs=1e-6)


def test_parts_that_one_network_has_start_fresh_or_are_left_out_and_are_told(tiny, causal, masked):
    _, start = warm_start(recipe := tiny("nano-uniform", f"training.init={masked.path}"))
    assert (
        start is not None and "backbone.time_input true here, false in masked: its weights start fresh" in start.notes
    )
    weights, drawn = _first(recipe), plan(recipe).network().state_dict()
    theirs = masked.model("cpu").state_dict()
    fresh = weights.keys() - theirs.keys()
    assert fresh and all(torch.equal(weights[name], drawn[name]) for name in fresh)
    assert all(torch.equal(weights[name], theirs[name]) for name in theirs)
    _, start = warm_start(
        tiny("nano-masked", "backbone.output_shift=0", "process.causal_warmup=0", f"training.init={causal.path}")
    )
    assert start is not None and any("one position off" in note for note in start.notes)


def test_a_recipe_that_says_no_sizes_takes_those_of_the_run(causal, text_file):
    given = {"data.source": text_file, "training.init": str(causal.path), "process": "masked"}
    bare = load_recipe("nano-masked", [f"{key}={value}" for key, value in given.items()])
    silent = bare.model_copy(update={"backbone": type(bare.backbone)(name="transformer")})
    recipe, start = warm_start(silent)
    assert recipe.backbone.model_extra == {
        **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2},
        "intermediate_size": 64,
    }
    assert recipe.data.tokenizer == "bytes" and start is not None and "data.tokenizer bytes" in start.notes[0]
    assert _same(_first(silent), causal.model("cpu").state_dict())


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        (
            ["backbone.hidden_size=64"],
            r"hidden_size 64 here, 32 in causal\. Give -o backbone\.hidden_size=32",
        ),
        (["backbone.num_key_value_heads=1"], "num_key_value_heads 1 here, 2 in causal"),
        (["backbone.rope_theta=500.0"], "rope_theta 500.0 here, 10000.0 in causal"),
        (["data.tokenizer=hf:some/one"], "data.tokenizer hf:some/one here, bytes in causal"),
        (["training.init=run:"], "give run:DIR with the folder of a run"),
    ],
)
def test_what_does_not_fit_is_named_with_what_to_do(tiny, causal, overrides, why):
    with pytest.raises(Error, match=why):
        warm_start(tiny("nano-masked", f"training.init=run:{causal.path}", *overrides))


def test_another_network_is_refused_and_a_matched_width_is_that_of_the_same_match(tiny, causal, tmp_path):
    with pytest.raises(Error, match=r"backbone\.name eco here, transformer in causal"):
        warm_start(load_recipe("nano-eco", ["data.tokenizer=bytes", f"training.init={causal.path}"]))
    matched = ["backbone.intermediate_size=null", "backbone.match={name: transformer, intermediate_size: 96}"]
    with pytest.raises(Error, match=r"-o backbone\.match=null -o backbone\.intermediate_size=64"):
        warm_start(tiny("nano-masked", *matched, f"training.init={causal.path}"))
    other = train(tiny("nano-causal", *matched), tmp_path / "matched")
    recipe, _ = warm_start(tiny("nano-masked", *matched, f"training.init={other.path}"))
    assert recipe.backbone.match is None and (recipe.backbone.model_extra or {})["intermediate_size"] == 96


def test_what_is_wrong_is_told_before_torch_is_imported(tiny, causal, python, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(causal.path, damaged)
    (damaged / WEIGHTS).write_bytes((damaged / WEIGHTS).read_bytes()[:-8])
    (tmp_path / "r.yaml").write_text(tiny("nano-masked").to_yaml())
    asked = [f"training.init=run:{tmp_path / 'damagde'}", f"training.init={damaged}"]
    asked = [[one] for one in asked] + [[f"training.init={causal.path}", "backbone.num_hidden_layers=3"]]
    ran = python(
        "import sys, unmask\n"
        f"for asked in {asked!r}:\n"
        f"    try: unmask.train({str(tmp_path / 'r.yaml')!r}, asked, output={str(tmp_path / 'run')!r})\n"
        "    except unmask.Error as error: print('torch' in sys.modules, error)"
    )
    told = ran.out.splitlines()
    assert len(told) == 3 and all(line.startswith("False ") for line in told), ran
    assert "Did you mean" in told[0] and "other weights than those there" in told[1] and "3 here, 2 in" in told[2]
    assert not (tmp_path / "run").exists()


def test_weights_that_cannot_be_read_leave_no_run(tiny, causal, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(causal.path, damaged)
    (damaged / WEIGHTS).write_bytes(b"nonsense")
    with pytest.raises(Error, match="cannot be read"):
        train(tiny("nano-masked", f"training.init={damaged}"), tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


class _Stop(transformers.TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        raise KeyError("stopped")


def test_a_run_that_is_resumed_needs_the_other_no_more(tiny, causal, masked, tmp_path):
    other = tmp_path / "causal"
    shutil.copytree(causal.path, other)
    recipe, run = tiny("nano-masked", f"training.init=run:{other}", "seed=1"), tmp_path / "run"
    with pytest.raises(KeyError):
        train(recipe, run, callbacks=[_Stop()])
    assert (run / START).is_dir()  # no checkpoint yet
    shutil.rmtree(other)
    ended = train(recipe, run, resume=True)
    assert _same(ended.model("cpu").state_dict(), masked.model("cpu").state_dict())
    assert ended.manifest["init"]["tokens_seen"] == causal.manifest["tokens_seen"] and not (run / START).exists()


def test_budgets_count_the_runs_before_and_seeds_stay_one_row(tiny, causal, masked, tmp_path):
    third = train(tiny("nano-causal", f"training.init={masked.path}", "seed=2"), tmp_path / "third")
    each = [run.manifest["tokens_seen"] for run in (causal, masked, third)]
    assert spent(third.manifest, "tokens_seen") == sum(each)
    assert third.manifest["init"]["total_tokens_seen"] == sum(each[:2])
    rows = gather([causal, third])
    assert [row.tokens_seen for row in rows] == [each[0], sum(each)]
    told = uneven(rows, "tokens")
    assert any("training tokens differ by 200%" in one for one in told)
    assert any("third began with the weights of masked (masked, " in one for one in told)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(masked.path, elsewhere)
    fourth = train(tiny("nano-causal", f"training.init={elsewhere}", "seed=3"), tmp_path / "fourth")
    assert len(gather([third, fourth])) == 1
    scratch = train(tiny("nano-causal", "seed=3"), tmp_path / "scratch")
    assert len(gather([third, scratch])) == 2


def test_the_card_tells_it_and_names_no_folder_of_this_machine(masked):
    recipe, manifest = public_recipe(masked.recipe), public_manifest(masked.manifest)
    card = model_card(masked, recipe, "hub", "masked")
    assert "began with" in card and "the weights of causal (causal, " in card
    assert recipe.training.init == "run:causal" and str(masked.path.parent) not in json.dumps(manifest) + card


def test_a_dry_run_tells_it(cli, tiny, causal, tmp_path):
    (tmp_path / "r.yaml").write_text(tiny("nano-masked", f"training.init=run:{causal.path}").to_yaml())
    ran = cli("train", tmp_path / "r.yaml", "--dry-run")
    assert ran.status == 0 and "begins with       the weights of causal (causal, " in ran.out
    assert "never saw the mask" in ran.err and "the same blocks come first again" in ran.err
    found = json.loads(cli("train", tmp_path / "r.yaml", "--dry-run", "--json").out)
    assert found["init"]["run"] == "causal" and found["notes"]


def test_rows_of_a_sweep_begin_with_runs(cli, tiny, causal, masked, tmp_path):
    (tmp_path / "r.yaml").write_text(tiny("nano-masked", "training.max_steps=4").to_yaml())
    content = {"recipes": ["r.yaml"], "grid": {"training.init": [None, str(causal.path), f"run:{masked.path}"]}}
    (tmp_path / "plan.yaml").write_text(json.dumps(content))
    ran = cli("sweep", tmp_path / "plan.yaml", "--output", tmp_path / "sweep", "--json")
    assert ran.status == 0, ran.err
    tokens = sorted(row["tokens"] for row in json.loads(ran.out)["rows"])
    own, before = tokens[0], causal.manifest["tokens_seen"]
    assert tokens == [own, own + before, own + before + masked.manifest["tokens_seen"]]


def test_a_manifest_whose_ancestry_is_no_number_is_refused(masked, tmp_path):
    shutil.copytree(masked.path, tmp_path / "odd")
    manifest = json.loads((tmp_path / "odd" / "run.json").read_text())
    manifest["init"]["total_tokens_seen"] = "many"
    (tmp_path / "odd" / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(Error, match=r"init\.total_tokens_seen is text"):
        Run.open(tmp_path / "odd")


def test_a_byte_run_keeps_the_cuts_of_the_run_that_it_began_with(text_file, tmp_path):
    small = {
        **{"data.length": 64, "training.max_steps": 2, "training.valid_blocks": 0},
        **{"backbone.hidden_size": 32, "backbone.num_hidden_layers": 1, "backbone.decoder_memory_dim": 32},
        **{"backbone.n_gram_vocab_size": 64, "training.per_device_train_batch_size": 2},
    }
    (tmp_path / "other.txt").write_text("".join(f"{n} times {n} is {n * n}, and no more. " for n in range(300)))
    given = [f"{key}={value}" for key, value in small.items()]
    one = train(load_recipe("nano-bytes", [*given, f"data.source={text_file}"]), tmp_path / "one")
    told = [f"data.source={tmp_path / 'other.txt'}", f"training.init={one.path}"]
    check_start(load_recipe("nano-bytes", [*given, *told]), tmp_path / "two", False)
    two = train(load_recipe("nano-bytes", [*given, *told]), tmp_path / "two")
    cuts = [json.loads((run.path / "patcher.json").read_text()) | {"sha256": ""} for run in (one, two)]
    assert cuts[0] == cuts[1] and cuts[0]["calibration"]
