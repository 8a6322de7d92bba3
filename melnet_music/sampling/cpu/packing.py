"""Weights as the micro-kernels read them: panels of 16 outputs, float32 or bfloat16."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from melnet_music.sampling.cpu.target import PANEL_COLUMNS, TARGET

Float32Array = NDArray[np.float32]


def padded(size: int) -> int:
    """``size`` rounded up to whole panels. Padding holds zeros, and every cell keeps a zero unit at zero."""
    return -(-size // PANEL_COLUMNS) * PANEL_COLUMNS


def panels(weights: NDArray[Any], *, bfloat16: bool) -> NDArray[Any]:
    """``[N, K]``, N a multiple of 16, as ``[N / 16, K, 16]`` in one row: float32, or bfloat16 as uint16.

    Where the processor adds products of bfloat16 in pairs, ``[N / 16, K / 2, 16, 2]``, an odd K with zeros behind.
    """
    if bfloat16 and TARGET.dots:
        weights = np.pad(weights, ((0, 0), (0, weights.shape[1] % 2)))
    outputs, inputs = weights.shape
    lines = weights.astype(np.float32).reshape(outputs // PANEL_COLUMNS, PANEL_COLUMNS, inputs).transpose(0, 2, 1)
    lines = np.ascontiguousarray(lines)
    return _bfloat16_lines(lines).reshape(-1) if bfloat16 else lines.reshape(-1)


def to_bfloat16(values: Float32Array) -> NDArray[np.uint16]:
    """Rounded to nearest, ties to even: the upper half of the float32."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def _bfloat16_lines(lines: Float32Array) -> NDArray[np.uint16]:
    """``[N / 16, K, 16]``: with less than 16 lanes, two vectors interleaved, to be parted by a shift and a mask."""
    halves, lanes = to_bfloat16(lines), TARGET.lanes
    if TARGET.dots:
        count, inputs, columns = halves.shape
        return np.ascontiguousarray(halves.reshape(count, inputs // 2, 2, columns).swapaxes(-1, -2))
    if lanes == PANEL_COLUMNS:
        return halves
    pairs = halves.reshape(*lines.shape[:-1], PANEL_COLUMNS // (2 * lanes), 2, lanes)
    return np.ascontiguousarray(pairs.swapaxes(-1, -2)).reshape(lines.shape)
