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
        return re.sub(r"\]\(([\w-]+)\.ipynb\)", r"](\1.md)", source)
    shown = [_output(output) for output in cell["outputs"]]
    return "\n\n".join([f"```python\n{source}\n```", *(text for text in shown if text)])


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if output.get("name") == "stderr":  # progress
        return ""
    if drawn := "".join(data.get("image/svg+xml", "")):
        return _picture("svg+xml", base64.b64encode(drawn.encode()).decode())
    if drawn := "".join(data.get("image/png", "")):
        return _picture("png", drawn.replace("\n", ""))
    text = "".join(output.get("text", data.get("text/plain", "")))
    return f"```text\n{text.rstrip()}\n```" if text.strip() else ""


def _picture(kind: str, data: str) -> str:
    return f'<figure><img alt="What the code above draws" src="data:image/{kind};base64,{data}"></figure>'
