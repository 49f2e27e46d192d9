"""A run folder from somebody else: what it can make happen, and what is said when it is odd."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import unmask
from unmask.errors import Error
from unmask.training import checkpoints
from unmask.training.run import Run

pytestmark = pytest.mark.strangers

EVIL = "open({marker!r}, 'w').write('ran')\ngo = None\n"


@pytest.fixture
def here(tiny_masked_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where the user stands, with a run ``r`` in it."""
    shutil.copytree(tiny_masked_run, tmp_path / "r")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def one_line(ran: Any) -> str:
    assert ran.status == 2 and ran.err.count("\n") == 1 and ran.err.startswith("error: "), ran.err
    assert "Traceback" not in ran.err
    return str(ran.err)


def edit(path: Path, **keys: Any) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | keys))


def name_code(recipe: Path, name: str = "helper:go") -> None:
    text = recipe.read_text().replace("\n  schedule: linear", "")
    recipe.write_text(text.replace("process:", f"process:\n  schedule: {name}", 1))


# code


@pytest.mark.parametrize("kind", ["unmask-transformer", "evil", None])
def test_a_config_with_auto_map_runs_nothing_and_asks_nothing(here: Path, monkeypatch: Any, cli: Any, kind: str | None):
    marker = here / "ran"
    (here / "r" / "evil.py").write_text(EVIL.format(marker=str(marker)))
    edit(here / "r" / "config.json", model_type=kind, auto_map={"AutoConfig": "evil.C", "AutoModel": "evil.M"})
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    ran = cli("sample", "r", "--max-tokens", "2")
    if kind == "unmask-transformer":
        assert ran.status == 0
    else:
        assert "config.json is of a network" in one_line(ran)
    assert not marker.exists()


def test_what_else_a_config_says_is_not_read(here: Path):
    odd = {"attn_implementation": "nobody/kernel", "quantization_config": {"quant_method": "no"}, "use_kernels": True}
    edit(here / "r" / "config.json", **odd)
    assert not odd.keys() & vars(Run.open("r").model("cpu").config).keys()


def test_a_schedule_in_a_run_is_imported_where_that_is_allowed_alone(here: Path, monkeypatch: Any, cli: Any):
    (here / "helper.py").write_text(EVIL.format(marker=str(here / "ran")) + "def go(t):\n    return t\n")
    monkeypatch.syspath_prepend(here)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name_code(here / "r" / "recipe.yaml")
    resume = ["train", "nano", "--output", "r", "--resume"]
    for line in (["sample", "r"], ["evaluate", "r"], ["export", "r", "-o", "new"], resume):
        told = one_line(cli(*line))
        assert "process.schedule is 'helper:go', code that is not part of unmask" in told and "--allow-code" in told
    with pytest.raises(Error, match="allow_code=True"):
        Run.open("r")
    assert not (here / "ran").exists() and "helper" not in sys.modules
    assert cli("sample", "r", "--max-tokens", "2", "--allow-code").status == 0
    assert (here / "ran").exists() and "UNMASK_ALLOW_CODE" not in os.environ
    assert float(Run.open("r", allow_code=True).process.schedule(torch.tensor([0.5]))[0]) == 0.5
    del sys.modules["helper"]


@pytest.mark.parametrize("key", ["process.schedule", "thought.schedule"])
def test_a_recipe_that_names_code_needs_the_switch(key: str, here: Path, cli: Any):
    thought = ["-o", "thought.shape=[2,2,8]"] if key.startswith("thought") else []
    recipe = "nano-thought" if thought else "nano-masked"
    for line in (["train", recipe], ["train", recipe, "--dry-run"]):
        assert f"{key} is 'os:getcwd'" in one_line(cli(*line, "-o", f"{key}=os:getcwd"))
    assert not (here / "runs").exists()


def test_files_where_the_user_stands_are_no_modules(here: Path):
    (here / "yaml.py").write_text(EVIL.format(marker=str(here / "ran")))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    call = [sys.executable, "-m", "unmask", "recipes", "nano"]
    done = subprocess.run(call, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0 and not (here / "ran").exists(), done.stderr


def test_the_harness_imports_nothing_from_where_the_user_stands(here: Path):
    for name in ("yaml", "lm_eval"):
        (here / f"{name}.py").write_text(EVIL.format(marker=str(here / "ran")) + "raise SystemExit(3)\n")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    call = [sys.executable, "-m", "unmask.api.harness", "--help"]
    done = subprocess.run(call, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode != 3 and not (here / "ran").exists(), done.stderr


def test_processes_of_ours_import_nothing_from_where_the_user_stands():
    sources = [path.read_text() for path in Path(unmask.__file__).parent.rglob("*.py")]
    calls = [call for source in sources for call in re.findall(r'sys\.executable, *\n* *("[^"]*")', source)]
    assert calls and set(calls) == {'"-P"'}


class _Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (open, (str(self.marker), "w"))


@pytest.mark.parametrize("file", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_a_checkpoint_of_a_stranger_is_resumed_without_running_it(file: str, here: Path, cli: Any):
    folder = here / "r" / "checkpoints" / "checkpoint-2"
    edit(here / "r" / "run.json", status="interrupted")
    recipe = here / "r" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("max_steps: 2", "max_steps: 4"))
    torch.save({"a": _Evil(here / "ran")}, folder / file, pickle_module=pickle)
    (folder / checkpoints.MANIFEST).unlink()
    checkpoints.seal(folder, folder.with_name("checkpoint-2b"))
    folder.with_name("checkpoint-2b").rename(folder)
    told = cli("train", "nano-masked", "--output", "r", "--resume")
    assert not (here / "ran").exists()
    assert told.status == 2 and "cannot be resumed from" in told.err.splitlines()[-1] and "Traceback" not in told.err


# what is named outside


@pytest.mark.parametrize("name", ["../../outside", "/outside", "..", "a/b", "", "a\nb", "x" * 300])
def test_a_recipe_cannot_say_where_its_run_is_written(name: str, here: Path, cli: Any):
    (here / "x.yaml").write_text(f"base: nano-masked\nname: {json.dumps(name)}\n")
    assert "is no name of a folder; give --output DIR" in one_line(cli("train", "x.yaml"))
    assert sorted(path.name for path in here.iterdir()) == ["r", "x.yaml"]


def test_a_plan_cannot_say_where_its_sweep_is_written(here: Path, cli: Any):
    (here / "p.yaml").write_text("name: ../../outside\nruns: [r]\nsamplers: [{name: ancestral, steps: [2]}]\n")
    assert "is no name of a folder" in one_line(cli("sweep", "p.yaml"))


def test_an_export_takes_nothing_along_that_it_did_not_read(here: Path, cli: Any):
    (here / "secret").write_text("secret")
    run = here / "r"
    (run / "notes.txt").symlink_to(here / "secret")
    (run / "evil.py").write_text("")
    (run / "metrics.jsonl").unlink()
    (run / "metrics.jsonl").symlink_to(here / "secret")
    edit(run / "config.json", auto_map={"AutoModel": "evil.M"})
    assert cli("export", "r", "-o", "new").status == 0
    assert not list((here / "new").rglob("*.py")) and not (here / "new" / "notes.txt").exists()
    assert all("secret" not in path.read_text() for path in (here / "new").rglob("*.json*"))
    assert "auto_map" not in (here / "new" / "config.json").read_text()
    assert cli("sample", "new", "--max-tokens", "2").status == 0


@pytest.mark.parametrize("name", ["checkpoints", "metrics.jsonl", "raw"])
def test_resuming_writes_nothing_through_a_link(name: str, here: Path, cli: Any):
    shutil.move(here / "r" / name, here / "elsewhere")
    (here / "r" / name).symlink_to(here / "elsewhere")
    edit(here / "r" / "run.json", status="interrupted")
    assert f"r/{name} is a link to" in one_line(cli("train", "nano", "--output", "r", "--resume"))


# sizes


@pytest.mark.parametrize(
    "keys",
    [
        {"hidden_size": 10**9},
        {"num_hidden_layers": 10**6},
        {"num_hidden_layers": 1000},
        {"max_position_embeddings": 10**12},
        {"vocab_size": 10**12},
        {"intermediate_size": 10**6},
        {"num_attention_heads": 10**30},
    ],
)
def test_sizes_that_no_network_has_are_told_before_there_is_memory_for_them(keys: dict[str, int], here: Path, cli: Any):
    edit(here / "r" / "config.json", **keys)
    told = one_line(cli("sample", "r"))
    assert "config.json" in told
    key, value = next(iter(keys.items()))
    if value > 1 << 24 and key != "vocab_size":
        assert "must be at most" in one_line(cli("train", "nano-masked", "--dry-run", "-o", f"backbone.{key}={value}"))


# fingerprints


def test_a_run_with_another_runs_tokenizer_is_refused(here: Path, cli: Any):
    from unmask.data.tokenizers import make_tokenizer

    shutil.rmtree(here / "r" / "tokenizer")
    make_tokenizer("bpe", ["a text of words"] * 9, 260).save(here / "r" / "tokenizer")
    for line in (["evaluate", "r"], ["sample", "r"]):
        assert "run r was trained with another tokenizer than the one there" in one_line(cli(*line))


def test_a_run_with_other_weights_is_refused_unless_it_is_meant(here: Path, cli: Any):
    weights = load_file("r/model.safetensors")
    save_file({name: value + 0.01 for name, value in weights.items()}, "r/model.safetensors")
    told = one_line(cli("sample", "r"))
    assert "run r was trained with other weights than those there" in told and "weights_fingerprint" in told
    manifest = json.loads(Path("r/run.json").read_text())
    del manifest["weights_fingerprint"]
    Path("r/run.json").write_text(json.dumps(manifest))
    assert cli("sample", "r", "--max-tokens", "2").status == 0


# odd files

DEEP, DEEPER, LARGE = "[" * 200_000, '{"a": ' * 9999, b"x" * (65 << 20)
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("file", ["run.json", "recipe.yaml", "config.json"])
@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00", b"[1]", b"null", DEEP.encode(), DEEPER.encode(), b'{"format": ', LARGE, BOMB.encode()],
    ids=["empty", "not UTF-8", "list", "null", "deep", "deep objects", "cut", "large", "aliases"],
)
def test_an_odd_file_of_a_run_is_one_line_that_names_it(file: str, content: bytes, here: Path, cli: Any):
    (here / "r" / file).write_bytes(content)
    told = one_line(cli("sample", "r", "--max-tokens", "2"))
    assert file in told and len(told) < 500


@pytest.mark.parametrize("value", [None, [], "text", 1e300, -1])
@pytest.mark.parametrize("key", ["format", "status", "parameters", "tokens_seen", "corpus_at", "versions", "tokenizer"])
def test_a_manifest_with_a_value_of_another_kind_is_one_line_or_read(key: str, value: Any, here: Path, cli: Any):
    edit(here / "r" / "run.json", **{key: value})
    for line in (["sample", "r", "--max-tokens", "2"], ["export", "r", "-o", "new"]):
        ran = cli(*line)
        assert ran.status == 0 or key in one_line(ran)
    shutil.rmtree("new", ignore_errors=True)


@pytest.mark.parametrize("value", [None, [], "text", 1.5, -1])
@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "rope_theta", "time_input", "thought"])
def test_a_config_with_a_value_of_another_kind_is_one_line_that_names_it(key: str, value: Any, here: Path, cli: Any):
    edit(here / "r" / "config.json", **{key: value})
    ran = cli("sample", "r", "--max-tokens", "2")
    assert ran.status == 0 or ("config.json" in one_line(ran) and (key in ran.err or "differs" in ran.err))


@pytest.mark.parametrize("row", ['{"step": "x"}', "[" * 99999, '"text"', '{"step": 1, "loss": "x"}', "\xff"])
def test_rows_of_metrics_that_are_none_are_left_out(row: str, here: Path):
    with (here / "r" / "metrics.jsonl").open("a", encoding="latin-1") as file:
        file.write(row + "\n")
    assert all(type(value) in (int, float) for one in Run.open("r").metrics() for value in one.values())


def test_commands_that_are_shown_can_be_copied(here: Path, cli: Any):
    shutil.move("r", "my run")
    Path("my run/model.safetensors").unlink()
    assert "unmask train 'my run/recipe.yaml' --output 'my run' --resume" in one_line(cli("sample", "my run"))


def test_a_run_with_another_process_in_its_recipe_is_refused(here: Path, cli: Any):
    recipe = here / "r" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("name: masked", "name: uniform"))
    assert "was trained as masked" in one_line(cli("sample", "r"))
