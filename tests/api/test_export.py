import json
import shutil

import pytest
import torch
import yaml

import unmask
from unmask.api.export import export
from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.training.recipe import load_recipe
from unmask.training.run import Run
from unmask.training.train import train

TEXT = "The fox met <|mask|> twice.\n  नमस्ते"


@pytest.fixture(scope="module")
def llama(tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama") / "out"
    export(tiny_run, folder, format="llama")
    return folder


def test_transformers_loads_the_llama_without_unmask_and_its_logits_are_equal(tiny_run, llama, python):
    run = Run.open(tiny_run)
    text = "The fox met a hen."
    source = f"""
import json, sys
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained({str(llama)!r})
model = AutoModelForCausalLM.from_pretrained({str(llama)!r})
inputs = tokenizer({text!r}, return_tensors="pt")
logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits[0]
odd = {TEXT!r}
print(json.dumps({{
    "kind": type(model).__name__,
    "ids": inputs["input_ids"][0].tolist(),
    "logits": logits.tolist(),
    "odd": tokenizer(odd)["input_ids"],
    "back": tokenizer.decode(tokenizer(odd)["input_ids"], skip_special_tokens=True),
    "written": model.generate(**inputs, max_new_tokens=3).shape[1],
    "ours": [m for m in sys.modules if m.partition(".")[0] == "unmask"],
}}))
"""
    ran = python(source)
    assert ran.status == 0, ran.err
    theirs = json.loads(ran.out)
    assert theirs["kind"] == "LlamaForCausalLM" and theirs["ours"] == []
    ids = [run.tokenizer.bos_id, *run.tokenizer.encode(text)]
    assert theirs["ids"] == ids and theirs["written"] <= len(ids) + 3
    assert theirs["odd"] == [run.tokenizer.bos_id, *run.tokenizer.encode(TEXT)] and theirs["back"] == TEXT
    tokens = torch.tensor([[*ids, 0]])
    at = torch.ones_like(tokens, dtype=torch.bool)
    at[0, 0] = False
    with torch.no_grad():
        ours = run.model("cpu")(State(tokens, "causal"), at=at).logits
    torch.testing.assert_close(torch.tensor(theirs["logits"]), ours, atol=1e-5, rtol=1e-5)


def test_the_llama_folder_is_plain_and_never_generates_the_mask(tiny_run, llama):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = Run.open(tiny_run).tokenizer
    names = {path.name for path in llama.iterdir()}
    assert {"config.json", "model.safetensors", "generation_config.json", "tokenizer.json", "README.md"} <= names
    assert not names & {"recipe.yaml", "run.json", "unmask_tokenizer.json", "tokenizer"}
    generation = json.loads((llama / "generation_config.json").read_text())
    assert generation["bos_token_id"] == tokenizer.bos_id and generation["eos_token_id"] == tokenizer.eos_id
    assert generation["pad_token_id"] == tokenizer.pad_id and tokenizer.mask_id in generation["suppress_tokens"]
    config = json.loads((llama / "config.json").read_text())
    assert config["eos_token_id"] == tokenizer.eos_id and config["model_type"] == "llama"
    model, theirs = AutoModelForCausalLM.from_pretrained(llama), AutoTokenizer.from_pretrained(llama)
    assert theirs.model_max_length == 48 and theirs.mask_token_id == tokenizer.mask_id
    with torch.no_grad():  # a head that prefers the mask above all
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone())
        hidden = model.model(torch.tensor([[1]])).last_hidden_state[0, 0]
        model.lm_head.weight[tokenizer.mask_id] = 100 * hidden
    written = model.generate(torch.tensor([[1]]), do_sample=False, max_new_tokens=1)
    assert int(written[0, 1]) != tokenizer.mask_id


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_the_hub_folder_is_the_run_without_what_only_training_needs(kind, tiny_run, tiny_masked_run, tmp_path):
    source = tiny_run if kind == "causal" else tiny_masked_run
    result = export(source, tmp_path / "out")
    assert (source / "checkpoints").is_dir() and (source / "raw").is_dir()
    names = {path.name for path in result.path.iterdir()}
    assert names == {path.name for path in source.iterdir()} - {"checkpoints", "raw"} | {"README.md"}
    ours, theirs = Run.open(source), Run.open(result.path)
    for a, b in zip(ours.model("cpu").parameters(), theirs.model("cpu").parameters(), strict=True):
        assert torch.equal(a, b)
    assert theirs.tokenizer.fingerprint == ours.tokenizer.fingerprint
    assert theirs.metrics() == ours.metrics() and theirs.process.name == kind
    assert result.to_dict()["files"] == sorted(result.files) and "model.safetensors" in result.files
    assert result.bytes == sum((result.path / f).stat().st_size for f in result.files)


def test_nothing_exported_names_the_folders_of_the_training_machine(tiny_masked_run, tiny_run, llama, tmp_path):
    assert str(tiny_run.parent) in (tiny_run / "recipe.yaml").read_text()
    export(tiny_masked_run, tmp_path / "out")
    for folder, home in ((tmp_path / "out", tiny_masked_run.parent), (llama, tiny_run.parent)):
        for path in folder.rglob("*"):
            if path.is_file():
                assert str(home).encode() not in path.read_bytes(), path


@pytest.mark.parametrize("format", ["hub", "llama"])
def test_the_model_card_says_what_it_is_and_can_be_read_by_the_hub(format, tiny_run, tmp_path):
    from huggingface_hub import ModelCard

    export(tiny_run, tmp_path / "my-model", format=format)
    card = ModelCard.load(tmp_path / "my-model" / "README.md")
    assert card.data.license == "other" and "unmask" in card.data.tags
    assert card.data.library_name == ("unmask" if format == "hub" else "transformers")
    manifest = json.loads((tiny_run / "run.json").read_text())
    if format == "hub":
        use = "pip install unmask\nunmask sample my-model"
    else:
        use = 'AutoModelForCausalLM.from_pretrained("my-model")'
    for needed in (
        use,
        f"{manifest['parameters']:,}",
        f"{manifest['tokens_seen']:,}",
        manifest["corpus_fingerprint"],
        "nats a token (exact)",
        "## Limits",
        "license is not chosen",
    ):
        assert needed in card.content
    recipe = yaml.safe_load(card.content.partition("```yaml\n")[2].partition("```")[0])
    assert recipe["data"]["source"] == "text.jsonl" and recipe["process"]["name"] == "causal"


def test_the_card_of_a_masked_run_calls_its_score_a_bound_and_shows_infilling(tiny_masked_run, tmp_path):
    export(tiny_masked_run, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "nats a token (an upper bound, its documents' lengths given)" in card and "unmask infill" in card


def test_an_unfinished_run_says_so(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("checkpoints"))
    manifest = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**manifest, "status": "interrupted"}))
    export(run, tmp_path / "out")
    assert "did not finish" in (tmp_path / "out" / "README.md").read_text()


def test_a_masked_run_is_no_llama(tiny_masked_run, tmp_path):
    with pytest.raises(Error, match="attends to both sides.*--format hub"):
        export(tiny_masked_run, tmp_path / "out", format="llama")
    assert not (tmp_path / "out").exists()


def test_an_output_that_holds_something_is_refused_and_kept(tiny_run, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("full", "file"):
        with pytest.raises(Error, match="not an empty folder"):
            export(tiny_run, tmp_path / name)
    assert (tmp_path / "full" / "notes.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert export(tiny_run, tmp_path / "empty").files


def test_a_failed_export_leaves_nothing(tiny_run, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("unmask.api.card.model_card", fail)
    with pytest.raises(OSError, match="No space"):
        export(tiny_run, tmp_path / "deep" / "out")
    assert list((tmp_path / "deep").iterdir()) == []


def test_the_command_prints_one_json_object_and_refuses_mistakes_in_one_line(cli, tiny_run, tmp_path):
    ran = cli("export", tiny_run, "--output", tmp_path / "out", "--format", "llama", "--json")
    assert ran.status == 0, ran.err
    result = json.loads(ran.out)
    assert result["format"] == "llama" and result["path"] == str(tmp_path / "out") and result["parameters"] > 1000
    ran = cli("export", tiny_run, "--output", tmp_path / "out")
    assert ran.status == 2 and len(ran.err.strip().splitlines()) == 1
    ran = cli("export", tiny_run, "--output", tmp_path / "other", "--format", "lama")
    assert ran.status == 2 and "Did you mean 'llama'" in ran.err
    assert cli("export", tmp_path / "nowhere", "--output", tmp_path / "other").status == 2


def test_an_eco_run_goes_to_the_hub_and_back_and_is_no_llama(tmp_path):
    from transformers import AutoModel

    lines = [json.dumps({"text": f"The fox number {i} met a hen."}) for i in range(30)]
    (tmp_path / "text.jsonl").write_text("\n".join(lines))
    sizes = "{name: eco, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 48}"
    short = ["training={max_steps: 1, valid_blocks: 0, per_device_train_batch_size: 2}", "data.length=32"]
    text = [f"data.source={tmp_path / 'text.jsonl'}", "data.tokenizer=bytes"]
    recipe = load_recipe("nano-masked", ["process.causal_warmup=0", f"backbone={sizes}", *short, *text])
    run = train(recipe, tmp_path / "run")
    export(run, tmp_path / "hub")
    state = State(torch.tensor([[1, 9, 3, 12, 3]]), t=torch.tensor([0.5]))
    ours, theirs = run.model("cpu"), AutoModel.from_pretrained(tmp_path / "hub").eval()
    assert type(theirs).__name__ == "Eco" and torch.equal(theirs(state).logits, ours(state).logits)
    assert Run.open(tmp_path / "hub").recipe.backbone.name == "eco"
    assert "| backbone | eco |" in (tmp_path / "hub" / "README.md").read_text("utf-8")
    with pytest.raises(Error, match="it attends to both sides, which no Llama does. Export it with --format hub"):
        export(run, tmp_path / "llama", format="llama")


@pytest.mark.parametrize(("dtype", "stored"), [("fp32", "float32"), ("bf16", "bfloat16"), ("int8", "int8")])
def test_a_run_is_given_to_others_in_fewer_bytes_and_stays_in_them(tiny_run, tmp_path, dtype, stored):
    out = export(tiny_run, tmp_path / "out", dtype=dtype)
    again = export(out.path, tmp_path / "again")
    sizes = [(path / "model.safetensors").stat().st_size for path in (tiny_run, out.path, again.path)]
    assert sizes[2] == sizes[1] < sizes[0] * {"fp32": 1.1, "bf16": 0.55, "int8": 0.4}[dtype]
    assert Run.open(out.path).stored_as == Run.open(again.path).stored_as == stored
    text = tmp_path / "text.txt"
    text.write_text("The fox number 7 met a hen on day 49.")
    paths = (tiny_run, out.path, again.path)
    scores = [unmask.evaluate(path, source=str(text)).bits_per_byte for path in paths]
    assert scores[1] == scores[2] == pytest.approx(scores[0], rel=0.01)
    if dtype != "fp32":
        assert scores[1] != scores[0]


def test_what_cannot_be_stored_so_is_one_line(tiny_run, tmp_path):
    with pytest.raises(Error, match="unknown dtype 'bf15'. Did you mean 'bf16'"):
        export(tiny_run, tmp_path / "out", dtype="bf15")
    with pytest.raises(Error, match="--dtype is for --format hub"):
        export(tiny_run, tmp_path / "out", format="llama", dtype="int8")
