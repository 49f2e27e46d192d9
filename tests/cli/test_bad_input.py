"""A user's mistake is one line that says what to do, exit status 2, and nothing harmed."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from unmask.training import checkpoints

SOUND_TRACE = Path(__file__).parent.parent / "fixtures" / "trace-v1.jsonl"
Snapshot = dict[str, tuple[int, int] | None]

TINY = (
    "-o data.source=text.jsonl -o data.tokenizer=bytes -o data.length=48 -o data.valid_fraction=0.2 "
    "-o backbone.hidden_size=16 -o backbone.num_hidden_layers=1 -o backbone.num_attention_heads=2 "
    "-o training.per_device_train_batch_size=2 -o training.valid_blocks=0 "
    "-o training.max_steps=4 -o training.save_steps=2"
)
NEW = f"train nano-causal {TINY} --output new"
DRY = "train nano-masked --dry-run"

TEXT = [
    ("data stats missing.txt", "no data source 'missing.txt'"),
    ("data stats empty.txt", "empty.txt is empty. Give a file with text in it."),
    ("data stats blank.txt", "holds no documents. Give a source with text"),
    ("data stats binary.txt", "is binary (a zero byte at offset 4). Give a UTF-8 text file."),
    ("data stats latin.txt", "is not UTF-8 (byte offset 3). Convert it: iconv -f LATIN1 -t UTF-8 latin.txt."),
    ("data stats broken.jsonl", "broken.jsonl, line 2 is not JSON"),
    ("data stats nofield.jsonl", "no field 'text' (fields: body). Set data.text_field (--text-field)."),
    ("data stats surrogate.jsonl", "line 1: a lone surrogate at character 2 is not text. Remove it."),
    ("data stats nothing.jsonl.gz", "holds no documents"),
    ("data stats cut.jsonl.gz", "is damaged after line"),
    ("data stats bad.parquet", "is not a readable Parquet file"),
    ("data stats table.csv", "Use one of .txt, .jsonl"),
    ("data stats tables", "holds no .txt, .jsonl, .jsonl.gz, .parquet, .npy or other text (it holds .csv)"),
    ("data stats https://example.org/a.txt", "is an address, and unmask reads files. Download it"),
    ("data stats '*.nope'", "file matches '*.nope'. Quote the pattern"),
    ("data stats ''", "the data source is empty. Name pydocs, box-stories, a file"),
    ("data stats hf:nobody/nothing", "needs the Hugging Face Hub, which cannot be reached. Use local files"),
    ("data stats text.jsonl --tokenizer hf:nobody/nothing", "cannot be reached. Use a local folder, bytes or bpe."),
    ("data stats text.jsonl --tokenizer byte", "Did you mean 'bytes'?"),
    ("data fetch tinystorie -o new", "Did you mean 'tinystories'?"),
    ("data fetch hf:nobody/nothing -o new", "cannot be reached"),
    ("data convert text.jsonl one.jsonl", "one.jsonl exists. Name another file, or add --force"),
    ("data convert text.jsonl empty.txt/x.jsonl", "cannot write to empty.txt"),
    (f"{NEW} -o data.source=missing.txt", "no data source 'missing.txt'"),
    (
        f"{NEW} -o data.source=one.jsonl -o training.valid_blocks=2",
        "the valid split of one.jsonl is empty (of 1 document). Give more documents",
    ),
    (f"{NEW} -o data.length=5000", "shorter than one block: its train split has"),
    (f"{NEW} -o data.source=hf:nobody/nothing", "cannot be reached"),
    ("evaluate causal --source missing.txt", "no data source 'missing.txt'"),
    ("evaluate causal --source latin.txt", "is not UTF-8"),
]
RECIPE = [
    ("train nano-casual --dry-run", "Did you mean 'nano-causal'?"),
    ("train missing.yaml", "recipe file missing.yaml does not exist"),
    ("train bad.yaml", "is not valid YAML"),
    ("train latin.yaml", "latin.yaml is not UTF-8 (byte 10); save it as UTF-8."),
    ("train section.yaml", "recipe key data is 5; it must be a section"),
    (f"{DRY} -o data.srce=x", "unknown recipe key data.srce. Did you mean 'source'?"),
    (
        f"{DRY} -o backbone.girth=3",
        "unknown recipe key backbone.girth. Known: block_context, block_size, candidate_input, candidate_places",
    ),
    (f"{DRY} -o training.bf16=true", "training.bf16 is decided by training.precision; leave it out."),
    (f"{DRY} -o novalue", "must look like section.key=value"),
    (f"{DRY} -o training.max_steps=many", "recipe key training.max_steps is 'many'"),
    (f"{DRY} -o training.max_steps=0", "recipe key training.max_steps is 0"),
    (f"{DRY} -o training.gradient_accumulation_steps=x", "training.gradient_accumulation_steps is 'x'"),
    (f"{DRY} -o training.torch_compile=maybe", "training.torch_compile is 'maybe'"),
    (f"{DRY} -o training.lr_scheduler_type=zigzag", "lr_scheduler_type is 'zigzag'. Choose one of: linear, "),
    (f"{DRY} -o training.report_to=nowhere", "report_to is 'nowhere'. Choose one of: tensorboard, "),
    (f"{DRY} -o training.dataloader_num_workers=-1", "training.dataloader_num_workers is -1"),
    (f"{DRY} -o training.lr=inf", "training.learning_rate is inf: Input should be a finite number"),
    (f"{DRY} -o seed=-1", "recipe key seed is -1"),
    (f"{DRY} -o process=maskd", "unknown process 'maskd'. Did you mean 'masked'?"),
    (f"{DRY} -o process.schedule=cosin", "unknown schedule 'cosin'. Did you mean 'cosine'?"),
    (f"{DRY} -o sampler=confidense", "unknown sampler 'confidense'. Did you mean 'confidence'?"),
    (f"{DRY} -o sampler=confidence -o process=causal", "use the 'autoregressive' or 'speculative' sampler"),
    (
        f"{DRY} -o sampler=autoregressive",
        "use the 'ancestral' or 'confidence' or 'entropy-bound' or 'remasking' sampler",
    ),
    (f"{DRY} -o training.label_smoothing_factor=0.1", "would change nothing: the loss is the process's own"),
    (f"{DRY} -o training.report_to=foo", "report_to is 'foo'. Choose one of: tensorboard, "),
    (f"{DRY} -o training.lr_scheduler_kwargs='{{min_lr_rate: hot}}'", "lr_scheduler_kwargs.min_lr_rate is 'hot'"),
    (f"{DRY} -o sampler.temperature=hot", "recipe key sampler.temperature is 'hot'"),
    (f"{DRY} -o backbone=rnn", "unknown backbone 'rnn'. Available: bytes, eco, transformer."),
    (f"{DRY} -o backbone.hidden_size=33", "make hidden_size a multiple of 8."),
    (f"{DRY} -o backbone.hidden_size=12", "heads of an even width; make hidden_size a multiple of 8."),
    (f"{DRY} -o backbone.num_attention_heads=0", "num_attention_heads is 0; it must be a whole number, at least 1."),
    (f"{DRY} -o backbone.num_key_value_heads=0", "num_key_value_heads is 0; it must be a whole number, at least 1."),
    (f"{DRY} -o backbone.max_position_embeddings=16", "is below data.length 128; raise it or shorten the blocks."),
    (f"{DRY} -o backbone.dropout=x", "recipe key backbone.dropout is 'x'"),
    (f"{DRY} -o backbone.rope_theta=0", "backbone.rope_theta is 0; it must be above 0."),
    (
        f"{DRY} -o backbone.hidden_size=100000000000",
        "hidden_size is 100000000000; it must be at most 1048576.",
    ),
    ("recipes nano --copy bad.yaml", "bad.yaml exists; choose another name or remove it."),
    ("recipes nano --copy empty.txt/x.yaml", "cannot write to empty.txt/x.yaml (File exists). Name another output"),
]
WRITING = [
    ("samplr causal", "unknown verb 'samplr'. Did you mean 'sample'?"),
    ("sample causal --stepz 3", "unknown option '--stepz'. Did you mean '--steps'?"),
    ("sample causal --max-tokens few", "invalid value for '--max-tokens'"),
    ("sample", "name a run folder"),
    ("sample masked --sampler confidense", "Did you mean 'confidence'?"),
    (
        "sample masked --sampler autoregressive",
        "use the 'ancestral' or 'confidence' or 'entropy-bound' or 'remasking' sampler.",
    ),
    ("sample causal --sampler ancestral", "use the 'autoregressive' or 'speculative' sampler."),
    ("sample causal --suffix x", "cannot take a suffix or fill holes; use a run of the masked process."),
    ("sample causal --steps 3", "does not use steps; leave it out."),
    ("sample masked --steps 0", "steps is 0; it must be at least 1."),
    ("sample masked --temperature -1", "temperature is -1.0; it must be 0 or more."),
    ("sample masked --top-p 2", "top_p is 2.0; it must be above 0 and at most 1."),
    ("sample masked -s overlap=1", "overlap is 1; it must be at least 0 and below 1."),
    (
        "train nano-block -o process.block_size=0",
        "process.block_size is 0: block_size 0 must be numbers from 1 up that divide",
    ),
    ("sample masked -n 0", "n is 0; ask for at least 1 text."),
    ("sample masked --batch-size 0", "batch_size is 0; it must be at least 1."),
    ("sample masked --suffix x --max-tokens 500", "ask for at most 46 (--max-tokens): text behind what is written has"),
    (f"sample masked --prompt {'x' * 99} --suffix x", "do not fit into the context of 48 tokens (1 is BOS); shorten"),
    ("sample masked --prompt \udcff", "the text holds a lone surrogate (U+DCFF at character 0)"),
    ("sample masked --trace one.jsonl", "one.jsonl exists and is no trace; name another file for --trace."),
    ("sample masked --trace code", "cannot be written: Is a directory; choose another place."),
    ("infill masked 'no hole'", "the text has no hole; write two or more underscores"),
    ("infill masked 'a ____' --length 5-2", "must start at 1 or more and not end before it starts."),
    ("infill masked 'a ____' --length 1-99999999", "shorten the text or the holes (--length)."),
    ("infill causal 'a ____'", "cannot fill holes; use a run of the masked process."),
]
RUN = [
    ("sample nowhere", "there is no run folder nowhere. There are: runs/cut-config, runs/cut-manifest, "),
    ("sample runs/newr", "there is no run folder runs/newr. Did you mean runs/newer?"),
    ("evaluate nobody/nothing", "needs the Hugging Face Hub, which cannot be reached. Use a local folder."),
    ("sample causal/model.safetensors", "is a file; give the run's folder."),
    ("sample runs/empty", "is not a run folder (no run.json); make one with: unmask train"),
    ("evaluate runs/half", "finish it with: unmask train runs/half/recipe.yaml --output runs/half --resume"),
    ("sample runs/newer", "has format 2, this version reads up to 1; upgrade with: pip install -U unmask"),
    ("sample runs/cut-manifest", "runs/cut-manifest/run.json cannot be read"),
    ("sample runs/odd-manifest", "odd-manifest/run.json cannot be read (it holds a list, not an object)"),
    (
        "sample runs/no-recipe",
        "recipe.yaml cannot be read (it is missing); copy the run again from where it was made, or train it again.",
    ),
    ("sample runs/odd-recipe", "the recipe.yaml of run runs/odd-recipe: unknown recipe key data.srce."),
    ("evaluate runs/cut-weights", "the weights runs/cut-weights/model.safetensors cannot be read"),
    ("sample runs/cut-tokenizer", "is damaged (EOF while parsing"),
    ("sample runs/no-tokenizer", "unmask_tokenizer.json is missing."),
    ("sample runs/newer-tokenizer", "has format 2, this unmask reads 1. Upgrade unmask."),
    ("sample runs/cut-config", "runs/cut-config/config.json cannot be read ("),
    ("sample runs/wider-config", "do not fit its config.json"),
    ("sample runs/deeper-config", "do not fit its config.json (blocks.2."),
    ("evaluate causal --documents 0", "documents is 0; it must be at least 1."),
    ("evaluate causal --draws 0", "draws is 0; it must be at least 1."),
    ("evaluate causal --seed -1", "seed is -1; it must be 0 or more"),
    ("evaluate causal --likelihood duel", "use --likelihood default."),
    ("compare causal runs/nothing -o new", "there is no run folder runs/nothing."),
    ("compare causal runs/cut-weights -o new", "the weights runs/cut-weights/model.safetensors cannot be read"),
    ("compare causal -o one.jsonl", "--output one.jsonl is a file; give a folder."),
    ("compare causal -o new --source missing.txt", "no data source 'missing.txt'"),
    ("compare causal -o new --steps 8,x", "must be whole numbers with commas"),
    ("compare causal -o new --judge causal", "it would favour what"),
    ("export causal -o code", "code is not an empty folder; give --output a new one."),
    ("export runs/cut-weights -o new", "the weights runs/cut-weights/model.safetensors cannot be read"),
    ("export masked -o new --format llama", "Export it with --format hub."),
    (f"{NEW[:-3]} one.jsonl", "--output one.jsonl is a file; give a folder."),
    (f"{NEW[:-3]} code", "code is not empty and holds no run; choose another --output."),
    (f"{NEW[:-3]} causal", "already holds a run; continue it with --resume, or choose another --output."),
    (f"{NEW} --resume", "holds no run to resume; leave --resume out to start one."),
    (f"{NEW[:-3]} runs/newer --resume", "has format 2, this version reads up to 1"),
]
TRACE = [
    ("sample --replay missing.trace", "there is no trace missing.trace; make one with"),
    ("sample --replay empty.trace", "empty.trace is not a trace; make one with: unmask sample RUN --trace FILE"),
    ("sample --replay cut.trace", "is not a trace"),
    ("sample --replay text.trace", "is not a trace"),
    ("sample --replay list.trace", "is not a trace"),
    ("sample --replay cut.trace.gz", "is not a trace"),
    ("sample --replay code", "cannot be read: Is a directory"),
    ("sample --replay head.trace", "is damaged (it holds no frame); record it again with --trace."),
    ("sample --replay request.trace", "is damaged"),
    ("sample --replay token.trace", "is damaged (token 99 has no text)"),
    ("sample --replay newer.trace", "has format 3, this version reads up to 2; upgrade with: pip install -U unmask"),
]
ROWS = [*TEXT, *RECIPE, *WRITING, *RUN, *TRACE]


def snapshot(folder: Path) -> Snapshot:
    """Return every file's size and time, and every folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        stat = path.stat()
        found[str(path.relative_to(folder))] = None if path.is_dir() else (stat.st_size, stat.st_mtime_ns)
    return found


@pytest.fixture
def here(mistakes: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(mistakes)
    return mistakes


def refusal(ran, folder: Path, before) -> str:
    """Return the line with which a command line was refused, after checking that nothing else happened."""
    assert ran.status == 2, ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err
    *progress, line = ran.err.splitlines()
    assert line.startswith("error: ") and not any("error" in other for other in progress)
    assert snapshot(folder) == before
    return line


@pytest.mark.parametrize(("line", "answer"), ROWS, ids=[line.removeprefix(DRY)[-50:] for line, _ in ROWS])
def test_a_mistake_is_one_line_with_its_fix_and_harms_nothing(cli, here, line, answer):
    before = snapshot(here)
    assert answer in refusal(cli(*shlex.split(line), "--json"), here, before)


@pytest.mark.parametrize("line", ["data stats latin.txt --json", "sample causal --stepz 3", "sample nobody/nothing"])
def test_a_process_of_its_own_ends_with_status_2(here, line):
    before = snapshot(here)
    call = [sys.executable, "-m", "unmask", *shlex.split(line)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert "Traceback" not in done.stderr and done.stderr.splitlines()[-1].startswith("error: ")
    assert snapshot(here) == before


def test_a_trace_that_breaks_off_is_played_as_far_as_it_goes(cli, here, tmp_path):
    short = tmp_path / "short.jsonl"
    short.write_bytes(SOUND_TRACE.read_bytes()[:-40])
    ran = cli("sample", "--replay", short, "--json")
    assert ran.status == 0 and "is cut short; playing its" in ran.err
    assert json.loads(ran.out)["whole"] is False and json.loads(ran.out)["texts"]


def test_an_older_trace_is_replaced(cli, here, tmp_path):
    for _ in range(2):
        ran = cli("sample", "causal", "--max-tokens", 2, "--trace", tmp_path / "t.jsonl.gz")
        assert ran.status == 0, ran.err


def train(cli, *more: object, output: object = "new"):
    return cli("train", "nano-causal", *TINY.split(), "--output", output, *more)


@pytest.fixture
def text(mistakes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with sound text, to train in."""
    shutil.copy(mistakes / "text.jsonl", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "full",
    [
        OSError(errno.ENOSPC, "No space left on device", "new/checkpoints"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
    ids=["python", "safetensors"],
)
def test_a_full_disk_keeps_the_checkpoint_before_and_training_goes_on_later(cli, text, monkeypatch, full):
    real, saved = checkpoints.seal, []

    def seal(partial: Path, final: Path) -> None:
        if saved:  # the second of three: behind the last step a full disk costs nothing that was learnt
            raise full
        saved.append(final)
        real(partial, final)

    monkeypatch.setattr(checkpoints, "seal", seal)
    ran = train(cli, "-o", "training.max_steps=6")
    assert ran.status == 2 and ran.out == ""
    assert "no space left on the disk that holds" in ran.err.splitlines()[-1]
    assert checkpoints.fault(text / "new" / "checkpoints" / "checkpoint-2") is None
    assert not list((text / "new" / "checkpoints" / checkpoints.PARTIAL).iterdir())
    monkeypatch.setattr(checkpoints, "seal", real)
    assert train(cli, "--resume").status == 0
    assert (text / "new" / "model.safetensors").is_file()


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_an_output_folder_that_may_not_be_written_is_named(cli, text, monkeypatch, code):
    real = Path.mkdir

    def mkdir(self: Path, *args: object, **kwargs: object) -> None:
        if self.name == "new":
            raise OSError(code, os.strerror(code), str(self))
        real(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", mkdir)
    before = snapshot(text)
    assert "new" in refusal(train(cli), text, before)


@pytest.mark.parametrize("line", ["data stats text.jsonl", NEW])
def test_a_cache_that_is_a_file_is_one_line(cli, text, monkeypatch, line):
    (text / "file").write_text("mine")
    monkeypatch.setenv("UNMASK_CACHE", str(text / "file"))
    before = snapshot(text)
    assert "Set UNMASK_CACHE to another folder." in refusal(cli(*shlex.split(line), "--json"), text, before)


def test_resuming_a_finished_run_says_so_and_changes_nothing(cli, text):
    assert train(cli).status == 0
    before = snapshot(text)
    ran = train(cli, "--resume", "--json")
    assert ran.status == 0 and "new is finished; there is nothing to resume." in ran.err
    assert json.loads(ran.out)["status"] == "finished"
    assert snapshot(text) == before


def test_resuming_tells_what_of_the_recipe_is_not_used(cli, text):
    assert train(cli).status == 0
    (text / "new" / "model.safetensors").unlink()
    ran = train(cli, "--resume", "-o", "training.lr=0.5")
    assert ran.status == 0 and "not used: training.learning_rate" in ran.err


def test_resuming_on_another_text_is_refused(cli, text):
    assert train(cli).status == 0
    (text / "new" / "model.safetensors").unlink()
    (text / "text.jsonl").write_text((text / "text.jsonl").read_text().replace("met", "saw"))
    before = snapshot(text)
    assert "has changed since new was started" in refusal(train(cli, "--resume"), text, before)


def test_resuming_without_a_whole_checkpoint_is_refused(cli, text):
    assert train(cli).status == 0
    (text / "new" / "model.safetensors").unlink()
    for folder in (text / "new" / "checkpoints").glob("checkpoint-*"):
        (folder / "optimizer.pt").write_bytes(b"")
    before = snapshot(text)
    assert "start again in another --output" in refusal(train(cli, "--resume"), text, before)


def test_a_run_that_cannot_start_leaves_no_folder(cli, text, monkeypatch):
    def no_memory(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr("unmask.training.plan.Plan.network", no_memory)
    before = snapshot(text)
    assert "out of memory. Lower the batch size" in refusal(train(cli), text, before)


@pytest.mark.parametrize(
    "line", ["sample causal", "sample masked --watch", "infill masked 'a ____'", "evaluate masked"]
)
def test_ctrl_c_in_the_middle_is_one_line_and_status_130(cli, here, monkeypatch, line):
    from unmask.models.transformer import Transformer

    real, calls = Transformer.forward, []

    def forward(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Transformer, "forward", forward)
    before = snapshot(here)
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell passes "ignored" on
    try:
        ran = cli(*shlex.split(line), "--json")
    finally:
        signal.signal(signal.SIGINT, inherited)
    assert (ran.status, ran.out) == (130, "") and len(calls) == 2
    assert ran.err.splitlines()[-1] == "interrupted." and "Traceback" not in ran.err
    assert snapshot(here) == before
