"""The cpu engine on a processor of which nothing is known."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

from melnet_music.model.cells import CELLS

TESTS = Path(__file__).parent

RUN_THERE = [
    "test_cpu_products.py::test_a_product_of_any_number_of_rows_and_panels",
    "test_cpu_products.py::test_a_product_with_bfloat16_is_that_with_the_rounded_weights",
    "test_cpu_products.py::test_a_row_s_bits_do_not_depend_on_how_many_rows_are_computed_beside_it",
    "test_cpu_products.py::test_a_short_product",
    "test_cpu_gates.py::test_gates_are_torch_s",
    "test_cpu_gates.py::test_a_padded_unit_stays_zero",
    "test_cpu_gates.py::test_exp_is_right_to_the_last_bits_or_so",
    "test_cpu_gates.py::test_exp_is_clamped_to_what_a_float_can_hold",
    *(f"test_cpu_engine.py::test_frames_and_states_are_the_references[three panels-{cell}]" for cell in CELLS),
]
"""Tests that hold on every processor, run anew for that one: numba keeps what it compiles by processor."""


def test_the_kernels_hold_without_any_feature() -> None:
    """Four lanes, multiply and add apart; on an ARM processor vectors of four are always there."""
    running = """
import sys
import pytest
from melnet_music.sampling.cpu.target import TARGET

print("target:", TARGET.name, flush=True)
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "PYTEST_"))}
    unknown = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    result = subprocess.run(
        [sys.executable, "-c", running, *RUN_THERE],
        cwd=TESTS, env=inherited | unknown, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    name = "neon" if platform.machine().lower() in ("arm64", "aarch64") else "portable"
    assert result.stdout.startswith(f"target: {name}\n"), result.stdout + result.stderr
    assert result.returncode == 0, result.stdout + result.stderr
