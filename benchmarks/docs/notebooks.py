"""A notebook as a page: its words, its code, and what the code printed and drew."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any


def as_page(notebook: Path) -> str:
    """Return a notebook as Markdown, with its pictures inside."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    parts = [_cell(cell) for cell in cells]
    parts.insert(1, f"[Download this notebook]({notebook.name}){{ download }}")
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


def _cell(cell: dict[str, Any]) -> str:
    source = "".join(cell["source"])
    if cell["cell_type"] != "code":
        return source
    shown = [_output(output) for output in cell["outputs"]]
    return "\n\n".join([f"```python\n{source}\n```", *(text for text in shown if text)])


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if drawn := "".join(data.get("image/svg+xml", "")):
        return f'<figure>{re.sub(r"<[?!][^>]*>", "", drawn).strip()}</figure>'
    if drawn := "".join(data.get("image/png", "")):
        base64.b64decode(drawn)
        return f'<figure><img alt="What the code above draws" src="data:image/png;base64,{drawn.strip()}"></figure>'
    text = "".join(output.get("text", data.get("text/plain", "")))
    return f"```text\n{text.rstrip()}\n```" if text.strip() else ""
