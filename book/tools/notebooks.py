"""Execute the chapters and store their outputs; write the status page.

A chapter is a page of ``book/`` with a jupytext header. One whose text differs from its notebook in
``notebooks/`` is executed again; with ``--all``, every one; with names, those.
"""

import argparse
import importlib.metadata
import os
import platform
import sys
import tempfile
import threading
import time
from pathlib import Path

import jupytext
import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parents[2]
TEXTS, NOTEBOOKS = ROOT / "book", ROOT / "notebooks"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
PACKAGES = ("torch", "torchvision", "numpy", "matplotlib", "jupyter-book", "ipykernel", "nbval")


def chapters() -> list[Path]:
    """Return the pages of the book that are notebooks written as text."""
    return sorted(
        page for page in TEXTS.glob("*.md") if page.read_text("utf-8").startswith("---\njupytext:")
    )


def cells(notebook: nbformat.NotebookNode) -> list[tuple[str, str, dict]]:
    """Return what a text and its notebook must agree on: type, source and metadata of each cell."""
    return [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in notebook.cells]


class PeakMemory(threading.Thread):
    """Samples the resident memory of a process, in MB."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process, self.peak_mb, self.done = psutil.Process(pid), 0.0, threading.Event()

    def run(self) -> None:
        """Sample until :meth:`stop` is called or the process has ended."""
        while not self.done.wait(0.02):
            try:
                self.peak_mb = max(self.peak_mb, self.process.memory_info().rss / 1e6)
            except psutil.NoSuchProcess:
                return

    def stop(self) -> float:
        """Return the highest reading, in MB."""
        self.done.set()
        self.join()
        return self.peak_mb


def execute(notebook: nbformat.NotebookNode, name: str) -> None:
    """Execute *notebook* in place, in an empty folder, and store what it took in its metadata.

    Raises:
        SystemExit: a cell fails that is not tagged ``raises-exception``, a cell takes too long, or
            the notebook leaves a file behind.
    """
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            # A full traceback holds the paths of the author's machine; type and message stay.
            extra_arguments=["--InteractiveShell.xmode=Minimal"],
            timeout=120,
            record_timing=False,
            resources={"metadata": {"path": folder}},
        )
        start = time.perf_counter()
        try:
            with client.setup_kernel():
                memory = PeakMemory(client.km.provisioner.pid)
                memory.start()
                for index, cell in enumerate(notebook.cells):
                    client.execute_cell(cell, index)
                peak_mb = memory.stop()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise SystemExit(
                f"{name}: nothing was stored, because a cell failed.\n{error}"
            ) from None
        if left := sorted(path.name for path in Path(folder).iterdir()):
            raise SystemExit(f"{name}: nothing was stored, because it leaves files behind: {left}")
    seconds = time.perf_counter() - start
    notebook.metadata["modulescope"] = {"peak_mb": round(peak_mb), "seconds": round(seconds, 1)}


def normalise(notebook: nbformat.NotebookNode) -> None:
    """Leave nothing in *notebook* that differs from one execution to the next."""
    notebook.metadata["kernelspec"] = KERNEL
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        if cell.cell_type == "code":
            cell["outputs"] = merge_streams(cell.outputs)


def merge_streams(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Join pieces of the same stream: how a stream is cut depends on the machine's mood."""
    merged: list[nbformat.NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last["text"] += output.text
        else:
            merged.append(output)
    return merged


def write(path: Path, text: str) -> None:
    """Write *text* so that a reader of the file sees the old text or the new one, whole."""
    draft = path.with_name(path.name + ".draft")
    draft.write_text(text, "utf-8", newline="\n")
    os.replace(draft, path)


def status_page(stored: dict[str, nbformat.NotebookNode]) -> str:
    """Return the text of the status page, from what the notebooks say of themselves."""
    rows = []
    for name, notebook in stored.items():
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        ignored = sum("NBVAL_IGNORE_OUTPUT" in cell.metadata.get("tags", []) for cell in code)
        took = notebook.metadata["modulescope"]
        rows.append(
            f"| [{name}](../notebooks/{name}.ipynb) | {len(code) - ignored} | {ignored} "
            f"| {took['seconds']} | {took['peak_mb']} |"
        )
    versions = [f"| {package} | {version(package)} |" for package in PACKAGES]
    return STATUS.format(
        rows="\n".join(rows),
        python=platform.python_version(),
        versions="\n".join(versions),
    )


def version(package: str) -> str:
    """Return the release of *package* without a build suffix such as ``+cpu``."""
    return importlib.metadata.version(package).split("+")[0]


STATUS = """\
---
myst:
  html_meta:
    description: Which notebooks were executed, with which versions, in what time and memory.
---

# Status of the notebooks

This page is written by `make notebooks` when it stores the outputs. "Compared" counts the code
cells whose outputs `make test` compares. "Not compared" counts the cells that measure time or
memory. The seconds and the memory are those of one execution with one thread, start of the kernel
included. On your computer they will differ.

| notebook | compared | not compared | seconds | peak memory in MB |
|---|--:|--:|--:|--:|
{rows}

| made with | version |
|---|---|
| Python | {python} |
{versions}
"""


def main() -> None:
    """Bring ``notebooks/`` and the status page up to date with ``book/``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="execute every chapter")
    parser.add_argument("names", nargs="*", help="execute these chapters and no other")
    options = parser.parse_args()
    if unknown := set(options.names) - {page.stem for page in chapters()}:
        parser.error(f"book/ has no chapter {', '.join(sorted(unknown))}")
    os.environ["OMP_NUM_THREADS"] = "1"
    NOTEBOOKS.mkdir(exist_ok=True)
    stored = {}
    for page in chapters():
        path = NOTEBOOKS / f"{page.stem}.ipynb"
        notebook = jupytext.read(page)
        old = nbformat.read(path, as_version=4) if path.exists() else None
        if options.names:
            wanted = page.stem in options.names
        else:
            wanted = options.all or old is None or cells(old) != cells(notebook)
        if wanted:
            execute(notebook, page.stem)
            normalise(notebook)
            nbformat.validate(notebook)
            write(path, nbformat.writes(notebook) + "\n")
            print(f"{page.stem}: executed, {notebook.metadata['modulescope']}")
        else:
            notebook = old
        if notebook is not None:
            stored[page.stem] = notebook
    for orphan in sorted({path.stem for path in NOTEBOOKS.glob("*.ipynb")} - set(stored)):
        sys.exit(f"notebooks/{orphan}.ipynb has no text in book/: remove it or write the text")
    write(TEXTS / "status.md", status_page(stored))


if __name__ == "__main__":
    main()
