"""Write a recorded trace as a page to play, or as an animated picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unmask.api.byte_files import write_bytes
from unmask.errors import Error
from unmask.lines import counted
from unmask.result import Result

SPEED = 6
"""Steps a second."""


@dataclass(frozen=True, repr=False)
class DrawTraceResult(Result):
    """A page or a picture of a trace.

    Attributes:
        path: The file.
        texts: The finished texts.
        frames: Frames that are shown.
        whole: False if the trace stops before its end.
        bytes: Size of the file.
    """

    path: Path
    texts: list[str]
    frames: int
    whole: bool
    bytes: int

    def _facts(self) -> tuple[str, ...]:
        return (str(self.path), counted(self.frames, "frame"), f"{self.bytes:,} bytes")


def draw_trace(trace: str | Path, output: str | Path) -> DrawTraceResult:
    """Write a trace as a page (``.html``) or as an animated picture (``.svg``).

    Both are one file that loads nothing. The page has a slider of steps, pause and speed; the picture moves wherever an
    image may stand, also where scripts may not run.

    Args:
        trace: A file that ``sample(..., trace=FILE)`` wrote.
        output: The new file; its name says what it becomes. A file that lies there is replaced.

    Raises:
        Error: no such trace, a damaged one, another kind of file asked for, or one that cannot be written.
    """
    output = Path(output)
    kind = output.suffix.lower()
    if kind not in (".html", ".svg"):
        raise Error(f"a trace is drawn as .html (a page) or .svg (an animated picture); {output} is neither.")
    from unmask.pictures.timeline import timelines
    from unmask.pictures.trace_page import to_html
    from unmask.pictures.trace_svg import to_svg
    from unmask.sampling.trace import read_trace

    read = read_trace(trace)
    texts = timelines(read)
    if kind == ".html":
        drawn = to_html(read, texts, speed=SPEED)
    else:
        drawn = to_svg(texts, name=str(read.header["run"]), speed=SPEED)
    data = drawn.encode()
    write_bytes(data, output)
    return DrawTraceResult(output, read.texts(), len(read.frames), read.whole, len(data))
