"""The inverse of the cpu engine's packing, written anew."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from melnet_music.sampling.cpu.target import AVX2, AVX512, NEON, PANEL_COLUMNS, PORTABLE, TARGET, Target

TARGETS = [AVX512, AVX2, NEON, PORTABLE]
"""Those whose tiles any compiler can make, if need be of shorter vectors."""


def from_bfloat16(halves: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The inverse of `to_bfloat16`, exactly."""
    return (halves.astype(np.uint32) << 16).view(np.float32)


def unpacked(stored: NDArray[Any], outputs: int, inputs: int, target: Target = TARGET) -> NDArray[np.float32]:
    """The matrix ``[outputs, inputs]`` whose panels ``stored`` begins with: float32, or bfloat16 as uint16."""
    lanes = target.lanes
    if stored.dtype == np.uint16 and target.dots:
        pairs = (inputs + 1) // 2
        apart = stored[: outputs * 2 * pairs].reshape(outputs // PANEL_COLUMNS, pairs, PANEL_COLUMNS, 2)
        whole = from_bfloat16(np.ascontiguousarray(apart.transpose(0, 2, 1, 3))).reshape(outputs, 2 * pairs)
        assert (whole[:, inputs:] == 0).all()
        return whole[:, :inputs]
    panels = stored[: outputs * inputs].reshape(outputs // PANEL_COLUMNS, inputs, PANEL_COLUMNS)
    columns = np.arange(PANEL_COLUMNS)
    if panels.dtype == np.uint16:
        # within two vectors, output i is the lower half of the i-th pair, or the upper of the one `lanes` before
        if lanes < PANEL_COLUMNS:
            block, within = np.divmod(columns, 2 * lanes)
            upper, pair = np.divmod(within, lanes)
            panels = panels[:, :, block * 2 * lanes + 2 * pair + upper]
        panels = from_bfloat16(np.ascontiguousarray(panels))
    matrix: NDArray[np.float32] = panels.transpose(0, 2, 1).reshape(outputs, inputs)
    return matrix
