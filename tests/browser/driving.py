"""The served page, driven: to write, to look at a step, to drop a trace, and what is then seen."""

from __future__ import annotations

import json
import re
from typing import Any

READ = """canvas => [...canvas.childNodes].map((node) =>
    node.nodeName === "BR" ? "\\n" : node.nodeType === 3 ? node.data
    : [...node.querySelectorAll(".now")].map((one) => one.textContent).join("")).join("")"""
VOCABULARY = {"pad": 0, "bos": 1, "eos": 2, "mask": 3}


def write(page: Any, prompt: str) -> None:
    """Have a prompt written on, and wait for its last step."""
    page.get_by_label("A beginning").fill(prompt)
    with page.expect_response("**/v1/completions"):
        page.get_by_role("button", name="Write", exact=True).click()
    page.locator("body:not(.playing) .written").first.wait_for(timeout=60_000)


def text(page: Any, pane: int = 0) -> str:
    """What is read on a side, as it is read."""
    return str(page.locator(".canvas").nth(pane).evaluate(READ))


def kinds(page: Any) -> list[str]:
    """What each place is: open, waiting, guess, written, given or gone."""
    return [
        str(name).split()[1] for name in page.locator(".place").evaluate_all("all => all.map((one) => one.className)")
    ]


def at(page: Any, step: int) -> None:
    """Go to a step."""
    page.locator("#step").fill(str(step))


def calm(watched: Any) -> bool:
    """Whether the page fits, asks nobody else and complains of nothing."""
    outside = [url for url in watched.requests if not re.match(r"http://(127\.0\.0\.1|localhost):\d+/|blob:", url)]
    return watched.fits() and outside == [] and watched.complaints == []


def trace(strings: dict[str, Any], sets: list[list[list[Any]]], length: int, **header: Any) -> str:
    """A trace of one text, from the texts of its tokens and what each step set."""
    first = {"format": 1, "kind": "unmask-trace", "sampler": "confidence", "run": "told", "vocabulary": VOCABULARY}
    first |= {"tokenizer": {"name": "x", "fingerprint": "0"}, "created": "2026-11-30"}
    first |= {"requests": [{"length": length, "index": 0, "settings": {}}], **header}
    rows: list[dict[str, Any]] = [
        {"rows": [{"request": 0, "step": n, "set": s, "length": length}]} for n, s in enumerate(sets)
    ]
    rows[0]["strings"] = strings
    return "".join(json.dumps(line) + "\n" for line in [first, *rows, {"end": len(rows)}])


def drop(page: Any, content: str, name: str = "t.jsonl") -> None:
    """Drop a file on the page, as a mouse does."""
    page.evaluate(
        """([content, name]) => {
            const files = new DataTransfer();
            files.items.add(new File([content], name));
            const how = { dataTransfer: files, bubbles: true, cancelable: true };
            for (const type of ["dragover", "drop"]) document.body.dispatchEvent(new DragEvent(type, how));
        }""",
        [content, name],
    )
