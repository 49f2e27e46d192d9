"""The networks that a recipe can name. A new one is its file, its options, and one line here.

Nothing is imported before it is asked for: the options need neither torch nor transformers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unmask.models.options import NetworkOptions, config_options
from unmask.registry import Registry, imported

if TYPE_CHECKING:
    from unmask.models.config import NetworkConfig
    from unmask.models.network import Denoiser


@dataclass(frozen=True)
class Backbone:
    """A network, by where it is.

    Attributes:
        model_at: ``"module:class"`` of the network; its ``config_class`` holds the options.
        keys_at: ``"module:class"`` of its options (:class:`unmask.models.options.NetworkOptions`).
    """

    model_at: str
    keys_at: str

    @property
    def model(self) -> type[Denoiser]:
        """The network's class."""
        found: type[Denoiser] = imported(self.model_at)
        return found

    @property
    def config(self) -> type[NetworkConfig]:
        """The class of its configuration."""
        found: type[NetworkConfig] = self.model.config_class
        return found

    @property
    def keys(self) -> type[NetworkOptions]:
        """The class of its options, which checks them."""
        found: type[NetworkOptions] = imported(self.keys_at)
        return found

    @property
    def options(self) -> dict[str, Any]:
        """The keys of its options, with their types."""
        return config_options(self.keys)


BACKBONES: Registry[Backbone] = Registry("backbone")
BACKBONES.add("transformer")(
    Backbone("unmask.models.transformer:Transformer", "unmask.models.transformer_options:TransformerOptions")
)
BACKBONES.add("eco")(Backbone("unmask.models.eco:Eco", "unmask.models.eco_options:EcoOptions"))
BACKBONES.add("bytes")(Backbone("unmask.models.bytes:Bytes", "unmask.models.bytes_options:BytesOptions"))


def backbone_of(model_type: object) -> Backbone | None:
    """Return the network that calls itself so in its ``config.json``; ``None``: none of ours does."""
    return next((one for one in map(BACKBONES.get, BACKBONES) if one.keys.model_type == model_type), None)
