"""Print the measurements that the README and the book quote, all from one run, as ratios.

Nothing is changed in the working tree: notebooks and site are copied or built elsewhere. A slow
machine makes the seconds larger and leaves the ratios.
"""

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import unquote, urlsplit

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
KEPT = ("_config.yml", "_toc.yml", "_static", "_templates", "book", "notebooks")


def seconds(action: Callable[[], Any]) -> float:
    """Return how long *action* takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def typical(action: Callable[[], Any], repeats: int = 7) -> float:
    """Return the median time of *action*, the first call left out, which loads code."""
    action()
    return median(seconds(action) for _ in range(repeats))


def run(*command: str, folder: Path) -> None:
    """Run a command quietly; its output is shown only if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")


def bench_notebooks(folder: Path) -> None:
    """Compare verification of each notebook by nbval with plain execution by nbclient."""
    print("\nnotebook: plain execution, verification, ratio")
    total = [0.0, 0.0]
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        copy = folder / path.name
        shutil.copy(path, copy)
        notebook = nbformat.read(copy, as_version=4)
        command = (sys.executable, "-m", "pytest", "-o", "addopts=", "-p", "no:cacheprovider")
        # nbval starts Python and pytest first; the kernel is what the two have in common.
        start_up = seconds(partial(run, *command, "--version", folder=folder))
        plain = seconds(
            lambda nb=notebook: NotebookClient(
                nb, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
            ).execute()
        )
        checked = seconds(
            partial(run, *command, "--nbval", "--nbval-current-env", path.name, folder=folder)
        )
        total[0] += plain
        total[1] += checked
        print(
            f"  {path.stem:20} {plain:6.1f} s {checked:6.1f} s {checked / plain:6.2f} "
            f"(start of pytest in it: {start_up:.1f} s)"
        )
    print(f"  {'all':20} {total[0]:6.1f} s {total[1]:6.1f} s {total[1] / total[0]:6.2f}")


def bench_site(folder: Path) -> Path:
    """Build the site cold, with twice the pages, and after one edit; return where it is."""
    for name in KEPT:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    build = (str(Path(sys.executable).with_name("jupyter-book")), "build", ".", "-W", "-n")
    cold = seconds(lambda: run(*build, folder=folder))
    pages = len(list((folder / "_build/html").rglob("*.html")))
    site = folder / "site"
    shutil.copytree(folder / "_build/html", site)
    run(sys.executable, str(ROOT / "book/tools/prune.py"), str(site), folder=folder)
    with (folder / "book/how-to-use.md").open("a", encoding="utf-8") as page:
        page.write("\nOne more sentence.\n")
    edited = seconds(lambda: run(*build, folder=folder))
    # Twice the chapters: the difference is what a page costs beyond the start of the tool.
    toc = (folder / "_toc.yml").read_text("utf-8")
    chapters = list((folder / "notebooks").glob("[0-9]*.ipynb"))
    for path in chapters:
        shutil.copy(path, path.with_name(f"again-{path.name}"))
    more = "".join(f"      - file: notebooks/again-{path.stem}\n" for path in chapters)
    (folder / "_toc.yml").write_text(f"{toc}{more}", "utf-8")
    doubled = seconds(lambda: run(*build, "--all", folder=folder))
    again = seconds(lambda: run(*build, "--all", folder=folder))
    (folder / "_toc.yml").write_text(toc, "utf-8")
    single = seconds(lambda: run(*build, "--all", folder=folder))
    each = (min(doubled, again) - single) / len(chapters)
    print(f"\nsite: {pages} pages, cold {cold:.1f} s, after one edit {edited:.1f} s")
    print(f"  one more chapter page costs {each:.2f} s; everything else is start-up")
    return site


def bench_pages(site: Path) -> None:
    """Open each page in a browser and count what it asks for."""
    from playwright.sync_api import sync_playwright

    sys.path.insert(0, str(ROOT))
    from conftest import find_browser

    print("\npage: requests, kB raw, kB gzipped")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        for path in sorted([*site.glob("notebooks/*.html"), *site.glob("book/*.html")]):
            page, urls = browser.new_page(), []
            page.on("request", lambda request, urls=urls: urls.append(request.url))
            page.goto(path.as_uri())
            names = {unquote(urlsplit(url).path) for url in urls if url.startswith("file:")}
            contents = [Path(name).read_bytes() for name in names]
            raw = sum(map(len, contents)) / 1000
            zipped = sum(len(gzip.compress(content)) for content in contents) / 1000
            print(f"  {path.stem:20} {len(urls):3} {raw:7.0f} {zipped:7.0f}")
            page.close()
        browser.close()


def bench_package() -> None:
    """Time the stepper and the inventory on a small and on real models."""
    import torch
    import torchinfo
    from torch import nn
    from torchvision.models import resnet18, vgg16

    from modulescope import inventory, step

    with torch.device("meta"):
        big = {"resnet18": resnet18(), "vgg16": vgg16()}
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 4))
    print(
        "\nstepper on state_dict: statements, steps shown, kB of HTML, record, render, times slower"
    )
    for name, model in {"net": net, **big}.items():
        stepper = step(model.state_dict)
        size = len(stepper._repr_html_().encode()) / 1000
        bare = typical(model.state_dict)
        record = typical(lambda model=model: step(model.state_dict))
        render = typical(stepper._repr_html_)
        print(
            f"  {name:10} {len(stepper.recording.steps):6} {len(stepper.rows):5} {size:6.0f} "
            f"{record * 1000:7.1f} ms {render * 1000:6.1f} ms {record / bare:6.0f}"
        )
    model = big["resnet18"]
    ours = typical(lambda: repr(inventory(model)))
    theirs = typical(lambda: str(torchinfo.summary(model, verbose=0)))
    print(
        f"\ninventory of resnet18: {ours * 1000:.1f} ms, {ours / theirs:.2f} of the "
        f"{theirs * 1000:.1f} ms of torchinfo.summary"
    )


def main() -> None:
    """Print all tables."""
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        bench_package()
        bench_pages(bench_site(Path(two)))
        bench_notebooks(Path(one))


if __name__ == "__main__":
    main()
