"""A script that sclang runs with the MelNet classes, and what it posts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FACE = Path(__file__).parents[3] / "faces" / "supercollider" / "MelNet"
_WITHOUT_WINDOWS = {
    "QT_QPA_PLATFORM": "offscreen",
    "QTWEBENGINE_DISABLE_SANDBOX": "1",  # it refuses to run as root otherwise
    "QTWEBENGINE_CHROMIUM_FLAGS": "--no-sandbox",
}


def run_sclang(folder: Path, script: str) -> str:
    """Run it until it calls ``0.exit``; returns all that was posted."""
    if not shutil.which("sclang"):
        pytest.skip("sclang is missing: apt-get install supercollider-language (or `make setup`)")
    settings, file, home = folder / "sclang.yaml", folder / "session.scd", folder / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    settings.write_text(f"includePaths:\n    - {FACE}\nexcludePaths: []\npostInlineWarnings: true\n")
    file.write_text(script)
    homes = dict.fromkeys(("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(home))
    ran = subprocess.run(
        ["sclang", "-l", str(settings), str(file)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **_WITHOUT_WINDOWS, **homes},
        text=True,
        timeout=120,
        check=False,
    )
    return ran.stdout
