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


COMPILING = """
import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from melnet_music.sampling.cuda import draw_kernel, scan_kernel

DRAWN_BY = {
    "GATES": 2, "HIDDEN": 16, "LAYERS": 3, "BINS": 8, "COMPONENTS": 3, "SOFTPLUS": True, "LIMIT": 8.0, "SCRATCH": 160,
    "BLOCK_BINS": 8, "BLOCK_COMPONENTS": 4, "BLOCK_HEAD": 16, "BLOCK_INPUTS": 16, "BLOCK_UNITS": 16, "STAGES": 2,
}
WEIGHTS = dict.fromkeys(("carry", "recur", "project"), "*bf16")
KINDS = {"known": "*i32", "table": "*i32", "log_sigma_floor": "fp32", **WEIGHTS}
NUMBERS = ("frame", "frames", "batch", "hidden", "count")


def compile_for_card(kernel, constants, warps):
    kinds = {
        name: "constexpr" if name in constants else "i32" if name in NUMBERS else KINDS.get(name, "*fp32")
        for name in kernel.arg_names
    }
    source = ASTSource(kernel, kinds, constants)
    made = triton.compile(source, target=GPUTarget("cuda", 80, 32), options={"num_warps": warps})
    assert len(made.asm["cubin"]) > 0


compile_for_card(scan_kernel._scan, {"LATER": True, "BLOCK": 32, "AHEAD": 2}, 1)
for cell, gates in ((0, 2), (2, 4)):
    compile_for_card(draw_kernel._draw_frame, {**DRAWN_BY, "CELL": cell, "GATES": gates}, 4)
print("compiled")
"""


def test_the_kernels_are_compiled_for_a_card(tmp_path: Path) -> None:
    """The interpreter takes more than the compiler does; what comes out cannot run here."""
    inherited = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    result = subprocess.run(
        [sys.executable, "-c", COMPILING], capture_output=True, text=True, timeout=300,
        env={**inherited, "TRITON_CACHE_DIR": str(tmp_path)}, cwd=TESTS.parent.parent,
    )  # fmt: skip
    assert result.stdout == "compiled\n", result.stderr
