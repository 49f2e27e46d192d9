"""Other servers of the same kind of network, as their users start them: what each is given, and how it is asked.

``transformers serve`` has the causal run itself, exported as a Llama: equal weights. dfastllm loads what
``AutoModelForCausalLM`` reads, and no masked run of ours is that; it is given a BERT of as many parameters, fresh.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.lib.server_process import ServerProcess
from unmask.api.export import export
from unmask.errors import Error
from unmask.training.run import Run

DFASTLLM = "dfastllm"


@dataclass(frozen=True)
class Peer:
    """A server beside ours.

    Attributes:
        name: How tables call it.
        arguments: What ``python`` is given to start it.
        model: What requests call its model.
        streams: Whether it shows text as it is written.
        path: Folders of its modules.
        note: What a reader has to know.
    """

    name: str
    arguments: tuple[str, ...]
    model: str
    streams: bool
    path: tuple[Path, ...]
    note: str

    def body(self, prompt: str, tokens: int, seed: int) -> bytes:
        """Return a request for a text."""
        told = {"model": self.model, "prompt": prompt, "max_tokens": tokens, "seed": seed, "temperature": 1.0}
        return json.dumps({**told, "stream": self.streams}).encode()

    def start(self, first: bytes) -> ServerProcess:
        """Start it. Errors: as of a server's process."""
        return ServerProcess(self.name, self.arguments, first, self.path)


def transformers_serve(run: Run, folder: Path, batching: bool) -> Peer:
    """Return ``transformers serve`` with an exported causal run, as it comes or with its continuous batching."""
    if not folder.is_dir():
        export(run, folder, format="llama")
    name, more = (
        ("transformers serve, batching", ("--continuous-batching",)) if batching else ("transformers serve", ())
    )
    start = "from transformers.cli.transformers import main; main()"  # what its command does
    arguments = ("-c", start, "serve", str(folder), "--port", "PORT", "--host", "127.0.0.1")
    note = (
        f"{name}: the exported causal run, equal weights; its seeds are global, so texts of clients that share it mix"
    )
    return Peer(name, (*arguments, "--device", "cpu", *more), str(folder), True, (), note)


def dfastllm(run: Run, folder: Path, peers: Path) -> Peer:
    """Return dfastllm with a BERT of a masked run's size."""
    parameters = write_bert(run, folder)
    arguments = ("-m", "dfastllm.entrypoints.openai.api_server", "--model", str(folder), "--port", "PORT")
    more = ("--host", "127.0.0.1", "--rate-limit-requests", "1000000", "--max-model-len", str(run.recipe.data.length))
    note = (
        f"dfastllm: a BertForMaskedLM of {parameters:,} parameters (ours {run.manifest['parameters']:,}) with fresh "
        "weights, as it loads no masked run of ours; its defaults (64 steps at most, four requests at once) but its "
        "limit of rates; it shows no text before the end"
    )
    return Peer(DFASTLLM, (*arguments, *more), str(folder), False, (peers.resolve(),), note)


def write_bert(run: Run, folder: Path) -> int:
    """Write a BERT of a run's sizes with fresh weights, and the run's tokenizer; return its parameters.

    Raises:
        Error: the run's network is no transformer.
    """
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    sizes: dict[str, Any] = run.recipe.backbone.model_extra or {}
    if run.recipe.backbone.name != "transformer":
        raise Error(f"run {run.name} has the backbone {run.recipe.backbone.name}; no BERT is of its size.")
    network = BertForMaskedLM(
        BertConfig(
            vocab_size=run.tokenizer.vocab_size,
            hidden_size=sizes["hidden_size"],
            num_hidden_layers=sizes["num_hidden_layers"],
            num_attention_heads=sizes["num_attention_heads"],
            intermediate_size=sizes["intermediate_size"] * 3 // 2,  # two matrices are as large as SwiGLU's three
            max_position_embeddings=max(512, run.recipe.data.length),
            pad_token_id=run.tokenizer.pad_id,
        )
    )
    network.save_pretrained(folder)
    words = PreTrainedTokenizerFast.from_pretrained(run.path / "tokenizer")
    ids = {"bos_token": "bos_id", "eos_token": "eos_id", "pad_token": "pad_id", "mask_token": "mask_id"}
    words.add_special_tokens(
        {name: words.convert_ids_to_tokens(getattr(run.tokenizer, own)) for name, own in ids.items()}
    )
    words.model_input_names = ["input_ids", "attention_mask"]
    words.save_pretrained(folder)
    return int(network.num_parameters())


def of_run(run: Run, folder: Path, peers: Path | None) -> tuple[list[Peer], list[str]]:
    """Return the peers that can stand beside a run, and which are left out, and why.

    Args:
        run: Ours.
        folder: Where what they load is written.
        peers: The folder that packages of PyPI were installed into.
    """
    if peers is None:
        return [], []
    if run.process.name == "causal":
        if find_spec("openai") is None or find_spec("fastapi") is None:
            return [], ["transformers serve: left out, it needs fastapi and openai"]
        return [transformers_serve(run, folder / "llama", batching) for batching in (False, True)], []
    if run.process.name == "masked":
        if not (peers / DFASTLLM).is_dir():
            return [], ["dfastllm is not in the folder: left out"]
        return [dfastllm(run, folder / "bert", peers)], []
    return [], []
