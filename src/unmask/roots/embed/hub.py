"""A sentence encoder from the Hub, or from a folder, as an embedder: pooled last hidden states of a transformer.

The folder is read as sentence-transformers writes it (Reimers & Gurevych 2019, arXiv 1908.10084): ``modules.json``
lists the parts, ``1_Pooling/config.json`` says whether tokens are averaged or the first one is taken. Without these the
tokens are averaged. Other parts (a projection, another pooling) are refused, since leaving them out would give other
vectors than the model's own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from unmask.errors import Error

_BATCH = 32
_FILES = ["*.json", "*.txt", "*.model", "*.safetensors", "1_Pooling/*"]  # not the same weights in four other formats
_SECONDS = 10
_OURS: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""No code of the folder is run, and nobody is asked whether it may be."""
_KNOWN = ("Transformer", "Pooling", "Normalize")


class HubReader:
    """A transformer encoder.

    Attributes:
        name: ``hf:`` and the repository or folder.
        width: Its hidden size.

    Raises:
        Error: offline and not in the cache, unknown, or no encoder that this file can read.
    """

    def __init__(self, source: str) -> None:
        from transformers import AutoModel, AutoTokenizer

        folder = Path(source) if Path(source).is_dir() else _fetched(source)
        _refuse_foreign(folder)
        self.first_token = _first_token(folder)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, **_OURS)
            self._network = AutoModel.from_pretrained(folder, use_safetensors=True, **_OURS).eval()
            self.name, self.width = f"hf:{source}", int(self._network.config.hidden_size)
        except Exception as error:  # the library raises many kinds
            why = " ".join(str(error).split())[:200]
            raise Error(f"{source} cannot be loaded as an encoder ({why}). Name another one.") from error
        self._network.to("cuda" if torch.cuda.is_available() else "cpu")
        self._room = _room(folder, self._tokenizer, self._network.config)

    def means(self, texts: Sequence[str]) -> Float32[np.ndarray, "N D"]:
        """Return the pooled vector of each text; zeros for an empty one. What exceeds the context is not read."""
        found = np.zeros((len(texts), self.width), np.float32)
        order = [int(place) for place in np.argsort([len(text) for text in texts], kind="stable") if texts[place]]
        for first in range(0, len(order), _BATCH):
            places = order[first : first + _BATCH]
            given = self._tokenizer(
                [texts[place] for place in places],
                padding=True,
                truncation=True,
                max_length=self._room,
                return_tensors="pt",
            ).to(self._network.device)
            with torch.inference_mode():
                hidden = self._network(**given).last_hidden_state.float()
            if self.first_token:
                pooled = hidden[:, 0]
            else:
                read = given["attention_mask"][..., None]
                pooled = (hidden * read).sum(1) / read.sum(1).clamp(min=1)
            found[places] = pooled.cpu().numpy()
        return found


def _fetched(name: str) -> Path:
    """Download a repository's encoder, or find it in the Hub's own cache."""
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=_FILES, etag_timeout=_SECONDS))
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise Error(f"the Hub has no public model {name!r}. Write hf:owner/name, or hf:FOLDER.") from error
    except (errors.LocalEntryNotFoundError, errors.HfHubHTTPError, OSError) as error:
        raise Error(
            f"hf:{name} needs the Hugging Face Hub, which cannot be reached. Use wordllama-256, or hf:FOLDER."
        ) from error


def _refuse_foreign(folder: Path) -> None:
    """Refuse a network that has its attention or its numbers from a package or repository of somebody else."""
    told = _json(folder / "config.json")
    for key in ("attn_implementation", "_attn_implementation", "quantization_config"):
        if told.get(key) not in (None, "eager", "sdpa"):
            raise Error(
                f"{folder.name} asks for {key} {str(told[key])[:60]!r}, which is not taken. Name another encoder."
            )


def _room(folder: Path, tokenizer: Any, config: Any) -> int:
    """Return the most tokens of a text: what the folder says, within what the network can."""
    told = _json(folder / "sentence_bert_config.json").get("max_seq_length")
    known = [told, tokenizer.model_max_length, getattr(config, "max_position_embeddings", None)]
    return min(int(number) for number in known if number)


def _first_token(folder: Path) -> bool:
    """Return whether the first token stands for the text; else all are averaged.

    Raises:
        Error: the folder asks for something else.
    """
    modules: Any = _json(folder / "modules.json")
    kinds = [str(module.get("type", "")).rpartition(".")[2] for module in modules]
    if odd := [kind for kind in kinds if kind not in _KNOWN]:
        raise Error(
            f"{folder.name} has a part {odd[0]!r} behind its transformer, which is not read here. Name another."
        )
    pooling = _json(folder / "1_Pooling" / "config.json")
    chosen = [key for key, on in pooling.items() if key.startswith("pooling_mode_") and on]
    if chosen not in ([], ["pooling_mode_mean_tokens"], ["pooling_mode_cls_token"]):
        raise Error(f"{folder.name} pools by {', '.join(chosen)}, which is not read here. Name another encoder.")
    return chosen == ["pooling_mode_cls_token"]


def _json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    except (ValueError, RecursionError) as error:
        raise Error(f"{path} is damaged ({error}). Download the model again.") from error
    return found
