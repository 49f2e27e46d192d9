"""``unmask data``: look at a corpus, bring one here, change its format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from unmask.cli.console import note, print_json, say
from unmask.data.named import NAMED
from unmask.lines import counted, shell, visible

data_app = typer.Typer(no_args_is_help=True, help="Look at a corpus, bring one here, or change its format.")

_SOURCE = (
    "pydocs, box-stories, a file, folder or glob of .txt .jsonl .jsonl.gz .parquet .npy, notes, papers or code, "
    "hf:owner/name[:config][@split], or several with commas."
)
_JSON = "Print one JSON object on stdout."


@data_app.command("stats")
def stats(
    source: Annotated[str, typer.Argument(help=_SOURCE)],
    tokenizer: Annotated[
        str | None, typer.Option(help="Measure a tokenizer too: bytes, bpe, hf:owner/name, a folder or a run.")
    ] = None,
    vocab_size: Annotated[int, typer.Option(help="Vocabulary for bpe.")] = 4096,
    balance: Annotated[
        bool, typer.Option("--balance", help="Train bpe on words of each script as often as of every other.")
    ] = False,
    valid: Annotated[str | None, typer.Option(help="A source that is the validation split.")] = None,
    nfc: Annotated[bool, typer.Option("--nfc", help="Normalise to NFC.")] = False,
    text_field: Annotated[str, typer.Option(help="Field that holds the text.")] = "text",
    binary: Annotated[bool, typer.Option("--binary", help="Read files of any kind as bytes.")] = False,
    json: Annotated[bool, typer.Option("--json", help=_JSON)] = False,
) -> None:
    """Count a corpus: documents and bytes per split, scripts and languages, characters that are odd or broken."""
    from unmask.api.data import data_stats

    note(f"reading {source} ...")
    found = data_stats(
        source,
        tokenizer=tokenizer,
        vocab_size=vocab_size,
        balance=balance,
        valid=valid,
        normalize="NFC" if nfc else None,
        text_field=text_field,
        binary=binary,
    )
    for text in found.notes:
        note(f"note: {text}")
    if json:
        print_json(found.to_dict())
        return
    corpus = found.corpus
    say(f"source       {corpus['source']}")
    say(f"fingerprint  {corpus['fingerprint']}")
    say(f"{'split':<9}{'documents':>12}{'bytes':>16}{'characters':>16}")
    for name, counts in [*corpus["splits"].items(), ("all", corpus)]:
        say(f"{name:<9}{counts['documents']:>12,}{counts['bytes']:>16,}{counts['characters']:>16,}")
    dropped = corpus["dropped"]
    say(
        f"mean document {corpus['mean_document_bytes']:,.0f} bytes; "
        f"dropped {dropped['duplicates']:,} duplicates, {dropped['empty']:,} empty"
    )
    if found.scripts:
        _say_scripts(found.scripts)
    if found.tokenizer:
        figures = found.tokenizer
        say(
            f"tokenizer {figures['name']} ({figures['fingerprint']}), vocabulary {figures['vocab_size']:,}: "
            f"{figures['bytes_per_token']:.2f} bytes a token on the {figures['split']} split"
        )
        for script, row in figures.get("fertility", {}).items():
            say(
                f"  {script:<11}{row['tokens_per_cluster']:>6.2f} tokens a letter, {row['tokens_per_byte']:.2f} a byte"
                f"  ({counted(row['tokens'], 'token')})"
            )
    note(f"next: unmask train nano-masked -o data.source={shell(source)} --dry-run")


def _say_scripts(found: dict[str, Any]) -> None:
    """Say what a corpus is written in, and what is odd in it."""
    shares = ", ".join(f"{script} {share:.1%}" for script, share in found["share"].items() if share)
    say(f"scripts      {shares} of {found['clusters']:,} letters (grapheme clusters)")
    languages = ", ".join(f"{name} {count:,}" for name, count in found["languages"].items() if count)
    if languages:
        rates = ", ".join(f"{by} {rate:.3f}" for by, rate in found["switch_rate"].items() if rate is not None)
        say(f"words        {languages}; mixed within {found['words']['mixed']:,}")
        say(f"mixing       CMI {found['cmi']:.1f}; switches a word: {rates}")
    broken = found["broken"]
    shown = " ".join(visible(cluster) for cluster in broken["most"])
    say(f"broken       {broken['clusters']:,} letters ({broken['share']:.3%}) {shown}".rstrip())
    for name in ("invisible", "odd"):
        counts = ", ".join(f"{kind} {count:,}" for kind, count in found[name].items())
        say(f"{name:<13}{counts or 'none'}")
    if found["not_nfc"]:
        say(f"not NFC      {counted(found['not_nfc'], 'document')}")


@data_app.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help=f"{', '.join(NAMED)}, or any source.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a corpus that lies there.")] = False,
    json: Annotated[bool, typer.Option("--json", help=_JSON)] = False,
) -> None:
    """Bring a public corpus into a folder, as train and valid .jsonl.gz with a manifest of hashes."""
    from unmask.api.data import data_fetch

    note(f"fetching {name} ...")
    fetched = data_fetch(name, output, force=force)
    if json:
        print_json(fetched.to_dict())
        return
    for file, facts in fetched.manifest["files"].items():
        say(f"{output / file}  {counted(facts['documents'], 'document')}  sha256 {facts['sha256']}")
    here = f"-o data.source={shell(output / 'train.jsonl.gz')} -o data.valid={shell(output / 'valid.jsonl.gz')}"
    note(f"next: unmask train nano-masked {here}")


@data_app.command("convert")
def convert(
    source: Annotated[str, typer.Argument(help=_SOURCE)],
    output: Annotated[Path, typer.Argument(help="File to write; its suffix decides the format.")],
    text_field: Annotated[str, typer.Option(help="Field that holds the text in the source.")] = "text",
    binary: Annotated[
        bool, typer.Option("--binary", help="Copy bytes unread: any file to a .npy, or a .npy to any file.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that lies there.")] = False,
    json: Annotated[bool, typer.Option("--json", help=_JSON)] = False,
) -> None:
    """Write a corpus as one .txt, .jsonl, .jsonl.gz, .parquet or .npy (uint8) file."""
    from unmask.api.data import data_convert

    converted = data_convert(source, output, text_field=text_field, binary=binary, force=force)
    if json:
        print_json(converted.to_dict())
    else:
        say(f"{converted.output}  {counted(converted.documents, 'document')}  {counted(converted.bytes, 'byte')}")
