"""The built site, as a reader meets it: from a folder, with the network cut, in a real browser."""

import gzip
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
PAGES = sorted(path for folder in ("book", "notebooks") for path in (SITE / folder).glob("*.html"))
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
RAW_LIMIT, GZIP_LIMIT, REQUEST_LIMIT = 1_000_000, 450_000, 25


def ids(path):
    return path.stem


@pytest.fixture(scope="module", autouse=True)
def site():
    sources = [*(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]
    newest = max(path.stat().st_mtime for path in sources)
    if not PAGES or max(path.stat().st_mtime for path in PAGES) < newest:
        pytest.fail("There is no site in _build/html, or an old one. Build it first: make book")


class Page(HTMLParser):
    """The links, anchors, pictures and texts of one page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors, self.images, self.description = [], set(), [], ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors.update(value for name, value in attrs if name in ("id", "name"))
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "img":
            self.images.append((found.get("src"), found.get("alt")))
        if tag == "meta" and found.get("name") == "description":
            self.description = found["content"]


@pytest.fixture(scope="module")
def pages():
    return {path: Page(path) for path in PAGES}


@pytest.fixture
def visit(browser):
    """Return a function that opens a page offline and records what it asks for and complains of."""
    contexts = []

    def open_page(path, viewport=DESKTOP, theme="light"):
        context = browser.new_context(viewport=viewport, color_scheme=theme, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.requested, page.complaints = [], []
        page.on("request", lambda request: page.requested.append(request.url))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                page.complaints.append(message.text)
                if message.type in ("error", "warning")
                else None
            ),
        )
        page.goto(path.as_uri() if isinstance(path, Path) else path)
        return page

    yield open_page
    for context in contexts:
        context.close()


def outside(urls):
    return [url for url in urls if not url.startswith((SITE.as_uri() + "/", "data:"))]


def test_every_page_of_the_contents_was_built():
    expected = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert expected <= {path.stem for path in PAGES}


def test_every_internal_link_and_anchor_resolves(pages):
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("//"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                broken.append(f"{path.name}: {link}")
            elif parts.fragment and target.suffix == ".html":
                anchors = pages[target].anchors if target in pages else Page(target).anchors
                if unquote(parts.fragment) not in anchors:
                    broken.append(f"{path.name}: {link}")
    assert broken == []
    assert sum(len(page.links) for page in pages.values()) > 20 * len(pages)


@pytest.mark.parametrize("path", PAGES, ids=ids)
def test_page_says_what_it_is_and_what_its_pictures_show(pages, path):
    assert 40 < len(pages[path].description) < 200
    for source, alt in pages[path].images:
        assert alt, f"{source} has no alt text"
        assert "/" not in alt, f"{source} has a file name for alt text"


@pytest.mark.parametrize("path", PAGES, ids=ids)
def test_page_asks_nobody_and_is_light(visit, path):
    page = visit(path)
    page.wait_for_load_state("load")
    assert outside(page.requested) == []
    assert page.complaints == []
    files = {Path(unquote(urlsplit(url).path)) for url in page.requested if url[:5] == "file:"}
    contents = [file.read_bytes() for file in files]
    raw = sum(map(len, contents))
    zipped = sum(len(gzip.compress(content, 6)) for content in contents)
    assert (raw < RAW_LIMIT, zipped < GZIP_LIMIT) == (True, True), f"{raw} raw, {zipped} gzipped"
    assert len(page.requested) <= REQUEST_LIMIT


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES, ids=ids)
def test_page_is_accessible_and_fits_on_a_phone(visit, axe, path, theme):
    page = visit(path, DESKTOP, theme)
    found = []
    for viewport in (DESKTOP, PHONE):
        page.set_viewport_size(viewport)
        # The theme fades its colours; half-way through they are neither.
        page.wait_for_timeout(300)
        for violation in axe.run(page).response["violations"]:
            found += [
                f"{viewport['width']}: {violation['id']}: {node['html'][:150]}"
                for node in violation["nodes"]
            ]
    assert found == []
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"], f"the page is {width} px wide"


def test_search_finds_a_term_of_a_chapter(visit):
    page = visit(SITE / "search.html")
    page.goto((SITE / "search.html").as_uri() + "?q=aliasing")
    page.wait_for_selector("#search-results li a", timeout=10_000)
    targets = page.eval_on_selector_all("#search-results li a", "links => links.map(a => a.href)")
    assert any("01-save-weights" in target for target in targets)
    assert outside(page.requested) == []
    assert page.complaints == []


def test_theme_switch_changes_the_page_and_the_stepper(visit):
    page = visit(SITE / "notebooks" / "index.html")

    def luminance(selector):
        colour = page.eval_on_selector(selector, "node => getComputedStyle(node).backgroundColor")
        return sum(map(float, colour[colour.index("(") + 1 : -1].split(",")[:3])) / 3

    before = luminance("body"), luminance(".modulescope")
    for _ in range(3):
        if page.evaluate("document.documentElement.dataset.theme") == "dark":
            break
        page.locator(".theme-switch-button:visible").first.click()
    page.wait_for_timeout(400)
    after = luminance("body"), luminance(".modulescope")
    assert min(before) > 200
    assert max(after) < 60


@pytest.mark.parametrize("path", [p for p in PAGES if p.parent.name == "notebooks"], ids=ids)
def test_figures_are_readable_in_dark_mode(visit, path):
    page = visit(path, theme="dark")
    for image in page.locator(".cell_output img").all():
        assert image.evaluate("node => node.complete && node.naturalWidth > 300")
        # Dark lines need a light panel behind them.
        colour = image.evaluate("node => getComputedStyle(node).backgroundColor")
        assert min(map(int, colour[colour.index("(") + 1 : -1].split(",")[:3])) > 150


def test_stepper_of_the_first_page_by_keyboard(visit):
    page = visit(SITE / "notebooks" / "index.html")
    page.get_by_role("button", name="Next").focus()
    for _ in range(15):
        page.keyboard.press("ArrowRight")
    said = page.locator(".ms-say").inner_text()
    assert said == "Step 16 of 18. head: left out: name = 'bias', param = None"
    assert "if param is not None:" in page.locator(".ms-now").inner_text()


@pytest.mark.parametrize("path", [p for p in PAGES if p.parent.name == "notebooks"], ids=ids)
def test_the_executed_notebook_can_be_downloaded(pages, path):
    links = [link for link in pages[path].links if link.endswith(f"{path.stem}.ipynb")]
    downloads = {(path.parent / link).resolve() for link in links} - {path}
    offered = [file for file in downloads if "_sources" in file.parts]
    assert len(offered) == 1
    stored = ROOT / "notebooks" / f"{path.stem}.ipynb"
    assert nbformat.read(offered[0], as_version=4) == nbformat.read(stored, as_version=4)
