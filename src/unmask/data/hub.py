"""Data sets and tokenizers from the Hugging Face Hub, pinned to a revision; offline they fail at once.

A data set is named ``hf:owner/name[:config][@split]``, a tokenizer ``hf:owner/name``.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from unmask.data.cache import cache_folder
from unmask.data.rows import checked_text
from unmask.errors import Error

_SPEC = re.compile(r"hf:(?P<repo>[\w.-]+(?:/[\w.-]+)?)(?::(?P<config>[^@]+))?(?:@(?P<split>[\w.-]+))?")
_CONNECT_SECONDS = 3
_ANSWER_SECONDS = 10


def dataset_revision(spec: str) -> str:
    """Return the commit that a data set stands at; offline, the one that it stood at when last asked.

    Raises:
        Error: malformed or unknown name, or offline and never asked before.
    """
    from huggingface_hub import HfApi

    repo, _, _ = _parse(spec)
    note = cache_folder() / "hub" / hashlib.sha256(repo.encode()).hexdigest()[:24]
    if not _online():
        if note.is_file():
            return note.read_text("utf-8").strip()
        raise _offline(spec)
    try:
        sha = HfApi().dataset_info(repo, timeout=_ANSWER_SECONDS).sha
    except Exception as error:
        raise _explained(spec, "data set", error) from error
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(f"{sha}\n", "utf-8")
    return str(sha)


def dataset_documents(spec: str, revision: str, text_field: str) -> Iterator[str]:
    """Stream the texts of a data set; the split is "train" unless the spec names one.

    Raises:
        Error: offline, no such configuration, split or field.
    """
    if not _online():
        raise _offline(spec)
    import datasets

    repo, config, split = _parse(spec)
    try:
        rows = datasets.load_dataset(repo, config, split=split or "train", revision=revision, streaming=True)
        for number, row in enumerate(rows, 1):
            if text_field not in row:
                found = ", ".join(sorted(row))
                raise Error(
                    f"{spec} has no field {text_field!r} (fields: {found}). Set data.text_field (--text-field)."
                )
            yield checked_text(row[text_field], f"{spec}, row {number}", text_field)
    except Error:
        raise
    except Exception as error:  # the libraries below raise many kinds, some of them their HTTP client's
        raise _explained(spec, "data set", error) from error


def hub_tokenizer_folder(spec: str) -> Path:
    """Download a model's tokenizer files (or find them in the Hub's own cache) and return their folder.

    Raises:
        Error: malformed or unknown name, or offline and not in the cache.
    """
    from huggingface_hub import snapshot_download

    repo, config, split = _parse(spec)
    if config or split:
        raise Error(f"{spec!r} is no tokenizer name. Write hf:owner/name.")
    try:
        folder = snapshot_download(
            repo,
            allow_patterns=["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"],
            etag_timeout=_ANSWER_SECONDS,
            local_files_only=not _online(),
        )
    except Exception as error:
        raise _explained(spec, "tokenizer", error) from error
    return Path(folder)


def hub_model_folder(spec: str) -> Path:
    """Download a model's configuration, tokenizer and safetensors (or find them in the Hub's own cache).

    Raises:
        Error: malformed or unknown name, or offline and not in the cache.
    """
    from huggingface_hub import snapshot_download

    repo, config, split = _parse(spec)
    if config or split:
        raise Error(f"{spec!r} is no model's name. Write hf:owner/name.")
    try:
        folder = snapshot_download(
            repo,
            allow_patterns=["*.json", "*.safetensors", "merges.txt", "*.jinja"],
            ignore_patterns=["*/*", "consolidated*"],
            etag_timeout=_ANSWER_SECONDS,
            local_files_only=not _online(),
        )
    except Exception as error:
        raise _explained(spec, "model", error) from error
    return Path(folder)


def hub_run_folder(name: str) -> Path:
    """Download a run that was exported to the Hub (or find it in the Hub's own cache) and return its folder.

    Raises:
        Error: malformed or unknown name, or offline and not in the cache.
    """
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            name,
            ignore_patterns=["checkpoints/*", "raw/*"],
            etag_timeout=_ANSWER_SECONDS,
            local_files_only=not _online(),
        )
    except Exception as error:
        raise _explained(name, "run", error) from error
    return Path(folder)


def _parse(spec: str) -> tuple[str, str | None, str | None]:
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise Error(f"{spec!r} is no Hub name. Write hf:owner/name, hf:owner/name:config or hf:owner/name@split.")
    return match["repo"], match["config"], match["split"]


def _online() -> bool:
    """Tell whether the Hub can be reached, in a few seconds: the libraries' own retries take minutes."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or os.environ.get("HF_DATASETS_OFFLINE", "0").lower() in ("1", "true", "yes", "on"):
        return False
    address = urllib.parse.urlsplit(constants.ENDPOINT)
    if address.scheme in urllib.request.getproxies():
        return True  # only the proxy knows
    try:
        port = address.port or (443 if address.scheme == "https" else 80)
        socket.create_connection((address.hostname or "", port), timeout=_CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _offline(spec: str) -> Error:
    return Error(
        f"{spec} needs the Hugging Face Hub, which cannot be reached. "
        "Use local files, pydocs or box-stories, or run 'unmask data fetch' where there is a network and copy the "
        "folder."
    )


def _explained(spec: str, kind: str, error: Exception) -> Error:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return Error(f"{spec} asks for consent. Accept its terms on the Hub and log in with 'hf auth login'.")
    if isinstance(error, errors.RepositoryNotFoundError):
        return Error(f"the Hub has no public {kind} {spec}. Check the spelling, or log in with 'hf auth login'.")
    if isinstance(error, (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled)):
        local = "a local folder, bytes or bpe" if kind == "tokenizer" else "a local folder"
        return Error(f"{spec} needs the Hugging Face Hub, which cannot be reached. Use {local}.")
    first_line = str(error).strip().split("\n")[0]
    check = "its name, configuration and split" if kind == "data set" else "its name"
    return Error(f"the {kind} {spec} cannot be read: {first_line} Check {check}.")
