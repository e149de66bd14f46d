"""Remove from a built site what no page asks for: source maps and fonts in a second format."""

import argparse
from pathlib import Path

UNUSED = ("_static/**/*.map", "_static/**/*.ttf", "_static/scripts/fontawesome.js")


def main() -> None:
    """Remove the files that match :data:`UNUSED` below the folder of the site."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path, help="the folder that holds index.html")
    site = parser.parse_args().site
    if not (site / "index.html").is_file():
        parser.error(f"{site} holds no index.html: build the site first, with make book")
    for pattern in UNUSED:
        for path in site.glob(pattern):
            path.unlink()


if __name__ == "__main__":
    main()
