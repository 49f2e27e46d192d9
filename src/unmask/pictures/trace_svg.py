"""A trace as an animated picture: one SVG without script or fonts of its own, which moves in an ``<img>`` as well.

Every word is an element that is seen between two frames; the browser's CSS animation says when. A word is stretched to
the cells that were kept for it, so that lines fit whatever font a reader has. Where motion is unwanted (the system's
setting) the finished text stands still.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape

from unmask.data.visible import visible
from unmask.pictures.timeline import Moment, Place, Timeline

COLUMNS = 64
"""Cells of a line."""
CELL, LINE, PAD = 9.0, 26.0, 18.0
HOLD = 3.0
"""Seconds for which the finished text stands."""
LIMITS = (0.2, 0.5, 0.8)
"""Between the shades of confidence, as in the terminal."""
STYLE = """
svg{font:15px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Noto Sans Mono",
"Noto Sans Devanagari","Nirmala UI","Kohinoor Devanagari",monospace}
text{white-space:pre}.p{fill:#fff;stroke:#d4d8de}.t{fill:#1b1f24}.g{fill:#6b7280}.n{fill:#6b7280;font-size:12px}.o{fill:#dfe3e8}.u{fill:#9aa2ad}
.h{fill:none;stroke:#1d4f91;stroke-width:1.5}.b{fill:#1d4f91}.c0{fill:#c9d8fb}.c1{fill:#dde3ee}.c2{fill:#f2e9b8}.c3{fill:#ffe16b}
@media(prefers-color-scheme:dark){.p{fill:#15181d;stroke:#343a43}.t{fill:#eceff3}.g,.n{fill:#9aa3b0}.o{fill:#2b3038}
.u{fill:#78818e}.h{stroke:#8ab4f8}.b{fill:#8ab4f8}.c0{fill:#27407c}.c1{fill:#3c4454}.c2{fill:#5c5326}.c3{fill:#7d6a0c}}
"""


@dataclass(frozen=True)
class _Spot:
    """Where a place stands."""

    x: float
    y: float
    place: Place


def to_svg(texts: list[Timeline], *, name: str, speed: float) -> str:
    """Return the picture.

    Args:
        texts: What is shown, one below the other.
        name: Of the run, for the title.
        speed: Steps a second.
    """
    frames = max(len(text.steps) for text in texts)
    seconds = frames / speed + HOLD
    most = max((place.calls or 0 for text in texts for place in text.places), default=0)
    spans: set[tuple[int, int]] = set()
    body: list[str] = []
    y = PAD
    for text in texts:
        spots, bottom = _laid_out(text.places, y + (LINE if len(texts) > 1 else 0))
        if len(texts) > 1:
            body.append(f'<text class="n" x="{PAD:g}" y="{y + 15:g}">text {text.number + 1}</text>')
        for spot in spots:
            body += _drawn(spot, frames, spans) + _spent(spot, most, frames, spans)
        y = bottom + LINE / 2
    body += _foot(texts, frames, seconds, y, spans)
    if most:
        y += 18
        told = f"line below a word: network calls that it stood open in, up to {most}"
        body.append(f'<text class="n" x="{PAD:g}" y="{y + 24:g}">{told}</text>')
    width, height = 2 * PAD + COLUMNS * CELL, y + 24 + PAD
    style = STYLE + _animations(spans, frames, seconds, speed)
    told = escape(visible(f"A text being written step by step{' by ' + name if name else ''}"))
    last = escape(" ".join(_said(text) for text in texts))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-labelledby="n d"><title id="n">{told}</title><desc id="d">{last}</desc>'
        f'<style>{style}</style><rect class="p" x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="10"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _said(text: Timeline) -> str:
    """Return the finished text."""
    said = ""
    for place in text.places:
        last = place.moments[-1]
        if last.kind in ("word", "given"):
            said += " " * place.space + last.text + " " * bool(place.breaks)
    return " ".join(said.split())


def _laid_out(places: tuple[Place, ...], top: float) -> tuple[list[_Spot], float]:
    """Break places into lines, between words where that can be."""
    spots: list[_Spot] = []
    column, y, number = 0, top, 0
    while number < len(places):
        end = number + 1  # the places of one word stay together
        while end < len(places) and not (
            places[end].space or places[end - 1].breaks or _ends_in_space(places[end - 1])
        ):
            end += 1
        word = places[number:end]
        size = sum(place.space * bool(column) + place.width for place in word)
        if column and column + size > COLUMNS and size <= COLUMNS:
            column, y = 0, y + LINE
        for place in word:
            column += place.space if column else 0
            if column and column + place.width > COLUMNS:
                column, y = 0, y + LINE
            spots.append(_Spot(PAD + column * CELL, y, place))
            column += place.width
            if place.breaks:
                column, y = place.indent, y + LINE * (1 + min(place.breaks - 1, 1) / 2)
        number = end
    return spots, y + LINE


def _ends_in_space(place: Place) -> bool:
    return place.moments[-1].text.endswith(" ")


def _drawn(spot: _Spot, frames: int, spans: set[tuple[int, int]]) -> list[str]:
    """Return the elements of a place: what it shows, from when to when."""
    drawn = []
    ends = [moment.frame for moment in spot.place.moments[1:]] + [frames]
    for moment, end in zip(spot.place.moments, ends, strict=True):
        if moment.kind == "gone":
            continue
        seen = _seen(moment.frame, end, frames, spans)
        if moment.kind in ("open", "waiting"):  # what a later block writes is a line
            high, y = (12, spot.y + 5) if moment.kind == "open" else (2, spot.y + 10)
            size = f'width="{spot.place.width * CELL - 2:g}" height="{high}" rx="{min(3, high // 2)}"'
            drawn.append(f'<rect class="o{seen}" x="{spot.x + 1:g}" y="{y:g}" {size}/>')
            continue
        drawn += _word(spot, moment, end, frames, seen, spans)
    return drawn


def _word(spot: _Spot, moment: Moment, end: int, frames: int, seen: str, spans: set[tuple[int, int]]) -> list[str]:
    """Return a word, its shade, and the frame around it at the step that decides it."""
    cells = spot.place.width if not moment.text.isascii() else min(spot.place.width, len(moment.text))
    x, y, wide = spot.x, spot.y, f"{cells * CELL:g}"
    drawn = []
    if moment.kind == "word":
        shade = sum(moment.confidence >= limit for limit in LIMITS)
        box = f'x="{x:g}" y="{y:g}" width="{wide}" height="22" rx="3"'
        drawn.append(f'<rect class="c{shade}{seen}" {box}/>')
        if moment.frame:
            flash = _seen(moment.frame, min(end, moment.frame + 1), frames, spans, always=True)
            drawn.append(f'<rect class="h{flash}" {box}/>')
    if moment.text.strip():
        ink = {"word": "t", "given": "g", "guess": "u"}[moment.kind]
        fit = f'textLength="{wide}" lengthAdjust="spacingAndGlyphs"'
        drawn.append(f'<text class="{ink}{seen}" x="{x:g}" y="{y + 16:g}" {fit}>{escape(moment.text)}</text>')
    return drawn


def _spent(spot: _Spot, most: int, frames: int, spans: set[tuple[int, int]]) -> list[str]:
    """Return the line below a finished word that is as long as what it cost, of the most that one did."""
    last, calls = spot.place.moments[-1], spot.place.calls
    if last.kind != "word" or not calls:
        return []
    size = f'width="{spot.place.width * CELL * calls / most:.1f}" height="2"'
    return [f'<rect class="b{_seen(last.frame, frames, frames, spans)}" x="{spot.x:g}" y="{spot.y + 22:g}" {size}/>']


def _seen(start: int, end: int, frames: int, spans: set[tuple[int, int]], always: bool = False) -> str:
    """Return the class of what is seen between two frames; nothing for what is always there."""
    if start == 0 and end == frames and not always:
        return ""
    spans.add((start, end))
    return f" v{start}-{end}"


def _animations(spans: set[tuple[int, int]], frames: int, seconds: float, speed: float) -> str:
    """Return the rules that show and hide; without motion only what the last frame shows is there."""
    rules = []
    for start, end in sorted(spans):
        low, high = (f"{100 * at / speed / seconds:.2f}%" for at in (start, end))
        name = f"v{start}-{end}"
        first = "" if start == 0 else "0%{opacity:0}"
        after = "" if end == frames else f"{high}{{opacity:0}}"
        ends = "" if end == frames else "opacity:0;"
        rules.append(
            f".{name}{{{ends}animation:{name} {seconds:g}s step-end infinite}}"
            f"@keyframes {name}{{{first}{low}{{opacity:1}}{after}}}"
        )
    rules.append("@media(prefers-reduced-motion:reduce){*{animation:none!important}}\n")
    return "\n".join(rules)


def _foot(texts: list[Timeline], frames: int, seconds: float, y: float, spans: set[tuple[int, int]]) -> list[str]:
    """Return the number of the step, the bar that grows with it, and the legend."""
    long = max(texts, key=lambda text: len(text.steps))
    wide = COLUMNS * CELL
    drawn = [f'<rect class="o" x="{PAD:g}" y="{y:g}" width="{wide:g}" height="4" rx="2"/>']
    for number, step in enumerate(long.steps):
        seen = _seen(number, number + 1 if number + 1 < frames else frames, frames, spans)
        part = wide * number / max(1, frames - 1)
        drawn.append(f'<rect class="b{seen}" x="{PAD:g}" y="{y:g}" width="{part:g}" height="4" rx="2"/>')
        drawn.append(f'<text class="n{seen}" x="{PAD:g}" y="{y + 24:g}">step {step} of {long.steps[-1]}</text>')
    x, line = PAD + 108, y + 24
    for sign, label in (("o", "open"), ("h", "just decided"), *_SHADES):
        if sign == "c0":
            drawn.append(f'<text class="n" x="{x:g}" y="{line:g}">confidence</text>')
            x += 82
        drawn.append(f'<rect class="{sign}" x="{x:g}" y="{line - 10:g}" width="14" height="12" rx="3"/>')
        drawn.append(f'<text class="n" x="{x + 19:g}" y="{line:g}">{escape(label)}</text>')
        x += 19 + 7.3 * len(label) + 12
    return drawn


_SHADES = (("c0", "<.2"), ("c1", "<.5"), ("c2", "<.8"), ("c3", "\u2265.8"))
