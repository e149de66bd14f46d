"""A browser for the tests that look at pages as a person would; no test may be skipped."""

import os
import shutil

import pytest

# Kernels and tests run with one thread, as the stored outputs were made.
os.environ["OMP_NUM_THREADS"] = "1"

_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def find_browser():
    """Return the path of the browser that ``CHROMIUM`` or the system names, or ``None``."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _COMMANDS)), None)


@pytest.fixture(scope="session")
def browser():
    """Chromium from ``CHROMIUM``, the system or playwright. One that is missing is an error."""
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            running = playwright.chromium.launch(
                executable_path=find_browser(), args=["--no-sandbox"]
            )
        except Error as error:
            pytest.fail(
                "The browser tests need Chromium or Chrome. Install it (Debian: apt-get install "
                "chromium; elsewhere: python -m playwright install chromium), or set CHROMIUM to "
                f"its path. {error}"
            )
        yield running
        running.close()


@pytest.fixture(scope="session")
def axe():
    """The accessibility checker axe-core."""
    from axe_playwright_python.sync_playwright import Axe

    return Axe()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Turn a skip into a failure: nothing here may be left out in silence."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and no test of this project may be"
