"""Byte-aware energies: how surprising a text's bytes are, what a byte model overlooks in them, how well they cohere."""

from unmask.retrieval.bytewise.coherence import TreeCoder, learn_coder
from unmask.retrieval.bytewise.context import ByteContext, byte_context, merge
from unmask.retrieval.bytewise.correction import Correction
from unmask.retrieval.bytewise.energy import ByteAwareEnergy
from unmask.retrieval.bytewise.nce import learn_correction
from unmask.retrieval.bytewise.rerank import Candidate, Reranker, choose_weights
from unmask.retrieval.bytewise.tree import TextTree, text_tree

__all__ = [
    "ByteAwareEnergy",
    "ByteContext",
    "Candidate",
    "Correction",
    "Reranker",
    "TextTree",
    "TreeCoder",
    "byte_context",
    "choose_weights",
    "learn_coder",
    "learn_correction",
    "merge",
    "text_tree",
]
