"""Give a run to others: as a folder that ``transformers`` reads alone, or as one that is ready for the Hub."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from unmask.api.public import public_manifest, public_name, public_recipe
from unmask.data.cache import aside, by_umask, writing
from unmask.errors import Error, nearest
from unmask.lines import counted
from unmask.models.families.registry import FAMILIES
from unmask.models.safetensors_file import stored_as
from unmask.result import Result
from unmask.training.calibration_file import (
    CALIBRATION,
    TOLD,
    calibrated_with,
    read_calibration,
    write_calibration,
)
from unmask.training.fingerprints import WEIGHTS, fingerprints, weights_fingerprint
from unmask.training.loaded_run import held
from unmask.training.run import MANIFEST, RECIPE, Run, write_json

if TYPE_CHECKING:
    from unmask.models.families.family import Family
    from unmask.models.network import Denoiser
    from unmask.models.transformer import Transformer

FORMATS = ("hub", "llama", "qwen2", "qwen3", "gpt2", "modernbert")
"""``hub``, and the families that ``transformers`` has a network of."""
DTYPES = ("auto", "fp32", "bf16", "int8")


@dataclass(frozen=True, repr=False)
class ExportResult(Result):
    """What was written.

    Attributes:
        path: The folder.
        format: ``hub``, which ``unmask`` reads, or a family, which ``transformers`` reads alone.
        run: The run's folder.
        name: Its name.
        process: The run's process.
        parameters: Parameters, tied ones once.
        files: The files, relative to the folder.
        bytes: Their size.
    """

    path: Path
    format: str
    run: str
    name: str
    process: str
    parameters: int
    files: tuple[str, ...]
    bytes: int

    def _facts(self) -> tuple[str, ...]:
        return (str(self.path), self.format, counted(self.parameters, "parameter"), counted(self.bytes, "byte"))


def export(
    run: str | Path | Run,
    output: str | Path,
    *,
    format: str = "hub",
    dtype: Literal["auto", "fp32", "bf16", "int8"] = "auto",
) -> ExportResult:
    """Write a run for others to use.

    Args:
        run: A run folder, a Hub name, or an opened run.
        output: The folder to write; new or empty.
        format: ``hub``: the run without its checkpoints, with a model card; ``unmask`` reads it anywhere. ``llama``: a
            causal run as a Llama with equal logits, which ``transformers`` reads without ``unmask``; ``qwen2``,
            ``qwen3``, ``gpt2`` and ``modernbert``: an imported run as the network that it was.
        dtype: What the weights are stored as, of format ``hub``; ``auto``: as the run has them.

    Raises:
        Error: unknown format or dtype, a run that is no such network, or an output that holds something.
    """
    if format not in FORMATS:
        raise Error(f"unknown format {format!r}.{nearest(format, FORMATS)} Choose from {', '.join(FORMATS)}.")
    if dtype not in DTYPES:
        raise Error(f"unknown dtype {dtype!r}.{nearest(dtype, DTYPES)} Choose from {', '.join(DTYPES)}.")
    if dtype != "auto" and format != "hub":
        raise Error(f"--dtype is for --format hub; a {format} is written in the type that it is computed in.")
    opened = held(run)
    if missing := [
        key for key in ("parameters", "corpus", "tokenizer", "corpus_fingerprint") if key not in opened.manifest
    ]:
        raise Error(f"{opened.path / MANIFEST} has no {missing[0]}; copy the run again, or train it again.")
    if format != "hub":
        check_native(opened.name, opened.process, opened.recipe.backbone.name, format)
    folder = Path(output)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Error(f"{folder} is not an empty folder; give --output a new one.")
    if folder.resolve().is_relative_to(opened.path.resolve()):
        raise Error(f"--output {folder} lies in the run's own folder; give one outside {opened.path}.")
    opened.model("cpu")  # nobody is given a run that does not load
    from unmask.api.card import model_card

    there = folder.is_dir()
    with writing(folder, "give another --output"):
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        partial = aside(folder / "export" if there else folder.absolute())
    try:
        if format != "hub":
            _write_native(opened, partial, FAMILIES.get(format))
        else:
            _write_hub(opened, partial, dtype)
        public = public_recipe(opened.recipe)
        (partial / "README.md").write_text(model_card(opened, public, format, folder.absolute().name), "utf-8")
        with writing(folder, "give another --output"):
            by_umask(partial)
            if there:  # it may be where the user stands, or a disk of its own; what makes it a run comes last
                for path in sorted(partial.iterdir(), key=lambda path: path.name == MANIFEST):
                    path.rename(folder / path.name)
            else:
                os.replace(partial, folder)  # a reader never sees half a folder
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return ExportResult(
        path=folder,
        format=format,
        run=str(opened.path),
        name=opened.name,
        process=opened.process.name,
        parameters=opened.manifest["parameters"],
        files=tuple(path.relative_to(folder).as_posix() for path in files),
        bytes=sum(path.stat().st_size for path in files),
    )


def check_native(run: str, process: Any, backbone: str, family: str) -> None:
    """Raise Error if no network of a family is the same function as a run.

    Args:
        run: Its name, for the message.
        process: Its process.
        backbone: The name of its network.
        family: The family.
    """
    from unmask.models.registry import BACKBONES
    from unmask.models.transformer import Transformer

    native = FAMILIES.get(family).native
    assert native is not None
    kind = native.model.partition("For")[0]
    if native.causal and process.visibility != "causal":
        raise Error(
            f"run {run} is {process.name}: it attends to both sides, which no {kind} does. Export it with --format hub."
        )
    if not native.causal and process.visibility != "bidirectional":
        raise Error(f"run {run} is {process.name}, and a {kind} attends to both sides. Export it with --format hub.")
    if not issubclass(BACKBONES.get(backbone).model, Transformer):
        raise Error(f"run {run} has the backbone {backbone}, which is no {kind}; use --format hub.")


def _stored(run: Run, dtype: str) -> Denoiser:
    """Return the network of a run as it is to be stored."""
    import torch

    from unmask.models.int8 import in_int8

    network = run.model("cpu")
    if dtype == "auto":
        return (
            network if run.stored_as != "bfloat16" else type(network).from_pretrained(run.path, small=True, mapped=True)
        )
    plain = type(network).from_pretrained(run.path, computed=torch.bfloat16 if dtype == "bf16" else torch.float32)
    return in_int8(plain) if dtype == "int8" else plain


def _write_hub(run: Run, folder: Path, dtype: str) -> None:
    """Write what was read: nothing is copied, so nothing goes along that lies in the folder or that a link leads to."""
    _stored(run, dtype).save_pretrained(folder)
    run.tokenizer.save(folder / "tokenizer")
    rows = "".join(json.dumps(row) + "\n" for row in run.metrics())
    (folder / "metrics.jsonl").write_text(rows, "utf-8")
    public = public_recipe(run.recipe)
    (folder / RECIPE).write_text(public.to_yaml(), encoding="utf-8")
    manifest = {**public_manifest(run.manifest), **fingerprints(folder)}
    if run.imported:
        manifest["imported"] = {**manifest["imported"], "dtype": stored_as(folder / WEIGHTS)}
    write_json(folder / MANIFEST, manifest)
    if (run.path / CALIBRATION).exists():
        told = calibrated_with(run.path, run.manifest.get("weights_fingerprint"))
        kept = read_calibration(run.path, run.manifest.get("weights_fingerprint"))
        write_calibration(folder, kept, weights_fingerprint(folder), {key: told[key] for key in TOLD if key in told})
    adopted = folder / "tokenizer" / "unmask_tokenizer.json"
    state = json.loads(adopted.read_text("utf-8"))
    adopted.write_text(json.dumps({**state, "name": public_name(state["name"])}, indent=2) + "\n", "utf-8")


def _write_native(run: Run, folder: Path, family: Family) -> None:
    from tokenizers.processors import TemplateProcessing
    from transformers import GenerationConfig, PreTrainedTokenizerFast

    from unmask.models.families.convert import to_native

    assert family.native is not None
    ours = cast("Transformer", run.model("cpu"))
    tokenizer = run.tokenizer
    network = to_native(ours, family)
    ids = {"bos_token_id": tokenizer.bos_id, "eos_token_id": tokenizer.eos_id, "pad_token_id": tokenizer.pad_id}
    network.config.update(ids)
    if family.native.causal:
        network.generation_config = GenerationConfig(
            **ids,
            do_sample=True,
            max_length=ours.config.max_position_embeddings,
            suppress_tokens=[tokenizer.mask_id, tokenizer.bos_id, tokenizer.pad_id],  # no process predicts these
        )
    else:
        network.config.update({"cls_token_id": tokenizer.bos_id, "sep_token_id": tokenizer.eos_id})
    network.save_pretrained(folder)
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
