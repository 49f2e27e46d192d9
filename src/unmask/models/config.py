"""The configurations of ``transformers`` that hold a network's options: ``config.json`` of a run.

A configuration *is* its options (:mod:`unmask.models.options`), which need neither torch nor transformers.
"""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig

from unmask.models.transformer_options import TransformerOptions


class NetworkConfig(PretrainedConfig):
    """What makes a network's options a configuration. A subclass has the options as its second base."""

    def take(self, others: dict[str, Any]) -> None:
        """Take what every configuration of ``transformers`` has."""
        PretrainedConfig.__init__(self, tie_word_embeddings=self.tie_word_embeddings, **others)


class TransformerConfig(NetworkConfig, TransformerOptions):
    """Sizes and switches of the transformer."""

    model_type = TransformerOptions.model_type
    __init__ = TransformerOptions.__init__
