"""Chromium without a window, driven by Selenium: a page as a person uses it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = "needs Chromium and its driver: apt-get install chromium chromium-driver (or `make setup`)"
PAGE_LOAD_SECONDS = 30.0
_QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def is_there() -> bool:
    """Whether this machine has what a browser test needs."""
    return bool(CHROMIUM and DRIVER)


@contextmanager
def browser(profile: Path, size: tuple[int, int] = (1280, 800), *options: str, phone: bool = False) -> Iterator[Chrome]:
    """A browser with an empty profile; ``phone``: its page is that wide, and is touched."""
    assert CHROMIUM and DRIVER, MISSING
    chosen = ChromeOptions()
    chosen.binary_location = CHROMIUM
    for option in (*_QUIET, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}", *options):
        chosen.add_argument(option)
    chosen.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if phone:
        metrics = {"width": size[0], "height": size[1], "pixelRatio": 2.0, "touch": True}
        chosen.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
    driver = Chrome(options=chosen, service=Service(DRIVER))
    driver.set_page_load_timeout(PAGE_LOAD_SECONDS)
    try:
        yield driver
    finally:
        driver.quit()


def complaints(driver: Chrome) -> list[str]:
    """What the page has logged as an error since the last look: also what its security policy has stopped."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
