import json

import pytest
import torch

from guards.parts import REORDERS, make_requests
from unmask.data.tokenizers import make_tokenizer
from unmask.models.config import TransformerConfig
from unmask.models.transformer import Transformer
from unmask.sampling import SAMPLERS, Request
from unmask.training.recipe import parse_recipe


def _tiny(
    seed: int = 0, vocab_size: int = 24, context: int = 64, time_input: bool = False, candidates: int = 0
) -> Transformer:
    """A random network whose predictions are far from uniform, so that a wrong context changes its words."""
    torch.manual_seed(seed)
    config = TransformerConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=context,
        initializer_range=0.5,
        time_input=time_input,
        candidates=candidates,
        candidate_input="pooled" if candidates else None,
    )
    model = Transformer(config).eval()
    model.calibration = REORDERS
    with torch.no_grad():
        model.head.weight.mul_(0.3)
    return model


@pytest.fixture
def model(request) -> Transformer:
    """A tiny network; one that takes candidates, or is told the noise level, for a sampler that needs it."""
    shows = request.getfixturevalue("sampler").Settings.shows if "sampler" in request.fixturenames else "mask"
    return _tiny(candidates=3 if shows == "candidates" else 0, time_input=shows == "token")


@pytest.fixture(params=list(SAMPLERS))
def sampler(request):
    return SAMPLERS.get(request.param)()


@pytest.fixture(scope="session")
def tiny():
    return _tiny


@pytest.fixture
def requests_for(sampler):
    """Return a maker of requests that suit the sampler of the test."""

    def make(count: int = 5, **settings) -> list[Request]:
        return make_requests(sampler, count, **settings)

    return make


TEXTS = ["the cat sat on the mat and the dog sat by the door. "] * 30 + ["a red boat under the old bridge. "] * 30


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """Return a maker of run folders with random networks: ``run_folder("masked")``."""
    made = {}

    def make(process: str = "masked", tokenizer: str = "bpe", **sampler):
        key = (process, tokenizer, *sampler.items())
        if key not in made:
            folder = tmp_path_factory.mktemp("run") / f"{process}-run"
            words = make_tokenizer(tokenizer, TEXTS, 300)
            recipe = parse_recipe(
                {
                    "data": {"tokenizer": tokenizer, "vocab_size": 300, "length": 64},
                    "process": {"name": process},
                    "sampler": sampler,
                }
            )
            _tiny(vocab_size=words.vocab_size).save_pretrained(folder)
            words.save(folder / "tokenizer")
            (folder / "recipe.yaml").write_text(recipe.to_yaml())
            (folder / "run.json").write_text(json.dumps({"format": 1, "status": "finished"}))
            made[key] = folder
        return made[key]

    return make
