"""The processor that the cpu engine's kernels are made for."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
from packed_panels import TARGETS

from melnet_music.sampling.cpu import packing
from melnet_music.sampling.cpu.target import (
    AMX,
    AVX2,
    AVX512,
    AVX512_BF16,
    NEON,
    PORTABLE,
    Target,
    choose_target,
)

targets = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


@pytest.mark.parametrize(
    ("machine", "features", "expected"),
    [
        ("x86_64", {"avx512f", "avx2", "fma", "sse2"}, AVX512),
        ("x86_64", {"avx512f", "avx512bf16", "avx2", "fma", "sse2"}, AVX512_BF16),
        ("x86_64", {"avx512f", "avx512bf16", "amx-tile", "amx-bf16", "avx2", "fma"}, AMX),
        ("x86_64", {"avx512f", "avx512bf16", "amx-bf16", "avx2", "fma"}, AVX512_BF16),
        ("AMD64", {"avx2", "fma", "avx"}, AVX2),
        ("x86_64", {"avx2", "avx"}, PORTABLE),
        ("x86_64", {"fma", "avx"}, PORTABLE),
        ("x86_64", set(), PORTABLE),
        ("arm64", {"neon"}, NEON),
        ("aarch64", set(), NEON),
        ("ARM64", set(), NEON),
        ("riscv64", {"v"}, PORTABLE),
    ],
)
def test_the_target_follows_from_machine_and_features(machine: str, features: set[str], expected: Target) -> None:
    assert choose_target(machine, features) is expected


@targets
def test_a_target_s_vectors_fill_a_panel(target: Target) -> None:
    assert packing.PANEL_COLUMNS % target.lanes == 0
    # two interleaved vectors of bfloat16, or one
    assert target.lanes == packing.PANEL_COLUMNS or packing.PANEL_COLUMNS % (2 * target.lanes) == 0


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="features of x86")
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"NUMBA_CPU_NAME": "generic"}, "portable"),
        ({"NUMBA_CPU_FEATURES": "+avx,+avx2,-fma"}, "portable"),
        ({"NUMBA_CPU_FEATURES": "+avx,+avx2,+fma"}, "avx2"),
        ({"NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+avx512f"}, "avx512"),
        ({"NUMBA_ENABLE_AVX": "0"}, "portable"),
    ],
    ids=str,
)
def test_numba_s_settings_count(settings: dict[str, str], expected: str) -> None:
    printing = "from melnet_music.sampling.cpu.target import TARGET; print(TARGET.name)"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    result = subprocess.run(
        [sys.executable, "-c", printing],
        env=inherited | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert result.stdout.strip() == expected
