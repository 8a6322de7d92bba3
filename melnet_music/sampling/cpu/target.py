"""What the processor offers to the micro-kernels: vector length and registers, and the tile shapes that fit them."""

from __future__ import annotations

import ctypes
import platform
from dataclasses import dataclass, replace

from numba.core import config as numba_config
from numba.core.codegen import get_host_cpu_features


@dataclass(frozen=True)
class Target:
    """One family of processors."""

    name: str
    lanes: int
    """float32 values in a vector register; divides `PANEL_COLUMNS`."""
    fused: bool
    """Whether a multiply-add is one instruction."""
    tall_rows: int
    tall_panels: int
    """Tile of a matrix product: its accumulators, a column of weights and one broadcast value fill the registers."""
    flat_panels: int
    """Panels of a vector product at once: enough accumulators to hide the latency of a multiply-add."""
    dots: bool = False
    """Whether there is an instruction that adds products of bfloat16 in pairs: twice as many at once."""
    tiles: bool = False
    """Whether there are matrix registers for bfloat16 besides: 16 times as many at once."""


PANEL_COLUMNS = 16
"""Columns of a packed panel: one cache line of float32, whatever the processor."""

AVX512 = Target("avx512", lanes=16, fused=True, tall_rows=6, tall_panels=4, flat_panels=8)
AVX512_BF16 = Target("avx512-bf16", lanes=16, fused=True, tall_rows=6, tall_panels=4, flat_panels=8, dots=True)
AMX = replace(AVX512_BF16, name="amx", tiles=True)
AVX2 = Target("avx2", lanes=8, fused=True, tall_rows=6, tall_panels=1, flat_panels=4)
NEON = Target("neon", lanes=4, fused=True, tall_rows=6, tall_panels=1, flat_panels=2)
PORTABLE = Target("portable", lanes=4, fused=False, tall_rows=2, tall_panels=1, flat_panels=2)
"""Four lanes, multiply and add apart: what every processor that LLVM knows has, or can be made to have."""


def choose_target(machine: str, features: set[str]) -> Target:
    """The best target for a machine and its features, by LLVM's names."""
    if machine.lower() in ("arm64", "aarch64"):
        return NEON
    if {"avx512f", "avx512bf16", "amx-tile", "amx-bf16"} <= features:
        return AMX
    if {"avx512f", "avx512bf16"} <= features:
        return AVX512_BF16
    if "avx512f" in features:
        return AVX512
    return AVX2 if {"avx2", "fma"} <= features else PORTABLE


def _features() -> set[str]:
    """Features that numba will compile for: NUMBA_CPU_FEATURES and NUMBA_ENABLE_AVX count, as everywhere in numba."""
    features = get_host_cpu_features() if numba_config.CPU_FEATURES is None else numba_config.CPU_FEATURES
    known = {part[1:] for part in features.split(",") if part.startswith("+")}
    return known if "amx-tile" not in known or _may_use_tiles() else known - {"amx-tile"}


def _may_use_tiles() -> bool:
    """Ask Linux for the matrix registers, for this process and its threads; other systems have no such way."""
    if platform.system() != "Linux":
        return False
    call = ctypes.CDLL(None).syscall
    return bool(call(_ARCH_PRCTL, _REQUEST_STATE, _TILE_DATA) == 0)


_ARCH_PRCTL, _REQUEST_STATE, _TILE_DATA = 158, 0x1023, 18
"""Numbers of the x86-64 system call, of what is asked (``ARCH_REQ_XCOMP_PERM``), and of the registers' state: Linux,
``Documentation/arch/x86/xstate.rst``."""


TARGET = choose_target(platform.machine(), _features())
