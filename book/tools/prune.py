"""Remove from a built site what no page needs: source maps, doubled fonts, rules for icons."""

import argparse
import re
from pathlib import Path

UNUSED = ("_static/**/*.map", "_static/**/*.ttf", "_static/scripts/fontawesome.js")

THEME = "_static/styles/pydata-sphinx-theme.css"
# Font Awesome's names for its two thousand icons; book.css has the few that the theme shows.
ICON_RULE = re.compile(r'(?:\.fa-[\w-]+:{1,2}before,?)+\{content:"[^"]*"\}')


def main() -> None:
    """Remove what matches :data:`UNUSED` and :data:`ICON_RULE` below the folder of the site."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path, help="the folder that holds index.html")
    site = parser.parse_args().site
    if not (site / "index.html").is_file():
        parser.error(f"{site} holds no index.html: build the site first, with make book")
    for pattern in UNUSED:
        for path in site.glob(pattern):
            path.unlink()
    theme = site / THEME
    theme.write_text(ICON_RULE.sub("", theme.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
