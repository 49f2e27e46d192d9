"""The configuration of the byte network."""

from __future__ import annotations

from unmask.models.bytes_options import BytesOptions
from unmask.models.config import NetworkConfig


class BytesConfig(NetworkConfig, BytesOptions):
    """Sizes and switches of the byte network."""

    model_type = BytesOptions.model_type
    __init__ = BytesOptions.__init__
