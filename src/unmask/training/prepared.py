"""The text of a run as training reads it: tokens in blocks, and beside them what was looked up for their documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unmask.data.blocks import Blocks, pack
from unmask.data.corpus import Corpus, documents, load_corpus
from unmask.data.tokenizers import Tokenizer, load_tokenizer, make_tokenizer
from unmask.training.evidence_table import EvidenceTable, Finder, evidence_table
from unmask.training.order import BlockStream
from unmask.training.places import place_of, with_index
from unmask.training.plan import Plan
from unmask.training.recipe import Recipe


@dataclass(frozen=True)
class Prepared:
    """The text of a run.

    Attributes:
        corpus: Where it comes from.
        tokenizer: What made it tokens.
        blocks: The split that is trained on.
        valid: The held-out split; ``None``: none is scored.
        evidence: What goes with the blocks.
    """

    corpus: Corpus
    tokenizer: Tokenizer
    blocks: Blocks
    valid: Blocks | None
    evidence: EvidenceTable | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of it."""
        blocks = (self.blocks,) if self.valid is None else (self.blocks, self.valid)
        return (*self.corpus.notes, *self.tokenizer.notes, *(note for each in blocks for note in each.notes))

    def documents(self, recipe: Recipe) -> Iterable[str]:
        """Return the documents that are trained on, in order."""
        return documents(self.corpus.split(recipe.data.split))

    def with_evidence(self, plan: Plan, begun: Mapping[str, Any], find: Finder | None) -> Prepared:
        """Return the text with what its documents' beginnings find in the recipe's index.

        Args:
            plan: Of a recipe that has evidence.
            begun: The manifest of the run that goes on; empty for a new one.
            find: What looks texts up.

        Raises:
            Error: nobody to look them up, or an index that does not fit.
        """
        assert plan.recipe.evidence is not None
        section, width = with_index(begun, plan.recipe.evidence), plan.config.memory_width
        table = evidence_table(section, width, self.blocks, self.tokenizer, self.documents(plan.recipe), find)
        return replace(self, evidence=table)

    def examples(self, total: int, seed: int) -> BlockStream:
        """Return the first so many training examples."""
        return BlockStream(self.blocks, total, seed, self.evidence)


def prepare(
    recipe: Recipe, folder: Path, fresh: bool, begun: Mapping[str, Any], tokenizer: Tokenizer | None = None
) -> Prepared:
    """Read the text of a run and cut it into blocks.

    Args:
        recipe: Its recipe.
        folder: The run's.
        fresh: The tokenizer is made and stored; else it is the one in the folder.
        begun: The manifest of the run that goes on, which knows where its text lies; empty for a new one.
        tokenizer: The one that a new run takes; ``None``: the recipe's is made.

    Raises:
        Error: no such text, or one that is too short.
    """
    data = recipe.data
    source, valid = data.source, data.valid
    if begun:
        source = place_of(begun, "source", source, data.binary)
        valid = None if valid is None else place_of(begun, "valid", valid, data.binary)
    corpus = load_corpus(
        source,
        valid=valid,
        valid_fraction=data.valid_fraction,
        judge_fraction=data.judge_fraction,
        normalize=data.normalize,
        text_field=data.text_field,
        binary=data.binary,
        keep=data.keep,
        chat=(chat := data.format == "chat"),
    )
    split = corpus.split(data.split)
    held_out = corpus.split("valid") if recipe.training.valid_blocks else None
    if fresh:
        tokenizer = tokenizer or make_tokenizer(
            data.tokenizer, documents(split), data.vocab_size, data.binary, data.balance
        )
        tokenizer.save(folder / "tokenizer")
    else:
        tokenizer = load_tokenizer(folder / "tokenizer")
    scored = None if held_out is None else pack(held_out, tokenizer, data.length, chat)
    return Prepared(corpus, tokenizer, pack(split, tokenizer, data.length, chat), scored)
