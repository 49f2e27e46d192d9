"""lm-eval's ``local-completions``, which knows nothing of us, gets from a server the numbers that we give ourselves."""

from __future__ import annotations

import json
import math

import lm_eval
import pytest
import yaml
from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalCompletionsAPI
from lm_eval.tasks import TaskManager

from unmask.api.evaluate import evaluate
from unmask.api.harness import UnmaskLM
from unmask.evaluation.token_scores import token_scores
from unmask.training.run import Run

TEXTS = ["the red cat", "a small boat", "an old dog sees"]


pytest.importorskip("tenacity", reason="local-completions needs lm-eval[api]")


@pytest.fixture(scope="module")
def model(live, served_runs):
    return LocalCompletionsAPI(
        base_url=f"{live.address}/v1/completions",
        model="causal",
        tokenizer=str(served_runs["causal"] / "tokenizer"),
        tokenizer_backend="huggingface",
        max_length=32,
        batch_size=2,
    )


def test_bits_per_byte_are_those_of_evaluate(model, served_runs, tmp_path):
    source = tmp_path / "texts.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    task = {
        "task": "texts",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(source)}},
        "test_split": "test",
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{text}}",
        "metric_list": [{"metric": "bits_per_byte"}],
    }
    (tmp_path / "texts.yaml").write_text(yaml.safe_dump(task))
    manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
    result = lm_eval.simple_evaluate(model=model, tasks=["texts"], task_manager=manager, bootstrap_iters=0)
    told = result["results"]["texts"]["bits_per_byte,none"]
    own = UnmaskLM(str(served_runs["causal"]), end=False)
    asked = [Instance("loglikelihood_rolling", {}, (text,), i, ("t", i, 1)) for i, text in enumerate(TEXTS)]
    nats = -sum(own.loglikelihood_rolling(asked, disable_tqdm=True))
    size = sum(map(len, TEXTS))
    assert told == pytest.approx(nats / math.log(2) / size, rel=1e-5)
    whole = evaluate(str(served_runs["causal"]), source=str(source))
    ends = -sum(end_scores(served_runs["causal"]))  # the harness leaves out the end of a text
    assert told + ends / math.log(2) / size == pytest.approx(whole.bits_per_byte, rel=1e-5)


def end_scores(folder):
    """Return the log-likelihood of the end of each text."""
    run = Run.open(folder)
    rows = [[run.tokenizer.bos_id, *run.tokenizer.encode(text), run.tokenizer.eos_id] for text in TEXTS]
    return [one.logprobs[-1] for one in token_scores(run.model(), rows, run.tokenizer.vocabulary)]


def test_choices_and_writing_are_ours(model, served_runs):
    pairs = [("the cat", " sees"), ("the cat", " over a boat"), ("", "a dog")]
    asked = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
    own = UnmaskLM(str(served_runs["causal"])).loglikelihood(asked, disable_tqdm=True)
    told = model.loglikelihood(asked, disable_tqdm=True)
    assert [score for score, _ in told] == pytest.approx([score for score, _ in own], rel=1e-5)
    assert [greedy for _, greedy in told] == [greedy for _, greedy in own]
    until = {"until": ["q"], "max_gen_toks": 6, "do_sample": False}
    texts = [Instance("generate_until", {}, (context, until), i) for i, context in enumerate(("the cat", "a"))]
    there = UnmaskLM(str(served_runs["causal"])).generate_until(texts, disable_tqdm=True)
    assert model.generate_until(texts, disable_tqdm=True) == there
