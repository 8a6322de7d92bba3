"""Whether a card can be used, told in milliseconds: neither torch nor Triton is imported to say no."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LEAST_CAPABILITY = (7, 0)
"""Triton's kernels want Volta or later."""
LEAST_MEMORY_MIB = 3000
"""Torch with its libraries takes near a third of it, the largest shipped preset with a captured chunk as much again."""
_DEVICE_FILES = Path("/dev")
_MAJOR, _MINOR = 75, 76
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR of the CUDA driver API."""
_NO_DEVICE = 100
"""CUDA_ERROR_NO_DEVICE: none is visible."""
_MIB = 1 << 20
_BUILT_WITHOUT = re.compile(r"^cuda\b.*= *None", re.MULTILINE)


def why_not() -> str | None:
    """Why the engine ``cuda`` cannot run here, in a line that says how to mend it; None: nothing speaks against it.

    Where Triton's interpreter was asked for (TRITON_INTERPRET=1), a CPU will do.
    """
    if os.environ.get("TRITON_INTERPRET") == "1":
        return None if find_spec("triton") else _no_triton()
    if sys.platform != "linux":
        return "Triton runs on Linux only"
    if not any(_DEVICE_FILES.glob("nvidia[0-9]*")) and not (_DEVICE_FILES / "dxg").exists():
        return "no CUDA card was found (no /dev/nvidia0): if there is one, install its driver"
    if find_spec("triton") is None:
        return _no_triton()
    return _why_not_the_card() or _why_not_torch()


def _no_triton() -> str:
    return "Triton is missing: pip install 'melnet-music[cuda]'"


def _why_not_the_card() -> str | None:
    """By the driver's own library; the first card is the one that would be used."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "there is a CUDA card, and no driver for it (libcuda.so.1): install NVIDIA's driver"
    failed = driver.cuInit(0)
    if failed not in (0, _NO_DEVICE):
        return f"the CUDA driver does not start (error {failed}): see that nvidia-smi works"
    count, card = ctypes.c_int(), ctypes.c_int()
    if not failed:
        driver.cuDeviceGetCount(ctypes.byref(count))
    if count.value < 1 or driver.cuDeviceGet(ctypes.byref(card), 0):
        return "the CUDA driver shows no card: see that nvidia-smi works, and CUDA_VISIBLE_DEVICES"
    return unfit(*_capability(driver, card), _memory_mib(driver, card))


def _capability(driver: Any, card: ctypes.c_int) -> tuple[int, int]:
    value, parts = ctypes.c_int(), []
    for attribute in (_MAJOR, _MINOR):
        driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, card)
        parts.append(value.value)
    return parts[0], parts[1]


def _memory_mib(driver: Any, card: ctypes.c_int) -> int:
    size = ctypes.c_size_t()
    driver.cuDeviceTotalMem_v2(ctypes.byref(size), card)
    return size.value // _MIB


def unfit(major: int, minor: int, memory_mib: int) -> str | None:
    """Why a card of a compute capability and so much memory will not do."""
    if (major, minor) < LEAST_CAPABILITY:
        wanted = ".".join(map(str, LEAST_CAPABILITY))
        return f"the CUDA card is too old: compute capability {major}.{minor}, want {wanted} or more"
    if memory_mib < LEAST_MEMORY_MIB:
        return f"the CUDA card is too small: {memory_mib} MiB, want {LEAST_MEMORY_MIB} or more"
    return None


def _why_not_torch() -> str | None:
    """By the file in which torch tells how it was built: its import takes seconds."""
    found = find_spec("torch")
    version = Path(found.origin or "").with_name("version.py") if found else None
    if version and version.is_file() and _BUILT_WITHOUT.search(version.read_text(encoding="utf-8")):
        return "torch was built without CUDA: install its CUDA build (https://pytorch.org/get-started/locally)"
    return None
