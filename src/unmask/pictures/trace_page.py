"""A trace as a page: one file that plays it, with nothing from elsewhere and every text as data, never as markup."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from unmask.data.visible import visible
from unmask.lines import counted
from unmask.pictures.timeline import Timeline
from unmask.sampling.trace import Trace


def to_html(trace: Trace, texts: list[Timeline], *, speed: int) -> str:
    """Render the page.

    Only this script and this style may run in it: its policy names their digests.

    Args:
        trace: What is shown.
        texts: Its timelines.
        speed: Steps a second at first.
    """
    folder = files("unmask.pictures") / "templates"
    page, style, script = (
        (folder / name).read_text(encoding="utf-8") for name in ("trace.html", "trace.css", "trace.js")
    )
    run, sampler = (visible(str(trace.header[name])) for name in ("run", "sampler"))
    longest = max(texts, key=lambda text: len(text.steps))
    cut = "" if trace.whole else " The trace is cut short."
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(page).render(
        title=f"{run or 'A run'} writes" if len(texts) == 1 else f"{run or 'A run'} writes {len(texts)} texts",
        about=(
            f"Sampler {sampler}, {counted(longest.steps[-1], 'step')}, recorded "
            f"{visible(str(trace.header['created']))}.{cut}"
        ),
        finished=[visible(text) for text in trace.texts()],
        content=_content(texts, longest, speed),
        style=Markup(style),
        script=Markup(script),
        style_hash=Markup(_digest(style)),
        script_hash=Markup(_digest(script)),
    )


def _content(texts: list[Timeline], longest: Timeline, speed: int) -> dict[str, Any]:
    places = [place for text in texts for place in text.places]
    return {
        "speed": speed,
        "frames": len(longest.steps),
        "steps": longest.steps,
        "guesses": any(moment.kind == "guess" for place in places for moment in place.moments),
        "most": max((place.calls or 0 for place in places), default=0),
        "blocks": any(moment.kind == "waiting" for place in places for moment in place.moments),
        "texts": [
            {
                "number": text.number,
                "steps": text.steps,
                "places": [
                    {
                        "space": place.space,
                        "breaks": place.breaks,
                        "indent": place.indent,
                        "calls": place.calls,
                        "moments": [(m.frame, m.kind, m.text, m.confidence) for m in place.moments],
                    }
                    for place in text.places
                ],
            }
            for text in texts
        ],
    }


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
