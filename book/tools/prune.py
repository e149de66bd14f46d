"""Remove from a built site what no page needs: files, style rules, and search on other pages."""

import argparse
import re
from pathlib import Path

UNUSED = ("_static/**/*.map", "_static/**/*.ttf", "_static/scripts/fontawesome.js")

# The theme loads the index of the whole book on every page; only the search page reads it.
SEARCH = re.compile(
    r'\s*<script src="[^"]*(?:_static/searchtools|_static/language_data|searchindex)\.js[^"]*">'
    r"</script>"
)

RULE = re.compile(r"([^{}]+)(\{[^{}]*\})")
# A comma inside :is(...) or :not(...) does not end a selector.
COMMA = re.compile(r",(?![^(]*\))")
CLASS = re.compile(r"\.(-?[_a-zA-Z][\w-]*)")


def prune_rules(css: str, words: set[str]) -> str:
    """Return *css* without the selectors that ask for a class which is not among *words*."""

    def keep(rule: re.Match[str]) -> str:
        selectors = [
            selector
            for selector in COMMA.split(rule.group(1))
            if "(" in selector or all(name in words for name in CLASS.findall(selector))
        ]
        return ",".join(selectors) + rule.group(2) if selectors else ""

    return RULE.sub(keep, css)


def main() -> None:
    """Prune the site in place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path, help="the folder that holds index.html")
    site = parser.parse_args().site
    if not (site / "index.html").is_file():
        parser.error(f"{site} holds no index.html: build the site first, with make book")
    for pattern in UNUSED:
        for path in site.glob(pattern):
            path.unlink()
    for path in site.rglob("*.html"):
        if path.name != "search.html":
            path.write_text(SEARCH.sub("", path.read_text("utf-8")), "utf-8")
    # A script may add a class, so every word of a script counts as used.
    words: set[str] = set()
    for path in [*site.rglob("*.html"), *site.rglob("*.js")]:
        words.update(re.findall(r"[\w-]+", path.read_text("utf-8")))
    for path in (site / "_static").rglob("*.css"):
        path.write_text(prune_rules(path.read_text("utf-8"), words), "utf-8")


if __name__ == "__main__":
    main()
