"""Every notebook passes every guard, and agrees with its text."""

from pathlib import Path

import jupytext
import nbformat
import pytest
from guards import complaints

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TEXTS = [
    page
    for page in sorted((ROOT / "book").glob("*.md"))
    if page.read_text("utf-8").startswith("---\njupytext:")
]


def test_every_text_has_its_notebook_and_no_notebook_is_an_orphan():
    assert [path.stem for path in NOTEBOOKS] == [page.stem for page in TEXTS] != []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_guards(path):
    assert complaints(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_and_text_agree_cell_for_cell(path):
    text = jupytext.read(ROOT / "book" / f"{path.stem}.md")
    notebook = nbformat.read(path, as_version=4)

    def cells(node):
        return [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in node.cells]

    assert cells(notebook) == cells(text), (
        "run make notebooks (or make sync, after an edit in Jupyter)"
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_small_and_used_little_memory(path):
    assert path.stat().st_size < 1_000_000
    took = nbformat.read(path, as_version=4).metadata["modulescope"]
    assert took["peak_mb"] < 2000
    assert took["seconds"] < 30
