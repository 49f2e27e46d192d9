"""A network whose weights hold a NaN gets no score, and the error names the weight."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from unmask.data.tokenizers import Tokenizer
from unmask.diffusion.causal import Causal, CausalOptions
from unmask.diffusion.masked import Masked, MaskedOptions
from unmask.errors import Error
from unmask.evaluation.bits import bits_per_byte
from unmask.evaluation.continuation import score_continuations
from unmask.evaluation.finite import refuse_not_finite
from unmask.evaluation.frontier import divergence
from unmask.evaluation.predictions import predict_corrupted
from unmask.models.transformer import Transformer
from unmask.sampling import SAMPLERS, Settings

TEXTS = ["the cat sat on the mat", "a dog ran over the hill"]


def process(name: str, tokenizer: Tokenizer):
    words = tokenizer.vocabulary
    return Causal(CausalOptions(), words) if name == "causal" else Masked(MaskedOptions(), words)


@pytest.fixture
def spoilt(tiny: Transformer) -> tuple[Transformer, str]:
    """A network with one NaN in a weight that every answer reads, and that weight's name."""
    name, weight = next((n, w) for n, w in tiny.named_parameters() if n.endswith("norm.weight"))
    with torch.no_grad():
        weight.view(-1)[0] = math.nan
    return tiny, name


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_every_score_names_the_weight_that_is_not_finite(spoilt, kind, byte_tokenizer: Tokenizer) -> None:
    model, name = spoilt
    part, words = process(kind, byte_tokenizer), f"its weight {name} holds 1 of"
    with pytest.raises(Error, match=words):
        bits_per_byte(model, part, byte_tokenizer, TEXTS, window=16, draws=1)
    with pytest.raises(Error, match=words):
        predict_corrupted(model, part, byte_tokenizer, TEXTS, window=16)
    ids = byte_tokenizer.encode("cat"), byte_tokenizer.encode(" sat")
    t = byte_tokenizer
    sampler = SAMPLERS.get(part.sampler)()
    with pytest.raises(Error, match=words):
        score_continuations(model, part, t, [ids], sampler, Settings(), t.vocabulary, draws=1)


def test_what_overflows_with_sound_weights_is_said_to_overflow(tiny: Transformer) -> None:
    refuse_not_finite(np.array([1.0, -2.0]), "windows", tiny)
    with pytest.raises(Error, match="scores of 1 of 2 windows are infinite: its weights are finite"):
        refuse_not_finite(torch.tensor([1.0, math.inf]), "windows", tiny)
    with pytest.raises(Error, match="scores of 2 of 2 texts are nan"):
        refuse_not_finite([math.nan, -math.inf], "texts", tiny)


def test_features_that_are_not_finite_have_no_divergence() -> None:
    features = torch.randn(8, 4)
    with pytest.raises(Error, match="not finite"):
        divergence(features, features.clone().index_fill_(0, torch.tensor([3]), math.nan))


def test_the_shell_is_told_and_no_nan_is_printed(tiny_run: Path, tmp_path: Path, cli) -> None:
    run = tmp_path / "spoilt"
    shutil.copytree(tiny_run, run)
    weights = load_file(run / "model.safetensors")
    name = sorted(weights)[0]
    weights[name].view(-1)[0] = math.nan
    save_file(weights, run / "model.safetensors", {"format": "pt"})
    manifest = json.loads((run / "run.json").read_text())
    del manifest["weights_fingerprint"]  # as if it had been trained to this
    (run / "run.json").write_text(json.dumps(manifest))
    ran = cli("evaluate", run, "--documents", 3, "--json")
    assert ran.status == 2 and "holds 1 of" in ran.err and "not finite" in ran.err
    assert not ran.out or "nan" not in json.dumps(ran.out).lower()
