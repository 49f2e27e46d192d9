"""What is printed as exact is the law of a sampler; where it is another generator's, the label says so."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from guards.parts import VOCABULARY, make_process, network, over, visibilities
from unmask.certificates.worlds import all_texts
from unmask.data.batch import Batch
from unmask.diffusion.process import PROCESSES
from unmask.diffusion.thought import ThoughtOptions
from unmask.diffusion.with_thoughts import Thinking
from unmask.errors import Error
from unmask.models.registry import BACKBONES
from unmask.sampling import SAMPLERS, Settings, fill_request, generate

LENGTH, WORDS, TEXTS = 3, 2, 2000
TOLERANCE = 0.07
"""8 texts and 2,000 draws of the true law are 0.025 apart on average, and never 0.07 in 10,000 tries."""
MINDS = {
    "plain": None,
    "passages": {},
    "thought": {"shape": (2, 3, 4)},
    "latent": {"latent": 0.5},
    "thought-latent": {"shape": (2, 3, 4), "latent": 0.5},
}


class TwoWords:
    """A network that says nothing but two words: no text ends early, and a sampler forbids nothing."""

    def __init__(self, model):
        self.model = model

    def __getattr__(self, name):
        return getattr(self.model, name)

    def __call__(self, *args, **kwargs):
        answer = self.model(*args, **kwargs)
        if answer.logits is None or answer.logits.ndim != 2:
            return answer
        kept = torch.full_like(answer.logits, -torch.inf)
        kept[:, 4 : 4 + WORDS] = answer.logits[:, 4 : 4 + WORDS]
        return replace(answer, logits=kept)


def runs():
    """Yield every process with every network that learns it, with and without what may be carried."""
    for name in PROCESSES:
        for backbone in BACKBONES:
            for mind, thought in MINDS.items():
                process = make_process(name)
                given = process.options.network()
                if thought is not None:
                    options = ThoughtOptions(passage=LENGTH + 1, **thought)
                    process = Thinking(process, options)
                    given = given | {"thought": options.model_dump(mode="json")}
                if process.visibility not in visibilities(backbone):
                    continue
                if "shape" in (thought or {}) and given.get("candidate_input") == "full":
                    continue  # the network refuses it
                try:
                    model = network(backbone, **given)
                    process.check(model.config)
                except (Error, TypeError):
                    continue
                for kind in ("likelihood", "duel"):
                    if kind == "likelihood" or kind in process.likelihoods:
                        yield (name, backbone, mind, kind), process, model


RUNS = {key: rest for key, *rest in runs()}


def told(process, model, kind):
    """Return the law that is printed, and its label."""
    texts = all_texts(WORDS, LENGTH) + 4
    tokens = torch.cat([torch.full((len(texts), 1), VOCABULARY.bos), texts], 1)
    batch = Batch(tokens, torch.ones_like(tokens), torch.zeros(len(tokens), dtype=torch.int64), VOCABULARY.bos)
    with torch.no_grad():
        found = getattr(process, kind)(TwoWords(model), batch)
    p = (-found.nats).exp()
    return {tuple(row): float(x) for row, x in zip(tokens.tolist(), p, strict=True)}, found.bound


def written(process, model):
    """Return how often the process's exact sampler writes each text."""
    name = "autoregressive" if process.visibility == "causal" else "confidence"
    settings = SAMPLERS.facts(name)(steps=LENGTH, reveal="linear") if name == "confidence" else Settings()
    asked = [fill_request([], LENGTH, VOCABULARY, settings, index=i) for i in range(TEXTS)]
    samples = generate(TwoWords(model), SAMPLERS.get(name)(), asked, VOCABULARY, batch_size=TEXTS)
    return {text: count / TEXTS for text, count in Counter(s.tokens for s in samples).items()}


def distance(a, b):
    return 0.5 * sum(abs(a.get(text, 0.0) - b.get(text, 0.0)) for text in a.keys() | b.keys())


def carried(mind):
    return [word for word in ("thought", "latent") if word in mind]


@over("name, backbone, mind, kind", list(RUNS))
def test_an_exact_likelihood_is_the_law_of_the_sampler_or_says_whose_it_is(name, backbone, mind, kind):
    process, model = RUNS[name, backbone, mind, kind]
    law, bound = told(process, model, kind)
    if not bound.startswith("exact"):
        assert bound == "upper bound"
        return
    assert sum(law.values()) == pytest.approx(1, abs=1e-4)
    assert [word for word in ("thought", "latent") if f"{word}s " in bound] == carried(mind)
    if not carried(mind):
        assert bound == ("exact" if kind == "likelihood" else "exact for order peak, 1 a step")
        assert distance(law, written(process, model)) < TOLERANCE


def test_with_thoughts_or_latents_the_sampler_is_another_generator():
    for key in (
        ("causal", "transformer", "thought", "likelihood"),
        ("masked", "transformer", "thought", "duel"),
        ("masked", "transformer", "latent", "duel"),
        ("masked", "eco", "thought-latent", "duel"),
    ):
        law, bound = told(*RUNS[key], key[-1])
        assert distance(law, written(*RUNS[key])) > TOLERANCE, key
        assert bound.startswith("exact for ")
