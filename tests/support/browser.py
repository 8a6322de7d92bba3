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
def browser(profile: Path, *options: str, size: tuple[int, int] = (1280, 800), phone: bool = False) -> Iterator[Chrome]:
    """A browser with an empty profile, in the shape of `take_shape`."""
    chosen = ChromeOptions()
    chosen.binary_location = str(CHROMIUM)
    for option in (*_QUIET, f"--user-data-dir={profile}", *options):
        chosen.add_argument(option)
    chosen.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=chosen, service=Service(DRIVER))
    driver.set_page_load_timeout(PAGE_LOAD_SECONDS)
    try:
        take_shape(driver, size, phone=phone)
        yield driver
    finally:
        driver.quit()


def take_shape(driver: Chrome, size: tuple[int, int] = (1280, 800), *, phone: bool = False) -> None:
    """Have its page be that large; ``phone``: it is touched, and has small pixels."""
    shape = {"width": size[0], "height": size[1], "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", shape)
    driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": phone})


def complaints(driver: Chrome) -> list[str]:
    """What the page has logged as an error since the last look: also what its security policy has stopped."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
