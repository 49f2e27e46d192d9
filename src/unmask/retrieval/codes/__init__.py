"""Codes of few bytes for vectors: learned, by a diffusion autoencoder, and what it has to beat."""

from unmask.retrieval.codes.autoencoder import AutoencoderCodec, fit_autoencoder
from unmask.retrieval.codes.codec import Codec, Cost, cost
from unmask.retrieval.codes.diffusion import DiffusionCodec, fit_diffusion
from unmask.retrieval.codes.principal import PrincipalCodec, fit_principal
from unmask.retrieval.codes.product import ProductCodec, fit_product
from unmask.retrieval.codes.residual import ShelfCodec, fit_shelves

__all__ = [
    "AutoencoderCodec",
    "Codec",
    "Cost",
    "DiffusionCodec",
    "PrincipalCodec",
    "ProductCodec",
    "ShelfCodec",
    "cost",
    "fit_autoencoder",
    "fit_diffusion",
    "fit_principal",
    "fit_product",
    "fit_shelves",
]
