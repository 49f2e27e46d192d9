"""``unmask index``: search a corpus by meaning or by substring, through an index that is mostly left on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from unmask.cli.checks import Parameters, refused_by
from unmask.cli.console import note, print_json, say
from unmask.cli.index_print import around, cell, print_change, print_found, print_rows
from unmask.lines import counted, shell
from unmask.progress_line import ProgressLine

index_app = typer.Typer(
    no_args_is_help=True, help="Search a corpus by meaning or by substring: build, add, merge, link, ask."
)

_SOURCE = (
    "pydocs, box-stories, a file, folder or glob of .txt .jsonl .jsonl.gz .parquet .npy, hf:owner/name, "
    "or several with commas."
)
Source = Annotated[str, typer.Argument(metavar="CORPUS", help=_SOURCE)]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of an index.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder of the new index.")]
Embedder = Annotated[
    str | None, typer.Option(help="wordllama-64, -128, -256, hf:owner/name, run:DIR. Default: as it was built.")
]
MaxTexts = Annotated[int | None, typer.Option("--max-texts", help="Stop at so many texts.")]
Split = Annotated[str, typer.Option(help="all, or train | valid | judge as unmask train splits.")]
TextField = Annotated[str, typer.Option(help="Field that holds the text.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an index that lies there.")]
Router = Annotated[str | None, typer.Option(help="Who says which shelves are opened. Default: the index's.")]
Workers = Annotated[int | None, typer.Option("--workers", help="So many at work. Default: 1; on Ray all its CPUs.")]
On = Annotated[str, typer.Option("--on", help="processes of this machine, or ray: pip install 'unmask[ray]'.")]
Address = Annotated[
    str | None, typer.Option("--address", help="Ray cluster, such as auto; default a Ray on this machine.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@index_app.command("build")
def build(
    source: Source,
    output: Output,
    shelves: Annotated[int | None, typer.Option(help="Default: about the root of the number of texts.")] = None,
    partition: Annotated[str, typer.Option(help="How texts are put on shelves.")] = "kmeans",
    embedder: Annotated[
        str | None, typer.Option(help="wordllama-64, -128, -256 (the default), hf:owner/name, run:DIR.")
    ] = None,
    like: Annotated[
        Path | None, typer.Option(help="Use this index's shelves and settings, so that the two can be merged.")
    ] = None,
    router: Annotated[str, typer.Option(help="Who chooses the shelves that a query opens.")] = "moments",
    split: Split = "all",
    part: Annotated[
        str | None, typer.Option(metavar="I/N", help="The I-th of N parts that share no document. Default: all.")
    ] = None,
    max_texts: MaxTexts = None,
    passage: Annotated[int, typer.Option(help="Bytes of a text at most; longer documents are cut; 0: never.")] = 1024,
    storage: Annotated[str, typer.Option(help="How vectors are kept: int8 | float16 | float32.")] = "int8",
    core: Annotated[str, typer.Option(help="How the resident vectors are kept: float16 | int8.")] = "float16",
    grams: Annotated[int, typer.Option(help="n-grams of grep's bitmaps: 2 | 3 | 4; 0: no bitmaps.")] = 4,
    seed: Annotated[int, typer.Option(help="Of the partition.")] = 0,
    text_field: TextField = "text",
    workers: Workers = None,
    on: On = "processes",
    address: Address = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Read a corpus once, embed it, and put its texts on shelves."""
    from unmask.api.index import build_index

    with ProgressLine() as line:
        built = build_index(
            source,
            output,
            shelves=shelves,
            partition=partition,
            router=router,
            embedder=embedder,
            like=like,
            split=split,
            part=part,
            max_texts=max_texts,
            passage=passage,
            storage=storage,
            core=core,
            grams=grams,
            seed=seed,
            text_field=text_field,
            workers=workers,
            on=on,
            address=address,
            force=force,
            say=note,
            progress=line,
        )
    print_change(built.to_dict(), json)
    _tell_next(output)


@index_app.command("add")
def add(
    index: Folder,
    source: Source,
    split: Split = "all",
    max_texts: MaxTexts = None,
    embedder: Embedder = None,
    text_field: TextField = "text",
    json: Json = False,
) -> None:
    """Add the texts of a corpus to an index; what it holds already is left out."""
    from unmask.api.index import add_texts

    with ProgressLine() as line:
        added = add_texts(
            index,
            source,
            split=split,
            max_texts=max_texts,
            embedder=embedder,
            text_field=text_field,
            say=note,
            progress=line,
        )
    print_change(added.to_dict(), json)
    _tell_next(index)


@index_app.command("merge")
def merge(
    indexes: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Indexes with the same shelves.")],
    output: Output,
    embedder: Embedder = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write indexes as one; a single one is written anew without the seams that adding leaves."""
    from unmask.api.index import merge_indexes

    with ProgressLine() as line:
        merged = merge_indexes(indexes, output, embedder=embedder, force=force, progress=line)
    print_change(merged.to_dict(), json)
    _tell_next(output)


@index_app.command("link")
def link(
    indexes: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Indexes with the same shelves.")],
    output: Output,
    embedder: Embedder = None,
    workers: Workers = None,
    on: On = "processes",
    address: Address = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Search indexes as one where they lie; they must share no document and stay in their places."""
    from unmask.api.index import link_indexes

    with ProgressLine() as line:
        linked = link_indexes(
            indexes,
            output,
            embedder=embedder,
            workers=workers,
            on=on,
            address=address,
            force=force,
            progress=line,
        )
    print_change(linked.to_dict(), json)
    _tell_next(output)


def _tell_next(folder: Path) -> None:
    note(f"next: unmask index search {shell(folder)} QUERY")


def _refuse(given: Parameters) -> None:
    from unmask.roots.search.budget import candidates

    candidates(given["rerank"], given["rerank_of"], given["k"], given["exact"])


@index_app.command("search")
@refused_by(_refuse)
def search(
    index: Folder,
    query: Annotated[str, typer.Argument(help="Words.")],
    k: Annotated[int, typer.Option("--k", "-k", help="How many texts.")] = 10,
    open_share: Annotated[
        float | None, typer.Option("--open", help="Share of the texts to read. Default: 0.1, 1,024 texts at least.")
    ] = None,
    most_bytes: Annotated[int | None, typer.Option("--bytes", help="Bytes of vectors to read.")] = None,
    recall: Annotated[
        float | None, typer.Option("--recall", help="Share of the k best to find, on average; k up to 200.")
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Read until nothing better can be left.")] = False,
    least: Annotated[float | None, typer.Option("--least", help="Smallest score of a result.")] = None,
    router: Router = None,
    embedder: Embedder = None,
    rerank: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Order the first ones again, by surprisal | energy | bm25 beside meaning."),
    ] = None,
    rerank_of: Annotated[
        int | None, typer.Option("--rerank-of", metavar="N", help="How many. Default: 50, and no fewer than 5 k.")
    ] = None,
    workers: Workers = None,
    on: On = "processes",
    address: Address = None,
    json: Json = False,
) -> None:
    """Find the texts nearest in meaning."""
    from unmask.api.index_search import search_index

    found = search_index(
        index,
        query,
        k=k,
        open=open_share,
        bytes=most_bytes,
        recall=recall,
        exact=exact,
        least=least,
        router=router,
        embedder=embedder,
        rerank=rerank,
        rerank_of=rerank_of,
        workers=workers,
        on=on,
        address=address,
    )
    if json:
        print_json(found.to_dict())
        return
    print_found(found)


@index_app.command("grep")
def grep(
    index: Folder,
    pattern: Annotated[str, typer.Argument(help="Text to find, byte for byte.")],
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many texts to show; all are counted.")] = 20,
    json: Json = False,
) -> None:
    """Find every text that holds a pattern, reading only shelves that may hold it."""
    from unmask.api.index_search import grep_index

    found = grep_index(index, pattern, limit=limit)
    if json:
        print_json(found.to_dict())
        return
    for hit in found.results:
        say(f"{hit.where}  {around(hit.text, hit.offset, pattern)}")
    share = 1 - found.bytes_read / max(found.bytes, 1)
    note(
        f"{found.matches:,} of {counted(found.texts, 'text')}; read {found.opened_shelves} of "
        f"{counted(found.shelves, 'shelf', 'shelves')}, "
        f"{found.bytes_read:,} of {counted(found.bytes, 'byte')} ({share:.0%} skipped)."
    )


@index_app.command("stats")
def stats(index: Folder, json: Json = False) -> None:
    """Say what an index holds: what is resident, what a query reads, what must lie elsewhere."""
    from unmask.api.index_search import index_stats

    found = index_stats(index).to_dict()
    if json:
        print_json(found)
        return
    for section, values in found.items():
        if isinstance(values, Mapping):
            say(section.replace("_", " "))
            for name, value in values.items():
                say(f"  {name.replace('_', ' '):<28}{cell(value):>20}")
        else:
            say(f"{section.replace('_', ' '):<30}{cell(values):>20}")


@index_app.command("bench")
def bench(
    index: Folder,
    queries: Annotated[int, typer.Option(help="Texts taken as queries; none finds its own document.")] = 200,
    k: Annotated[int, typer.Option("--k", "-k", help="Neighbours.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the choice of queries.")] = 0,
    embedder: Embedder = None,
    json: Json = False,
) -> None:
    """Measure recall against reading everything, and the time beside brute force and, if installed, faiss."""
    from unmask.api.index_bench import bench_index

    found = bench_index(index, queries=queries, k=k, seed=seed, embedder=embedder, say=note).to_dict()
    if json:
        print_json(found)
        return
    print_rows(found["recall"])
    print_rows(found["latency"])
    print_rows(found["storage"])
