"""EleutherAI's harness runs our runs, and its numbers are ours."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import lm_eval
import pytest
import yaml
from lm_eval.api.instance import Instance
from lm_eval.tasks import TaskManager

from unmask.api.evaluate import evaluate
from unmask.api.harness import UnmaskLM
from unmask.api.sample import sample
from unmask.errors import Error

DOCUMENTS = [
    f"The owl number {i} met a fox on day {i * i * i}, and then the hen sang {'la ' * (i % 9)}." for i in range(9)
]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tasks made of local files."""
    folder = tmp_path_factory.mktemp("tasks")
    texts = folder / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": text}) + "\n" for text in [*DOCUMENTS, DOCUMENTS[0]]))
    questions = folder / "questions.jsonl"
    rows = ({"q": f"The owl number {i} met a", "choices": ["cat", "hen on day 3", "fox"], "gold": 1} for i in range(4))
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def task(name: str, source: Path, **more: Any) -> None:
        content = {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(source)}},
            "test_split": "test",
            "doc_to_text": "{{q}}",
            **more,
        }
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))

    rolling = {"output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{text}}"}
    task("local_texts", texts, **rolling, metric_list=[{"metric": "bits_per_byte"}])
    choice = {"output_type": "multiple_choice", "doc_to_choice": "{{choices}}", "doc_to_target": "gold"}
    task("local_choices", questions, **choice, metric_list=[{"metric": "acc"}])
    write = {"output_type": "generate_until", "doc_to_target": "fox", "metric_list": [{"metric": "exact_match"}]}
    task("local_writing", questions, **write, generation_kwargs={"until": ["."], "max_gen_toks": 6, "do_sample": False})
    return folder


def run_tasks(tasks: Path, names: list[str], **arguments: Any) -> dict[str, Any]:
    manager = TaskManager(include_path=str(tasks), include_defaults=False)
    result = lm_eval.simple_evaluate(
        model="unmask", model_args=arguments, tasks=names, task_manager=manager, bootstrap_iters=0, batch_size="auto"
    )
    assert result is not None
    return dict(result)


@pytest.mark.parametrize(
    ("name", "likelihood", "kind"),
    [
        ("tiny_run", "default", "exact"),
        ("tiny_masked_run", "default", "upper bound"),
        ("tiny_masked_run", "duel", "exact for order peak, 1 a step"),
    ],
)
def test_bits_per_byte_of_a_local_task_are_those_of_evaluate(
    name: str, likelihood: Any, kind: str, tasks: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(name)
    source = tmp_path / "texts.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS))
    ours = evaluate(run, source=str(source), draws=3, likelihood=likelihood, seed=5)

    unique = yaml.safe_load((tasks / "local_texts.yaml").read_text())
    unique["dataset_kwargs"]["data_files"]["test"] = str(source)
    (tmp_path / "local_texts.yaml").write_text(yaml.safe_dump(unique))
    result = run_tasks(tmp_path, ["local_texts"], run=str(run), draws=3, likelihood=likelihood, seed=5)
    assert result["results"]["local_texts"]["bits_per_byte,none"] == pytest.approx(ours.bits_per_byte, rel=1e-12)
    assert result["config"]["unmask_likelihood"] == ours.bound == kind
    assert result["config"]["unmask_draws"] == ours.draws


def test_every_text_of_a_task_is_scored_and_its_end_can_be_left_out(tiny_masked_run: Path) -> None:
    texts = [DOCUMENTS[0], "x", DOCUMENTS[0], "x ", " ", ""]
    asked = [Instance("loglikelihood_rolling", {}, (text,), i, ("t", i, 1)) for i, text in enumerate(texts)]
    with_end, without = (UnmaskLM(str(tiny_masked_run), draws=2, end=end) for end in (True, False))
    nats = [-x for x in with_end.loglikelihood_rolling(asked, disable_tqdm=True)]
    assert nats[0] == nats[2] and min(nats) > 3.8  # at least where the text ends: ln 47, and the end itself
    shorter = [-x for x in without.loglikelihood_rolling(asked, disable_tqdm=True)]
    assert all(0 < b < a for a, b in zip(nats[:5], shorter[:5], strict=True))
    assert 0 < shorter[5] == min(shorter), "an empty text pays for being empty, which the network is told"
    two = [Instance("loglikelihood_rolling", {}, ("x",), 0, (name, 0, 1)) for name in ("t", "u")]
    assert len(set(with_end.loglikelihood_rolling(two, disable_tqdm=True))) == 1  # tasks are scored apart


@pytest.mark.parametrize("name", ["tiny_run", "tiny_masked_run"])
def test_choices_and_writing(name: str, tasks: Path, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(name)
    result = run_tasks(tasks, ["local_choices", "local_writing"], run=str(run), draws=2, steps=_steps(name))
    answers = [row["resps"] for row in result["samples"]["local_choices"]]
    assert all(float(choice[0][0]) < 0 for row in answers for choice in row)
    acc = result["results"]["local_choices"]["acc,none"]
    best = [max(range(3), key=lambda i: float(row[i][0][0])) for row in answers]
    assert acc == sum(b == 1 for b in best) / 4
    assert (
        result["config"]["unmask_loglikelihoods_are"]
        == {
            "tiny_run": "exact",
            "tiny_masked_run": "lower bounds (2 draws)",
        }[name]
    )
    for row in result["samples"]["local_writing"]:
        (text,) = row["resps"][0]
        assert "." not in text and len(text) <= 6
        if name == "tiny_run":
            ours = sample(run, row["arguments"][0][0], max_tokens=6, temperature=0.0)
            assert text == ours.completions[0].split(".")[0]


def _steps(name: str) -> int | None:
    return None if name == "tiny_run" else 3


def test_writing_is_reproducible_and_a_repeated_request_gets_another_text(tiny_run: Path) -> None:
    warm = {"until": [], "max_gen_toks": 8, "do_sample": True, "temperature": 1.0}
    asked = [Instance("generate_until", {}, (context, warm), 0, ("t", 0, 2)) for context in ("a hen", "a hen", "")]
    texts = [UnmaskLM(str(tiny_run), seed=s).generate_until(asked, disable_tqdm=True) for s in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2] and texts[0][0] != texts[0][1]
    assert UnmaskLM(str(tiny_run)).generate_until(asked[::-1], disable_tqdm=True)[0] == texts[0][2]


def test_what_does_not_fit_the_window_is_cut_with_a_warning(
    tiny_masked_run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = UnmaskLM(str(tiny_masked_run), draws=2, steps=2)
    long = "word " * 30
    with caplog.at_level(logging.WARNING, "lm_eval.unmask"):
        asked = [Instance("loglikelihood", {}, (text, "end"), 0) for text in (long, long[-44:])]
        whole, cut = model.loglikelihood(asked, disable_tqdm=True)
        assert "1 of 2 contexts are longer than the window and were cut from the left." in caplog.text
        assert whole == pytest.approx(cut)
        caplog.clear()
        options = {"until": [], "max_gen_toks": 500}
        (text,) = model.generate_until([Instance("generate_until", {}, (long, options), 0)], disable_tqdm=True)
    assert "1 ask for more tokens than the window holds" in caplog.text and "1 were cut" in caplog.text
    assert len(text.encode()) <= 24 * 3  # half the window of 48 tokens, where a broken byte may become U+FFFD


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs a run: --model_args run=PATH"),
        ({"run": "x", "drawz": 3}, "unknown model argument 'drawz'. Did you mean 'draws'?"),
        ({"run": "nowhere"}, "there is no run folder nowhere"),
        ({"likelihood": "exact"}, "unknown likelihood 'exact'; choose default or duel"),
        ({"likelihood": "duel"}, "process causal has no duel likelihood"),
        ({"draws": 0}, "draws is 0; it must be a whole number of at least 1"),
        ({"steps": 8}, "'autoregressive' sampler does not use steps"),
        ({"sampler": "ancestral"}, "was trained as causal: it writes left to right"),
        ({"batch_size": "big"}, "batch_size is 'big'; it must be auto or a whole number"),
        ({"end": "no"}, "end is 'no'; it must be true or false"),
    ],
)
def test_wrong_arguments_are_one_line(arguments: dict[str, Any], message: str, tiny_run: Path) -> None:
    given = {"run": str(tiny_run), **arguments} if arguments and "drawz" not in arguments else arguments
    with pytest.raises(Error) as caught:
        UnmaskLM.create_from_arg_obj(given)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_an_option_of_generation_that_means_nothing_here_is_refused(tiny_run: Path) -> None:
    model = UnmaskLM(str(tiny_run))
    for options, message in (
        ({"top_pp": 0.3}, "top_pp=0.3 means nothing.*Did you mean 'top_p'"),
        ({"num_beams": 4}, "num_beams=4 means nothing"),
    ):
        with pytest.raises(Error, match=message):
            model.generate_until([Instance("generate_until", {}, ("a", options), 0)], disable_tqdm=True)
    fine = {"num_beams": 1, "repetition_penalty": 1.0, "max_new_tokens": 2}
    model.generate_until([Instance("generate_until", {}, ("a", fine), 0)], disable_tqdm=True)


def command(run: Path, tasks: Path, output: Path) -> list[str]:
    words = ["--model", "unmask", "--model_args", f"run={run}", "--tasks", "local_texts", "--batch_size", "auto"]
    return [*words, "--include_path", str(tasks), "--output_path", str(output)]


def test_the_harness_own_command_line_knows_us(
    tiny_run: Path, tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import lm_eval.tasks

    from unmask.api.harness.__main__ import main

    # without its own thousands of tasks, whose index alone takes seconds
    monkeypatch.setattr(lm_eval.tasks, "TaskManager", partial(TaskManager, include_defaults=False))
    monkeypatch.setattr(sys, "argv", ["lm_eval", *command(tiny_run, tasks, tmp_path / "out.json")])
    assert main() == 0
    assert "bits_per_byte" in capsys.readouterr().out
    (written,) = tmp_path.rglob("out_*.json")
    assert json.loads(written.read_text())["config"]["unmask_likelihood"] == "exact"


@pytest.mark.slow
def test_the_documented_command_works_in_a_process_of_its_own(tiny_run: Path, tasks: Path, tmp_path: Path) -> None:
    call = [sys.executable, "-m", "unmask.api.harness", *command(tiny_run, tasks, tmp_path / "out.json")]
    ran = subprocess.run(call, capture_output=True, text=True, env=dict(os.environ), check=False)
    assert ran.returncode == 0, ran.stderr
    assert "log-likelihoods are exact" in ran.stderr and "bits_per_byte" in ran.stdout


def test_a_mistake_on_the_command_line_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import lm_eval.__main__

    from unmask.api.harness.__main__ import main

    monkeypatch.setattr(lm_eval.__main__, "cli_evaluate", lambda: UnmaskLM.create_from_arg_string("runs=nowhere"))
    assert main() == 2
    assert capsys.readouterr().err.startswith("error: unknown model argument 'runs'. Did you mean 'run'?")
