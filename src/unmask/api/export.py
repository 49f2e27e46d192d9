"""Give a run to others: as a plain Hugging Face Llama folder, or as a folder that is ready for the Hub."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from unmask.api.card import model_card
from unmask.data.cache import by_umask
from unmask.errors import Error, nearest
from unmask.lines import counted, line
from unmask.models.bytes_options import ENTROPY_RUN
from unmask.training.recipe import Recipe
from unmask.training.run import MANIFEST, RECIPE, Run, write_json

if TYPE_CHECKING:
    from unmask.models.transformer import Transformer

FORMATS = ("hub", "llama")
_PRIVATE = ("checkpoints", "raw", "README.md")
"""What a Hub folder leaves behind: what only resuming needs, and an older model card."""


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        path: The folder.
        format: ``hub``, which ``unmask`` reads, or ``llama``, which ``transformers`` reads alone.
        run: The run's name.
        process: The run's process.
        parameters: Parameters, tied ones once.
        files: The files, relative to the folder.
        bytes: Their size.
    """

    path: Path
    format: str
    run: str
    process: str
    parameters: int
    files: tuple[str, ...]
    bytes: int

    def __repr__(self) -> str:
        return line(
            "Export", str(self.path), self.format, counted(self.parameters, "parameter"), counted(self.bytes, "byte")
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {**self.__dict__, "path": str(self.path), "files": list(self.files)}


def export(run: str | Path | Run, output: str | Path, *, format: Literal["hub", "llama"] = "hub") -> Export:
    """Write a run for others to use.

    Args:
        run: A run folder, a Hub name, or an opened run.
        output: The folder to write; new or empty.
        format: ``hub``: the run without its checkpoints, with a model card; ``unmask`` reads it anywhere. ``llama``: a
            causal run as a Llama with equal logits, which ``transformers`` reads without ``unmask``.

    Raises:
        Error: unknown format, a run that is no Llama, or an output that holds something.
    """
    if format not in FORMATS:
        raise Error(f"unknown format {format!r}.{nearest(format, FORMATS)} Choose from {', '.join(FORMATS)}.")
    opened = run if isinstance(run, Run) else Run.open(run)
    if format == "llama":
        check_llama(opened.name, opened.process, opened.recipe.backbone.name)
    folder = Path(output)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Error(f"{folder} is not an empty folder; give --output a new one.")
    opened.model("cpu")  # nobody is given a run that does not load
    partial = folder.absolute().with_name(f".{folder.absolute().name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        if format == "llama":
            _write_llama(opened, partial)
        else:
            _write_hub(opened, partial)
        public = _without_local_paths(opened.recipe)
        (partial / "README.md").write_text(model_card(opened, public, format, folder.absolute().name), "utf-8")
        os.replace(by_umask(partial), folder)  # a reader never sees half a folder
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return Export(
        path=folder,
        format=format,
        run=opened.name,
        process=opened.process.name,
        parameters=opened.manifest["parameters"],
        files=tuple(path.relative_to(folder).as_posix() for path in files),
        bytes=sum(path.stat().st_size for path in files),
    )


def check_llama(run: str, process: Any, backbone: str) -> None:
    """Raise Error if no Llama is the same function as a run.

    Args:
        run: Its name, for the message.
        process: Its process.
        backbone: The name of its network.
    """
    from unmask.models.registry import BACKBONES
    from unmask.models.transformer import Transformer

    if process.visibility != "causal":
        raise Error(
            f"run {run} is {process.name}: it attends to both sides, which no Llama does. Export it with --format hub."
        )
    if not issubclass(BACKBONES.get(backbone).model, Transformer):
        raise Error(f"run {run} has the backbone {backbone}, which is no Llama; use --format hub.")


def _write_hub(run: Run, folder: Path) -> None:
    for path in run.path.iterdir():
        if path.name in _PRIVATE or path.name.startswith(".") or path.suffix == ".partial":
            continue
        if path.is_dir():
            shutil.copytree(path, folder / path.name)
        else:
            shutil.copy(path, folder / path.name)
    public = _without_local_paths(run.recipe)
    (folder / RECIPE).write_text(public.to_yaml(), encoding="utf-8")
    names = {"corpus": _public_name(run.manifest["corpus"]), "tokenizer": _public_name(run.manifest["tokenizer"])}
    told = {key: value for key, value in run.manifest.items() if key != "corpus_at"}  # places on this machine
    write_json(folder / MANIFEST, {**told, **names})
    adopted = folder / "tokenizer" / "unmask_tokenizer.json"
    state = json.loads(adopted.read_text("utf-8"))
    adopted.write_text(json.dumps({**state, "name": _public_name(state["name"])}, indent=2) + "\n", "utf-8")


def _public_name(source: str) -> str:
    """Return a source's name without the folders of this machine."""
    return source if source.startswith("hf:") else Path(source).name or source


def _without_local_paths(recipe: Recipe) -> Recipe:
    data = recipe.data
    names = {
        "source": _public_name(data.source),
        "valid": _public_name(data.valid) if data.valid else None,
        "tokenizer": _public_name(data.tokenizer),
    }
    backbone = recipe.backbone
    entropy = str((backbone.model_extra or {}).get("entropy", ""))
    if entropy.startswith(ENTROPY_RUN):
        name = ENTROPY_RUN + _public_name(entropy.removeprefix(ENTROPY_RUN))
        backbone = backbone.model_copy(update={"entropy": name})
    return recipe.model_copy(update={"data": data.model_copy(update=names), "backbone": backbone})


def _write_llama(run: Run, folder: Path) -> None:
    from tokenizers.processors import TemplateProcessing
    from transformers import GenerationConfig, PreTrainedTokenizerFast

    from unmask.models.llama import to_llama

    ours = cast("Transformer", run.model("cpu"))
    tokenizer = run.tokenizer
    llama = to_llama(ours)
    ids = {"bos_token_id": tokenizer.bos_id, "eos_token_id": tokenizer.eos_id, "pad_token_id": tokenizer.pad_id}
    llama.config.update(ids)
    llama.generation_config = GenerationConfig(
        **ids,
        do_sample=True,
        max_length=ours.config.max_position_embeddings,
        suppress_tokens=[tokenizer.mask_id, tokenizer.bos_id, tokenizer.pad_id],  # no process predicts these
    )
    llama.save_pretrained(folder)
    theirs = PreTrainedTokenizerFast.from_pretrained(run.path / "tokenizer")
    bos = cast(str, theirs.bos_token)  # every text that the run has seen began with BOS
    theirs.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, tokenizer.bos_id)]
    )
    theirs.save_pretrained(folder)
    plain = json.loads((run.path / "tokenizer" / "tokenizer_config.json").read_text("utf-8"))
    plain |= {
        "model_max_length": ours.config.max_position_embeddings,
        "model_input_names": ["input_ids", "attention_mask"],  # generate() takes no others
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(plain, indent=2) + "\n", "utf-8")
