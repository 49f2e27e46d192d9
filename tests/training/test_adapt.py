"""An adapted run begins as the run before it, keeps its left-to-right side in sight, and is a run like any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import unmask
from unmask.api.adapt import adapt, adapted, plan_adapted
from unmask.errors import Error
from unmask.training import monitor
from unmask.training.recipe import Recipe
from unmask.training.run import Run
from unmask.training.train import train
from unmask.training.warm_start import warm_start

Tiny = Callable[..., Recipe]
STILL = ["training.max_steps=1", "training.learning_rate=1e-30", "training.weight_decay=0", "backbone.dropout=0"]
FEW = ["training.max_steps=8", "training.save_steps=4", "training.logging_steps=1", "process.block_size=4"]
SPLIT = ["data.valid_fraction=0.2"]
LORA = ["lora.rank=2", "lora.alpha=4"]


@pytest.fixture(scope="module")
def causal(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tiny("nano-causal", "backbone.dropout=0"), tmp_path_factory.mktemp("adapt") / "causal")


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("talks") / "talks.jsonl"
    lines = ({"prompt": f"{i}?", "response": f"{i} it is"} for i in range(60))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def weights(run: Run, part: str = ".") -> dict[str, torch.Tensor]:
    return load_file(run.path / part / "model.safetensors")


@pytest.mark.parametrize("process", ["block", "masked"])
def test_before_a_step_is_taken_the_left_to_right_side_is_the_other_runs(causal, tmp_path, process):
    run = adapt(causal, [f"process={process}", *STILL], output=tmp_path / "run")
    sides = run.manifest["adapted"]
    assert sides["causal_before"] == pytest.approx(sides["causal_after"], abs=1e-6)
    assert sides["causal_before"] == pytest.approx(causal.manifest["valid_bits_per_byte"], rel=0.05)
    assert run.manifest["process"] == process and run.manifest["init"]["run"] == "causal"
    assert Run.open(run.path).manifest["adapted"] == sides
    assert run.model("cpu").config.output_shift == 1


def test_blocks_of_one_word_are_scored_as_the_run_before(causal, tmp_path):
    run = adapt(causal, ["process.block_size=1", *STILL], output=tmp_path / "run")
    assert run.manifest["valid_bound"] == "exact"
    assert run.manifest["valid_bits_per_byte"] == pytest.approx(run.manifest["adapted"]["causal_before"], abs=1e-5)


def test_a_recipe_is_the_other_runs_with_another_process(causal):
    recipe = adapted(causal)
    assert recipe.process.name == "block" and recipe.process.model_extra == {"block_growth": 0.5}
    assert recipe.training.init == f"run:{causal.path}" and recipe.training.max_steps == 2
    assert recipe.training.learning_rate == pytest.approx(0.1 * causal.recipe.training.learning_rate)
    assert recipe.data == causal.recipe.data and recipe.seed == causal.recipe.seed + 1
    assert adapted(causal, LORA).training.learning_rate == causal.recipe.training.learning_rate
    assert adapted(causal, ["process=masked"]).process.model_extra == {}
    assert plan_adapted(causal, ["process=masked"]).process.name == "masked"


def test_an_adapted_run_writes_in_blocks_fills_holes_and_goes_on_being_adapted(causal, talks, tmp_path):
    block = adapt(causal, FEW, output=tmp_path / "block")
    assert unmask.sample(block, "Story", max_tokens=6, steps=2).texts
    asked = ["training.max_steps=1", f"data.source={talks}", "data.format=chat", *SPLIT]
    again = adapt(block, asked, output=tmp_path / "again")
    assert again.recipe.process.name == "block" and again.recipe.process_options().block_growth == 0
    masked = adapt(causal, ["process=masked", "training.max_steps=1"], output=tmp_path / "masked")
    assert unmask.infill(masked, "Story ____ cat").texts


class StopAt(monitor.Interrupt):
    """What Ctrl-C does, behind a checkpoint."""

    def on_step_end(self, args, state, control, **kwargs):
        self.asked = state.global_step == 6
        super().on_step_end(args, state, control, **kwargs)


@pytest.mark.parametrize("more", [[], LORA], ids=["all weights", "lora"])
def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(causal, tmp_path, monkeypatch, more):
    if more:
        pytest.importorskip("peft")
    whole = adapt(causal, [*FEW, *more], output=tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr("unmask.training.train.Interrupt", StopAt)
        stopped = adapt(causal, [*FEW, *more], output=tmp_path / "halves")
    assert (stopped.manifest["status"], stopped.manifest["steps"]) == ("interrupted", 6)
    assert "adapted" not in stopped.manifest and Run.open(stopped.path).model("cpu") is not None
    resumed = adapt(causal, [*FEW, *more], output=tmp_path / "halves", resume=True)
    assert resumed.manifest["status"] == whole.manifest["status"] == "finished"
    for part in (".", "raw"):
        one, other = weights(whole, part), weights(resumed, part)
        assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
    assert resumed.manifest["adapted"] == whole.manifest["adapted"]


@pytest.mark.parametrize("process", ["block", "masked", "causal"])
def test_adapters_and_the_masks_embedding_alone_are_trained_and_lie_in_the_weights_at_the_end(
    causal, tmp_path, process
):
    pytest.importorskip("peft")
    few = [key for key in FEW if process == "block" or not key.startswith("process.")]
    run = adapt(causal, [f"process={process}", *few, *LORA, "training.learning_rate=0.05"], output=tmp_path / "run")
    before, after = weights(causal), weights(run)
    assert before.keys() == after.keys()
    mask = run.tokenizer.mask_id
    moved = (after["embed.weight"] != before["embed.weight"]).any(1).nonzero().flatten().tolist()
    assert moved == ([] if process == "causal" else [mask]), "no other row, and that only where masks are seen"
    for name, value in after.items():
        inside = name.startswith("blocks.") and value.ndim == 2
        if name != "embed.weight":
            assert torch.equal(value, before[name]) != inside, name
        if inside:
            assert torch.linalg.matrix_rank((value - before[name]).double(), atol=1e-5) <= 2
    assert run.manifest["trained_parameters"] < run.manifest["parameters"] / 2
    assert not list(run.path.glob("adapter*")) and run.recipe.lora.rank == 2


def test_weights_with_their_adapters_added_answer_as_the_network_with_adapters(causal):
    pytest.importorskip("peft")
    from unmask.diffusion.state import State
    from unmask.training.adapters import add_adapters, plain_weights
    from unmask.training.lora_options import LoraOptions

    network = causal.model("cpu")
    assert plain_weights(network) is None
    mask = causal.tokenizer.mask_id
    state = State(torch.randint(4, 260, (2, 12)).index_fill(1, torch.tensor([3, 7]), mask), "causal")
    bare = network(state).logits
    count = add_adapters(network, LoraOptions(rank=3, alpha=5), seed=0, mask=mask)
    assert count == sum(value.numel() for value in network.parameters() if value.requires_grad)
    torch.testing.assert_close(network(state).logits, bare)
    for name, value in network.named_parameters():
        if "lora_B" in name or "lora_mask" in name:
            torch.nn.init.normal_(value, std=0.1)
    adapted_logits = network(state).logits
    plain = causal.model("cpu")
    plain.load_state_dict(plain_weights(network))
    assert (adapted_logits - bare).abs().max() > 1e-2
    told = torch.arange(network.config.vocab_size) != mask  # which nobody predicts, and whose row the head may share
    torch.testing.assert_close(plain(state).logits[:, told], adapted_logits[:, told], atol=1e-5, rtol=1e-5)


def test_without_peft_adapters_are_refused_before_torch_does_anything(causal, tmp_path, monkeypatch):
    monkeypatch.setattr("unmask.training.lora_options.find_spec", lambda name: None)
    with pytest.raises(Error, match=r"need peft: pip install 'unmask\[weights\]'"):
        adapt(causal, LORA, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("process", ["causal", "block", "masked"])
def test_talks_teach_every_process_and_their_held_out_number_is_of_responses(causal, talks, tmp_path, process):
    asked = [f"process={process}", f"data.source={talks}", "data.format=chat", "training.max_steps=2", *SPLIT]
    run = adapt(causal, asked, output=tmp_path / "run")
    assert run.manifest["valid_of"] == "responses" and run.manifest["valid_bits_per_byte"] > 0
    if process == "causal":
        assert run.manifest["valid_bits_per_byte"] == pytest.approx(run.manifest["adapted"]["causal_after"], abs=1e-5)
    with pytest.raises(Error, match="learned the responses of talks, which are no texts to score"):
        unmask.evaluate(run)
    text = tmp_path / "text.txt"
    text.write_text("12 it is")
    assert unmask.evaluate(run, source=str(text)).bits_per_byte > 0


def test_a_template_beside_the_tokenizer_goes_with_the_run(causal, talks, tmp_path):
    import shutil

    shutil.copytree(causal.path, tmp_path / "chatty")
    told = tmp_path / "chatty" / "tokenizer" / "tokenizer_config.json"
    template = "{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}"
    told.write_text(json.dumps({**json.loads(told.read_text()), "chat_template": template}))
    _, start = warm_start(adapted(tmp_path / "chatty"))
    assert start is not None and start.tokenizer().chat_template == template
    asked = ["process=causal", f"data.source={talks}", "data.format=chat", "training.max_steps=1", *SPLIT]
    run = adapt(tmp_path / "chatty", asked, output=tmp_path / "run")
    assert (run.path / "tokenizer" / "chat_template.jinja").read_text() == template


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (["process=uniform"], "adapt makes runs of process causal, masked, block, not uniform"),
        (["process=blockk"], "Did you mean 'block'"),
        (["process=masked", "process.block_growth=0.5"], "block_growth"),
        (["process.block_growth=2"], "process.block_growth"),
        (["lora.rank=0"], "lora.rank"),
        (["lora.rnak=2"], "lora.rnak"),
        (["data.format=talk"], "data.format"),
        (["data.format=chat", "data.keep={latin: 0.5}"], "data.keep is for texts"),
        (["data.format=chat", "data.source=pydocs"], "pydocs holds texts"),
        (["training.init=run:nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(causal, tmp_path, asked, why):
    with pytest.raises(Error, match=why) as caught:
        adapt(causal, asked, output=tmp_path / "run")
    assert "\n" not in str(caught.value) and not (tmp_path / "run" / "run.json").exists()


def test_recipes_say_what_goes_with_adapters_and_talks(tiny, causal):
    with pytest.raises(Error, match="lora trains adapters beside weights that are there"):
        tiny("nano-causal", "lora.rank=2")
    with pytest.raises(Error, match="data.format=chat teaches a run that reads already"):
        tiny("nano-causal", "data.format=chat")
    with pytest.raises(Error, match="lora is for backbone transformer"):
        tiny("nano-eco", "backbone.match=null", "lora.rank=2", f"training.init=run:{causal.path}")
    with pytest.raises(Error, match="data.format=chat is for process causal, masked, block, and this is uniform"):
        tiny("nano-uniform", "data.format=chat", f"training.init=run:{causal.path}")


def test_a_run_of_another_process_is_refused_by_name(tiny, tmp_path):
    uniform = train(tiny("nano-uniform", "training.max_steps=1"), tmp_path / "uniform")
    with pytest.raises(Error, match="uniform is a run of process uniform; adapt takes one of causal, masked, block"):
        adapted(uniform)


def test_an_imported_run_has_to_be_given_text(causal, tmp_path):
    import shutil

    shutil.copytree(causal.path, tmp_path / "imported")
    place = tmp_path / "imported" / "run.json"
    told = json.loads(place.read_text())
    told["imported"] = {"source": "elsewhere"}
    del told["steps"]
    place.write_text(json.dumps(told))
    with pytest.raises(Error, match="what imported was trained on is not known here: give it text, -o data.source"):
        adapted(tmp_path / "imported")
    assert adapted(tmp_path / "imported", resume=True).process.name == "block"
    recipe = adapted(tmp_path / "imported", [f"data.source={causal.recipe.data.source}"])
    assert recipe.data.length == 32 and recipe.training.per_device_train_batch_size == 8
    notes = warm_start(recipe)[1].notes
    assert any("never saw the mask, whose embedding is the mean of all" in note for note in notes)
