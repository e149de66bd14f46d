"""Verification must fail when it should: every way to spoil a notebook turns it red."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import jupytext
import nbformat
import pytest
from guards import complaints

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "tools"))

from notebooks import execute, normalise  # noqa: E402 - the tool that stores the outputs

TEXT = """---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
myst:
  html_meta:
    description: A small notebook with one of everything.
---

# Spoil me

```{code-cell} ipython3
import json

from modulescope import show_source

shapes = {"0.weight": 6, "0.bias": 3, "1.running_var": 3}
print(sum(shapes.values()))
```

```{code-cell} ipython3
list(shapes)
```

```{code-cell} ipython3
show_source(json.loads, "s.startswith")
```

```{code-cell} ipython3
:tags: [raises-exception]

shapes["2.weight"]
```

```{code-cell} ipython3
---
mystnb:
  image:
    alt: A line that rises from the lower left corner to the upper right corner.
---
import matplotlib.pyplot as plt

plt.plot([0, 1])
plt.show()
```
"""


def cell(notebook, text):
    """Return the one code cell whose source contains *text*."""
    (found,) = [c for c in notebook.cells if c.cell_type == "code" and text in c.source]
    return found


def a_number(notebook):
    cell(notebook, "sum(")["outputs"][0]["text"] = "13\n"


def a_key(notebook):
    data = cell(notebook, "list(")["outputs"][0]["data"]
    data["text/plain"] = data["text/plain"].replace("1.running_var", "1.running_mean2")


def a_line_of_source(notebook):
    data = cell(notebook, "show_source(")["outputs"][0]["data"]
    data["text/plain"] = data["text/plain"].replace("s.startswith", "s.endswith")


def an_anchor(notebook):
    found = cell(notebook, "show_source(")
    found["source"] = found["source"].replace("s.startswith", "s.starts_with")


def a_removed_output(notebook):
    cell(notebook, "list(")["outputs"] = []


def an_error_that_is_no_longer_raised(notebook):
    found = cell(notebook, '["2.weight"]')
    found["source"] = 'shapes["0.weight"]'


def an_error_message(notebook):
    output = cell(notebook, '["2.weight"]')["outputs"][0]
    output["evalue"] = output["evalue"].replace("2.weight", "2.height")


def a_stored_error_that_is_removed(notebook):
    cell(notebook, '["2.weight"]')["outputs"] = []


def an_execution_count(notebook):
    cell(notebook, "list(")["execution_count"] = None


def the_order_of_counts(notebook):
    first, second = cell(notebook, "sum("), cell(notebook, "list(")
    first["execution_count"], second["execution_count"] = 2, 1


def a_deleted_figure(notebook):
    cell(notebook, "plt.plot")["outputs"] = []


def a_corrupt_figure(notebook):
    (output,) = cell(notebook, "plt.plot")["outputs"]
    output["data"]["image/png"] = output["data"]["image/png"][: 400 * 4]


def an_alt_text(notebook):
    del cell(notebook, "plt.plot")["metadata"]["mystnb"]


def an_address(notebook):
    cell(notebook, "sum(")["outputs"][0]["text"] = "<object at 0x7f5e2c1b3d60>\n"


def a_cell_that_is_skipped(notebook):
    found = cell(notebook, "list(")
    found["source"] = "# NBVAL_SKIP\n" + found["source"]


SEEN_BY_NBVAL = [
    a_number,
    a_key,
    a_line_of_source,
    an_anchor,
    a_removed_output,
    an_error_that_is_no_longer_raised,
    an_error_message,
]
SEEN_BY_GUARDS = [
    a_stored_error_that_is_removed,
    an_execution_count,
    the_order_of_counts,
    a_deleted_figure,
    a_corrupt_figure,
    an_alt_text,
    an_address,
    a_cell_that_is_skipped,
]


@pytest.fixture(scope="module")
def sound():
    notebook = jupytext.reads(TEXT, fmt="md:myst")
    execute(notebook, "spoil-me")
    normalise(notebook)
    return nbformat.writes(notebook)


def spoiled(sound, spoil):
    notebook = nbformat.reads(sound, as_version=4)
    spoil(notebook)
    assert nbformat.writes(notebook) != sound, "nothing was spoiled"
    return notebook


@pytest.fixture(scope="module")
def failed(sound, tmp_path_factory):
    """Return the names of the notebooks that nbval refuses, all compared in one run."""
    folder = tmp_path_factory.mktemp("spoiled")
    (folder / "sound.ipynb").write_text(sound, "utf-8")
    for spoil in SEEN_BY_NBVAL:
        path = folder / f"{spoil.__name__}.ipynb"
        path.write_text(nbformat.writes(spoiled(sound, spoil)), "utf-8")
    command = "-m pytest --nbval --nbval-current-env -n 2 --dist loadfile --junitxml report.xml"
    subprocess.run(
        [sys.executable, *command.split(), "-p", "no:cacheprovider", "-o", "addopts=", "."],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    cases = ElementTree.parse(folder / "report.xml").getroot().iter("testcase")
    results = [(case.get("classname"), case.find("failure") is not None) for case in cases]
    # One notebook that was not run at all would pass for one in which nothing was found.
    assert len(results) == 5 * (len(SEEN_BY_NBVAL) + 1)
    return {name for name, has_failed in results if has_failed}


def test_the_sound_notebook_passes(sound, failed):
    assert complaints(nbformat.reads(sound, as_version=4)) == []
    assert not any("sound" in name for name in failed)


@pytest.mark.parametrize("spoil", SEEN_BY_NBVAL, ids=lambda spoil: spoil.__name__)
def test_nbval_sees(failed, spoil):
    assert any(spoil.__name__ in name for name in failed)


@pytest.mark.parametrize("spoil", SEEN_BY_GUARDS, ids=lambda spoil: spoil.__name__)
def test_guards_see(sound, spoil):
    assert complaints(spoiled(sound, spoil)) != []
