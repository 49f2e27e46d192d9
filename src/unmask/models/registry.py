"""``AutoModel`` knows our networks once this is imported; which they are says :mod:`unmask.models.backbones`."""

from __future__ import annotations

from transformers import AutoConfig, AutoModel

from unmask.models.backbones import BACKBONES as BACKBONES

for _name in BACKBONES:
    _backbone = BACKBONES.get(_name)
    AutoConfig.register(_backbone.config.model_type, _backbone.config)
    AutoModel.register(_backbone.config, _backbone.model)
