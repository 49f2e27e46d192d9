"""One call in a world where a product cannot do it: each text says one word again and again, and which is a toss.

    python -m benchmarks.studies.few_steps.coin

A text is eight times the same of four words. The first of them to be decided says all. Decided in one call by a product
whose single words are right, a text is of one word in 4 of 4^8 cases. A student is taught to need one call, by a
teacher who knows the world, with one mask and with a random one. Printed: the share of texts that say one word.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from unmask.data.batch import Batch
from unmask.data.vocabulary import Vocabulary
from unmask.diffusion.distill_options import DistillOptions
from unmask.diffusion.distillation import Distilled
from unmask.diffusion.masked import Masked
from unmask.diffusion.options import MaskedOptions
from unmask.models.config import TransformerConfig
from unmask.models.transformer import Transformer
from unmask.sampling import Ancestral, fill_request, generate

WORDS, LENGTH = 4, 8
VOCABULARY = Vocabulary(size=4 + WORDS)


def batch(rows: int, order: int) -> Batch:
    """Return texts of the world."""
    generator = torch.Generator().manual_seed(order)
    word = torch.randint(4, 4 + WORDS, (rows, 1), generator=generator)
    tokens = torch.cat([torch.full_like(word, VOCABULARY.bos), word.expand(-1, LENGTH)], 1)
    return Batch(tokens, torch.ones_like(tokens), order * rows + torch.arange(rows), VOCABULARY.bos)


def taught(loss: Any, network: Transformer, steps: int, rate: float = 5e-3) -> Transformer:
    """Train a network by a loss of (network, batch, seed, progress)."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.0)
    for step in range(steps):
        optimiser.zero_grad()
        loss(network, batch(32, step), 0, step / steps)["loss"].backward()
        optimiser.step()
    return network.eval()


def network(random_mask: int = 0) -> Transformer:
    """Return a small network."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "random_mask": random_mask}
    return Transformer(TransformerConfig(vocab_size=VOCABULARY.size, max_position_embeddings=LENGTH + 1, **sizes))


def agreeing(model: Transformer, steps: int, texts: int = 256) -> float:
    """Return the share of texts, written in so many steps, that say one word."""
    settings = Ancestral.Settings(steps=steps, ignore_eos=True)
    asked = [fill_request([], LENGTH, VOCABULARY, settings, index=index) for index in range(texts)]
    done = generate(model, Ancestral(), asked, VOCABULARY, batch_size=texts)
    return sum(len(set(sample.written)) == 1 for sample in done) / texts


def rows(steps: int = 400) -> dict[str, float]:
    """Return the share of each: the teacher in many steps and in one, students in one."""
    plain = Masked(MaskedOptions(), VOCABULARY)
    teacher = taught(plain.loss, network(), steps)
    found = {"teacher, 32 steps": agreeing(teacher, 32), "teacher, 1 step": agreeing(teacher, 1)}
    options = DistillOptions(steps=1, teacher_steps=4, vectors=8)
    for name, random_mask in (("student with one mask", 0), ("student with a random mask", 4)):
        process = Masked(MaskedOptions(random_mask=random_mask), VOCABULARY)
        student = network(random_mask)
        student.load_state_dict(teacher.state_dict(), strict=False)
        taught(Distilled(process, options, teacher).loss, student.train(), steps)
        found[f"{name}, 1 step"] = agreeing(student, 1)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the shares."""
    quick = "--quick" in (sys.argv[1:] if arguments is None else arguments)
    torch.set_num_threads(1)
    for name, share in rows(20 if quick else 400).items():
        print(f"| {name} | {share:.3f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
