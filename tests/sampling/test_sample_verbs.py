"""The public sample and infill, from Python and from the shell."""

import json
import math

import pytest

from unmask.api.infill import RunScore, infill
from unmask.api.sample import sample
from unmask.errors import Error
from unmask.training.run import Run


@pytest.mark.parametrize("process", ["causal", "masked"])
@pytest.mark.parametrize("tokenizer", ["bpe", "bytes"])
@pytest.mark.parametrize("prompt", ["", "the cat", "the cat ", " ", "the \u0928\u092e"])
def test_texts_begin_with_the_prompt_and_depend_on_the_seed_alone(run_folder, process, tokenizer, prompt):
    run = Run.open(run_folder(process, tokenizer))
    result = sample(run, prompt, max_tokens=8, n=3, seed=4)
    assert result.sampler == {"causal": "autoregressive", "masked": "ancestral"}[process]
    assert len(result.texts) == 3 and all(t.startswith(prompt) for t in result.texts)
    assert [prompt + c for c in result.completions] == result.texts
    assert sample(run.path, prompt, max_tokens=8, n=1, seed=4).texts == result.texts[:1]
    assert sample(run, prompt, max_tokens=8, n=3, seed=4, batch_size=1).texts == result.texts
    assert sample(run, prompt, max_tokens=8, n=3, seed=5).texts != result.texts


def test_a_suffix_is_kept_and_the_context_is_filled_by_default(run_folder):
    result = sample(run_folder(), "the cat", suffix=" the mat.", sampler="ancestral")
    assert result.texts[0].startswith("the cat") and result.texts[0].endswith(" the mat.")
    assert result.tokens[0] > 40 and result.steps == [32]


def test_the_recipe_says_how_to_sample_and_the_user_overrides_it(run_folder):
    run = run_folder("masked", name="ancestral", steps=5, temperature=0.5)
    result = sample(run, max_tokens=6)
    assert result.sampler == "ancestral" and result.settings["steps"] == 5 and result.settings["temperature"] == 0.5
    assert sample(run, max_tokens=6, steps=7).settings["steps"] == 7
    assert sample(run, max_tokens=6, sampler="confidence").settings["temperature"] == 0.5
    with pytest.raises(Error, match="sampler.reveal. It is an option of sampler block, confidence"):
        run_folder("masked", name="ancestral", reveal="linear")


def test_recipes_and_the_shell_name_the_settings_of_every_sampler(cli, run_folder):
    run = run_folder("masked", name="remasking", steps=9, remask="conf", remask_strength=0.4)
    result = sample(run, max_tokens=6)
    assert result.sampler == "remasking" and result.settings["remask"] == "conf" and result.steps == [8]
    loop = ("-s", "remask_start=0.6", "-s", "remask-stop=0.2", "-s", "remask_hold=0.5", "--set", "remask=cap")
    ran = cli("sample", run, "--max-tokens", "6", *loop, "-s", "remask_strength=0.3", "--json")
    settings = json.loads(ran.out)["settings"]
    assert settings["steps"] == 9 and settings["remask_hold"] == 0.5 and settings["remask_strength"] == 0.3
    bound = ("--sampler", "entropy-bound", "-s", "entropy_budget=50", "-s", "error_proxy=margin")
    ran = cli("sample", run, "--max-tokens", "6", *bound, "--json")
    assert json.loads(ran.out)["steps"] == [1], "a budget for everything takes one step"
    ran = cli("infill", run, "the ____ sat", "--length", "2", *bound, "--json")
    assert ran.status == 0 and json.loads(ran.out)["texts"][0].startswith("the ")


def test_infill_keeps_the_sentence_and_reports_its_choice(run_folder):
    result = infill(run_folder(), "the ____ sat on ____.", length="1-3", n=2, steps=3)
    for text, fills, lengths in zip(result.texts, result.fills, result.lengths, strict=True):
        assert text == f"the {fills[0]} sat on {fills[1]}."
        assert all(1 <= n <= 3 for n in lengths)
    assert result.tried == 9 and result.bound == "upper bound" and all(b > 0 for b in result.bits_per_byte)
    assert result.layouts == [[a, b] for a in (1, 2, 3) for b in (1, 2, 3)] and result.length_by == "draw"
    assert len(result.probabilities) == 9 and sum(result.probabilities) == pytest.approx(1)
    again = infill(run_folder(), "the ____ sat on ____.", length="1-3", n=2, steps=3, batch_size=3)
    assert again.texts == result.texts


def test_every_text_has_a_length_of_its_own_or_the_likeliest(run_folder):
    drawn = infill(run_folder(), "the ____ sat", length="1-3", n=12, steps=3)
    assert len({tuple(own) for own in drawn.lengths}) > 1
    best = infill(run_folder(), "the ____ sat", length="1-3", n=3, steps=3, length_by="likeliest")
    top = best.layouts[best.probabilities.index(max(best.probabilities))]
    assert best.probabilities == drawn.probabilities and best.lengths == [top] * 3
    alone = infill(run_folder(), "the ____ sat", length=top[0], n=3, steps=3)
    assert alone.texts == best.texts and alone.probabilities == [1.0]


def test_bytes_that_are_no_text_are_counted_as_they_are(run_folder):
    """Each would count three times as U+FFFD."""
    run = Run.open(run_folder("masked", tokenizer="bytes"))
    assert RunScore(run, run.model(), 8, 16).bits_per_byte([(1, *[200] * 5)])[0] == pytest.approx(
        RunScore(run, run.model(), 8, 16)([(1, *[200] * 5)])[0] / math.log(2) / 5
    )


MISTAKES = [
    (["sample"], "name a run folder"),
    (["sample", "nowhere"], "nowhere"),
    (["sample", "MASKED", "--steps", "0"], "steps is 0"),
    (["sample", "MASKED", "--temperature", "-1"], "temperature is -1.0"),
    (["sample", "MASKED", "--top-p", "0"], "top_p is 0.0"),
    (["sample", "MASKED", "--n", "0"], "n is 0"),
    (["sample", "MASKED", "--max-tokens", "0"], "max_tokens is 0"),
    (["sample", "MASKED", "--batch-size", "0"], "batch_size is 0"),
    (
        ["sample", "MASKED", "--suffix", "x", "--max-tokens", "64"],
        "a prompt of 0 tokens and a suffix of 1 and 64 to write do not fit into the context",
    ),
    (
        ["sample", "MASKED", "--prompt", "x" * 99, "--suffix", "x"],
        "a prompt of 99 tokens and a suffix of 1, and at least 1 to write, do not fit",
    ),
    (["sample", "MASKED", "--sampler", "confidense"], "Did you mean 'confidence'"),
    (["sample", "MASKED", "--sampler", "autoregressive"], "'autoregressive' sampler writes left to right"),
    (["sample", "CAUSAL", "--sampler", "ancestral"], "trained as causal: it writes left to right"),
    (["sample", "CAUSAL", "--steps", "9"], "'autoregressive' sampler does not use steps"),
    (["sample", "CAUSAL", "--suffix", "x"], "suffix"),
    (["sample", "MASKED", "--sampler", "entropy-bound", "--steps", "9"], "'entropy-bound' sampler does not use steps"),
    (
        ["sample", "MASKED", "--sampler", "remasking", "-s", "remask_strength=2"],
        "remask_strength is 2; it must",
    ),
    (["sample", "MASKED", "-s", "steps"], "-s 'steps' must be key=value"),
    (["sample", "MASKED", "--steps", "3", "-s", "steps=4"], "steps is given twice"),
    (["infill", "MASKED", "a ____", "-s", "ignore_eos=1"], "ignore_eos is 1; it must be true or false"),
    (["sample", "MASKED", "-s", "remask=cap"], "'ancestral' sampler does not use remask"),
    (["sample", "MASKED", "--trace", "/nowhere/t.jsonl"], "cannot be written"),
    (["sample", "--replay", "nowhere.jsonl"], "there is no trace"),
    (["infill", "MASKED", "no hole"], "no hole"),
    (["infill", "MASKED", "a ____", "--length", "x"], "hole length 'x'"),
    (["infill", "MASKED", "a ____", "--length", "70"], "context is 64"),
    (["infill", "MASKED", "a ____", "--draws", "0"], "draws is 0"),
    (["infill", "MASKED", "a ____", "--orders", "0"], "orders is 0"),
    (["infill", "MASKED", "a ____", "--length-by", "size"], "length_by is 'size'"),
    (["infill", "CAUSAL", "a ____"], "cannot fill holes"),
]


@pytest.mark.parametrize(("args", "message"), MISTAKES, ids=[" ".join(a)[:40] for a, _ in MISTAKES])
def test_a_mistake_is_one_line_that_says_what_to_do(cli, run_folder, args, message):
    runs = {"MASKED": str(run_folder("masked")), "CAUSAL": str(run_folder("causal"))}
    ran = cli(*[runs.get(a, a) for a in args])
    assert ran.status == 2 and ran.out == ""
    last = ran.err.splitlines()[-1]
    assert last.startswith("error: ") and message in last and "Traceback" not in ran.err


def test_sample_prints_one_json_object(cli, run_folder):
    ran = cli(
        *("sample", run_folder(), "--prompt", "the cat", "--steps", "4", "--sampler", "confidence"),
        *("--seed", "3", "-n", "2", "--max-tokens", "6", "--top-k", "20", "--json", "--watch"),
    )
    assert ran.status == 0
    result = json.loads(ran.out)
    assert len(result["texts"]) == 2 and result["settings"]["top_k"] == 20 and result["steps"] == [4, 4]
    assert cli("sample", run_folder(), "--max-tokens", "4").out.count("\n") >= 1


def test_infill_prints_the_sentence_and_json(cli, run_folder):
    ran = cli("infill", run_folder(), "the [] sat", "--hole", "[]", "--length", "2", "--steps", "2", "--json")
    assert json.loads(ran.out)["lengths"] == [[2]]
    ran = cli("infill", run_folder(), "the ____ sat", "--length", "2", "--steps", "2")
    assert ran.out.startswith("the ") and "bits per byte (upper bound)" in ran.err


def test_a_trace_is_played_without_the_run_and_shows_the_same_text(cli, run_folder, tmp_path):
    trace = tmp_path / "trace.jsonl.gz"
    options = ["--prompt", "the cat", "--max-tokens", "9", "-n", "2", "--trace", trace, "--watch"]
    written = cli("sample", run_folder(), *options)
    assert written.status == 0 and str(trace) in written.err
    played = cli("sample", "--replay", trace)
    assert played.status == 0 and played.out == written.out
    steps = [line for line in written.err.splitlines() if " step " in line]
    assert steps == [line for line in played.err.splitlines() if " step " in line]
    assert "\u2591" in steps[0] and "\u2591" not in steps[-1]
    assert json.loads(cli("sample", "--replay", trace, "--json").out)["whole"] is True


def test_the_verbs_are_listed_without_importing_torch(python):
    source = "import sys, unmask.cli.sample, unmask.cli.infill; print('torch' in sys.modules)"
    assert python(source).out.strip() == "False"


def test_texts_say_what_they_were_computed_in_and_unknown_precisions_are_refused(cli, run_folder):
    run = run_folder("masked")
    texts = {p: sample(run, max_tokens=8, seed=4, precision=p) for p in ("auto", "fp32", "bf16")}
    assert {p: text.precision for p, text in texts.items()} == {"auto": "fp32", "fp32": "fp32", "bf16": "bf16"}
    assert texts["auto"].texts == texts["fp32"].texts
    ran = cli("sample", run, "--max-tokens", "4", "--precision", "bf16", "--json")
    assert json.loads(ran.out)["precision"] == "bf16"
    with pytest.raises(Error, match="unknown precision 'fp16'. Choose auto, fp32 or bf16"):
        sample(run, precision="fp16")
    ran = cli("compare", run, run, "-o", "report", "--precision", "auto")
    assert ran.status == 2 and "all runs are compared in one of fp32 and bf16" in ran.err
    ran = cli("compare", run, run, "-o", "report", "--blind", "--precision", "bf16")
    assert ran.status == 2 and "leave it out" in ran.err
