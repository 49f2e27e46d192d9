"""The configuration of the eco network."""

from __future__ import annotations

from unmask.models.config import NetworkConfig
from unmask.models.eco_options import EcoOptions


class EcoConfig(NetworkConfig, EcoOptions):
    """Sizes and switches of the eco network."""

    model_type = EcoOptions.model_type
    __init__ = EcoOptions.__init__
