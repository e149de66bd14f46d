"""What nbval cannot see. Each guard takes a notebook and returns its complaints.

nbval 0.11 lets these pass: a cell without an execution count, counts out of order, a cell tagged
``raises-exception`` that raises nothing, a picture that is deleted or corrupt, the text of a
traceback, and a cell that is tagged to be skipped. Nor does it mind an output that is the same here
and differs elsewhere: an address, a time, a path, a host.
"""

import base64
import io
import re
from collections.abc import Callable, Iterator

import matplotlib.image
from nbformat import NotebookNode

TAGS = {
    "exercise",
    "hide-cell",
    "hide-input",
    "NBVAL_IGNORE_OUTPUT",
    "raises-exception",
    "remove-cell",
    "solution",
}

# What differs from one machine, system or build to the next.
VOLATILE = {
    "an address": r"\b0x[0-9a-f]{6,}",
    "a time": r"\b\d{1,2}:\d{2}:\d{2}\b|\b\d+(\.\d+)? ?(s|ms|µs|us|ns|seconds|minutes)\b",
    "a date": r"\b20\d\d-\d\d-\d\d\b",
    "a path": r"(?<![\w.</])/(home|Users|root|tmp|usr|var|opt|mnt|work)\b|\b[A-Z]:\\",
    "a path separator": r"site-packages|\w\\\\\w",
    "a host": r"\blocalhost\b|\b127\.0\.0\.1\b|\bip-\d|://(?!docs\.pytorch\.org|pytorch\.org|github\.com)",
    "a build suffix": r"\b\d+\.\d+\.\d+\+(cpu|cu\d+)",
    "a count of devices": r"\bdevice_count\b",
}


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def texts(cell: NotebookNode) -> Iterator[str]:
    """Yield what a reader sees of the outputs of *cell*."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.text
        elif output.output_type == "error":
            yield "\n".join([f"{output.ename}: {output.evalue}", *output.traceback])
        else:
            for kind, data in output.get("data", {}).items():
                if kind.startswith("text/"):
                    yield data


def counts_run_from_one(notebook: NotebookNode) -> Iterator[str]:
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}, not 1 to {len(counts)}"


def errors_are_announced(notebook: NotebookNode) -> Iterator[str]:
    for cell in code_cells(notebook):
        raises = any(output.output_type == "error" for output in cell.outputs)
        if raises and "raises-exception" not in tags(cell):
            yield f"an error that is not announced: {cell.source[:60]!r}"
        if not raises and "raises-exception" in tags(cell):
            yield f"tagged raises-exception, yet raises nothing: {cell.source[:60]!r}"


def outputs_hold_everywhere(notebook: NotebookNode) -> Iterator[str]:
    for cell in code_cells(notebook):
        if "NBVAL_IGNORE_OUTPUT" in tags(cell):
            continue
        for text in texts(cell):
            # The scripts and styles that an object brings along are the package's, not a result.
            seen = re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)
            for what, pattern in VOLATILE.items():
                if found := re.search(pattern, seen):
                    yield f"{what} in an output: {found.group()!r} of {cell.source[:60]!r}"


def figures_are_whole(notebook: NotebookNode) -> Iterator[str]:
    for cell in code_cells(notebook):
        pictures = [
            output.data["image/png"]
            for output in cell.outputs
            if "image/png" in output.get("data", {})
        ]
        if "plt.show()" in cell.source and not pictures:
            yield f"no figure, although the cell shows one: {cell.source[:60]!r}"
        if pictures and not alt_text(cell):
            yield f"a figure without alt text: {cell.source[:60]!r}"
        for picture in pictures:
            try:
                pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(picture)))
            except (ValueError, OSError, SyntaxError) as error:
                yield f"a figure that cannot be read ({error}): {cell.source[:60]!r}"
                continue
            if pixels[..., :3].std() < 0.01:
                yield f"an empty figure: {cell.source[:60]!r}"


def alt_text(cell: NotebookNode) -> str:
    return cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")


def alt_texts_are_sentences(notebook: NotebookNode) -> Iterator[str]:
    for cell in code_cells(notebook):
        text = alt_text(cell)
        if text and (len(text) < 40 or not text.endswith(".")):
            yield f"alt text that does not say what to see: {text!r}"


def tags_are_known(notebook: NotebookNode) -> Iterator[str]:
    ignored = 0
    for cell in notebook.cells:
        if unknown := set(tags(cell)) - TAGS:
            yield f"unknown tags {sorted(unknown)} on {cell.source[:60]!r}"
        ignored += "NBVAL_IGNORE_OUTPUT" in tags(cell)
        # nbval reads these from the source too.
        if re.search(r"^\s*#.*(NBVAL_|PYTEST_VALIDATE)", cell.source, flags=re.MULTILINE):
            yield f"a comment that switches the comparison: {cell.source[:60]!r}"
    if ignored > 2:
        yield f"{ignored} outputs are not compared; a chapter may have two"


def no_code_stands_unexecuted(notebook: NotebookNode) -> Iterator[str]:
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.search(
            r"^ *(```|~~~)\{?(code-block\}? *)?(py|python|ipython)", cell.source, re.MULTILINE
        ):
            yield f"Python code that nobody runs: {cell.source[:60]!r}"


def exercises_fail_before_and_pass_after(notebook: NotebookNode) -> Iterator[str]:
    stubs, solutions = [], []
    for cell in code_cells(notebook):
        calls = re.findall(r"\bcheck\(\s*\"([^\"]+)\"", cell.source)
        if not calls:
            if {"exercise", "solution"} & set(tags(cell)):
                yield f"an exercise cell without a check: {cell.source[:60]!r}"
            continue
        shown = "\n".join(texts(cell))
        if "solution" in tags(cell):
            solutions += calls
            wanted = [f"{name}: right" for name in calls]
        elif "exercise" in tags(cell):
            stubs += calls
            wanted = [f"{name}: not attempted" for name in calls]
        else:
            yield f"a check outside an exercise: {cell.source[:60]!r}"
            continue
        yield from (f"{text!r} is not shown" for text in wanted if text not in shown)
    if stubs != solutions:
        yield f"exercises {stubs} and solutions {solutions} differ"


def opens_in_jupyter_everywhere(notebook: NotebookNode) -> Iterator[str]:
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernel is not python3"
    if set(notebook.metadata) - {"kernelspec", "language_info", "jupytext", "modulescope", "myst"}:
        yield f"unexpected metadata: {sorted(notebook.metadata)}"
    if not notebook.metadata.get("myst", {}).get("html_meta", {}).get("description"):
        yield "no description for the page (myst: html_meta: description)"


GUARDS: list[Callable[[NotebookNode], Iterator[str]]] = [
    counts_run_from_one,
    errors_are_announced,
    outputs_hold_everywhere,
    figures_are_whole,
    alt_texts_are_sentences,
    tags_are_known,
    no_code_stands_unexecuted,
    exercises_fail_before_and_pass_after,
    opens_in_jupyter_everywhere,
]


def complaints(notebook: NotebookNode) -> list[str]:
    """Return what every guard says about *notebook*."""
    return [f"{guard.__name__}: {found}" for guard in GUARDS for found in guard(notebook)]
