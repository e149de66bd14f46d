"""A browser for the tests that look at pages as a person would."""

import os
import shutil

import pytest

_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="session")
def browser():
    """Chromium from ``CHROMIUM``, the system or playwright. One that is missing is an error."""
    from playwright.sync_api import Error, sync_playwright

    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _COMMANDS)), None)
    with sync_playwright() as playwright:
        try:
            running = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
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
