"""What the README says is there: files, commands, chapters, names of the package."""

import re
from pathlib import Path

import modulescope

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_every_file_that_it_links_to_exists():
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert len(targets) >= 3
    assert [target for target in targets if not (ROOT / target).is_file()] == []


def test_every_make_command_is_a_target():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    commands = set(re.findall(r"\bmake ([a-z]+)\b", README)) - {"PYTHON"}
    assert {"book", "test", "lab", "bench"} <= commands
    assert [name for name in commands if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_it_lists_the_chapters_that_the_book_has():
    listed = re.findall(r"^(\d+)\. (.+)$", README, re.MULTILINE)
    titles = [
        re.search(r"^# (.+)$", page.read_text("utf-8"), re.MULTILINE).group(1)
        for page in sorted((ROOT / "book").glob("[0-9][0-9]-*.md"))
    ]
    assert listed == [(str(number), title) for number, title in enumerate(titles, 1)]


def test_it_imports_what_the_package_offers():
    (names,) = re.findall(r"from modulescope import (.+)", README)
    assert set(names.split(", ")) <= set(modulescope.__all__)
    assert all(callable(getattr(modulescope, name)) for name in names.split(", "))
