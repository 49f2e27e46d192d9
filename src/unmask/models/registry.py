"""The networks that a recipe can name, and ``AutoModel`` knowing them.

A new network is one file, and one line here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from unmask.models.bytes import Bytes
from unmask.models.bytes_config import BytesConfig
from unmask.models.config import TransformerConfig, config_options
from unmask.models.eco import Eco
from unmask.models.eco_config import EcoConfig
from unmask.models.transformer import Transformer
from unmask.registry import Registry


@dataclass(frozen=True)
class Backbone:
    """A network class and the class of its configuration."""

    model: type[PreTrainedModel]
    config: type[PretrainedConfig]

    @property
    def options(self) -> dict[str, Any]:
        """The keys that its configuration takes, with their types."""
        return config_options(self.config)


BACKBONES: Registry[Backbone] = Registry("backbone")
BACKBONES.add("transformer")(Backbone(Transformer, TransformerConfig))
BACKBONES.add("eco")(Backbone(Eco, EcoConfig))
BACKBONES.add("bytes")(Backbone(Bytes, BytesConfig))

for _name in BACKBONES:
    _backbone = BACKBONES.get(_name)
    AutoConfig.register(_backbone.config.model_type, _backbone.config)
    AutoModel.register(_backbone.config, _backbone.model)
