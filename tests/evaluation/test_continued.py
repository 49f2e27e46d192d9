"""A judge of what follows a prompt scores that alone, given the prompt, and is exact."""

import pytest

from unmask.data.ngram import ByteNgram
from unmask.errors import Error
from unmask.evaluation.continued import network_judge, ngram_judge
from unmask.training.run import Run

PAIRS = [("The cat number 3", " met a dog"), ("A fox", " sat on day 9.")]


@pytest.fixture(params=["network", "n-gram"])
def judge(request, tiny_run):
    if request.param == "n-gram":
        return ngram_judge(ByteNgram(3).fit([b"The cat met a dog on day 1.", b"A fox sat."]))
    run = Run.open(tiny_run)
    return network_judge("own", run.model(), run.process, run.tokenizer)


def test_nats_of_what_follows_are_those_of_all_less_those_of_the_prompt(judge):
    whole = judge.nats([("", a + b) for a, b in PAIRS])
    before = judge.nats([("", a) for a, _ in PAIRS])
    assert judge.nats(PAIRS) == pytest.approx(whole - before, rel=1e-4)


def test_bits_are_over_the_bytes_that_follow_and_nothing_written_is_left_out(judge):
    bits, interval = judge.bits([*PAIRS, ("And then", "")])
    assert bits == judge.bits(PAIRS)[0] == pytest.approx(judge.nats(PAIRS).sum() / 0.6931471805599453 / 24)
    assert interval[0] <= bits <= interval[1] and judge.bits([("And then", "")]) == (None, None)


def test_a_run_without_an_exact_likelihood_is_no_judge(tiny_masked_run):
    run = Run.open(tiny_masked_run)
    with pytest.raises(Error, match="no exact left-to-right likelihood"):
        network_judge("masked", run.model(), run.process, run.tokenizer)
