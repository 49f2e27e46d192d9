"""The notebooks run from their first cell to their last, in an empty folder, and carry the outputs of such a run."""

from __future__ import annotations

import ast
import json

import pytest

from benchmarks.docs.contents import NOTEBOOKS, unlisted
from benchmarks.docs.links import DOCS
from benchmarks.docs.notebooks import as_page

ALL = sorted((DOCS / NOTEBOOKS).glob("*.ipynb"))


def cells(notebook):
    return [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


@pytest.mark.slow
@pytest.mark.parametrize("notebook", ALL, ids=lambda path: path.stem)
def test_the_notebook_runs(notebook, tmp_path):
    nbclient = pytest.importorskip("nbclient", reason="install the extra docs")
    import nbformat

    book = nbformat.read(notebook, as_version=4)
    nbclient.NotebookClient(book, timeout=1800, resources={"metadata": {"path": tmp_path}}).execute()


@pytest.mark.parametrize("notebook", ALL, ids=lambda path: path.stem)
def test_every_cell_is_whole_python_and_was_run_without_an_error(notebook):
    for cell in cells(notebook):
        ast.parse("".join(cell["source"]))
        assert cell["execution_count"], "run it: jupyter execute --inplace"
        assert [output for output in cell["outputs"] if output["output_type"] == "error"] == []


@pytest.mark.parametrize("notebook", ALL, ids=lambda path: path.stem)
def test_on_the_site_it_is_a_page_with_its_code_its_outputs_and_its_pictures(notebook):
    page = as_page(notebook)
    assert page.startswith("# ") and page.count("```python") == len(cells(notebook))
    assert "<figure>" in page and "```text" in page


def test_the_first_page_names_the_notebooks():
    assert unlisted(NOTEBOOKS, DOCS / "index.md") == []
