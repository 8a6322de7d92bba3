"""The cuda engine where there is no card: its kernels interpreted, and compiled for one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Triton runs on Linux only")


def test_the_engine_in_the_interpreter_is_the_reference() -> None:
    """In a process of its own: see `cuda_contract`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider", "cuda_contract.py"],
        cwd=TESTS, env={**inherited, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
