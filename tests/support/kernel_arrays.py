"""Arrays that the compiled kernels read and write, among numbers that show what else they touched."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

UNTOUCHED = np.array([0x7FC0BEEF], np.uint32).view(np.float32)[0]
"""Fills what a kernel is not to read or write: a NaN that would spread, and of bits that no arithmetic makes."""


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def same_bits(first: Array, second: Array) -> bool:
    return np.array_equal(np.ascontiguousarray(first).view(np.uint32), np.ascontiguousarray(second).view(np.uint32))


class Arena:
    """Grids at places of one array, with untouched numbers before, between and behind them and in their strides."""

    def __init__(self) -> None:
        self._parts: list[Array] = []
        self._size = 0
        self.add(np.full((1, 37), UNTOUCHED), 37)
        self.array = np.empty(0, np.float32)

    def add(self, grid: NDArray[Any], stride: int = 0) -> int:
        """Put ``[rows, columns]``, row after row ``stride`` apart (as wide as it is, unless told); its place."""
        rows, columns = grid.shape
        wide = np.full((rows, max(stride, columns)), UNTOUCHED)
        wide[:, :columns] = grid
        place = self._size
        self._parts += [wide.reshape(-1), np.full(19, UNTOUCHED)]
        self._size += wide.size + 19
        return place

    def room(self, rows: int, columns: int, stride: int = 0) -> int:
        """As `add`, of numbers that are still to be made."""
        return self.add(np.full((rows, columns), UNTOUCHED), stride)

    def build(self) -> Array:
        """The array itself."""
        self.array = np.concatenate(self._parts)
        self._before = self.array.copy()
        return self.array

    def grid(self, place: int, rows: int, columns: int, stride: int = 0) -> Array:
        """A view."""
        stride = stride or columns
        return np.lib.stride_tricks.as_strided(self.array[place:], (rows, columns), (4 * stride, 4))

    def assert_nothing_else_was_written(self, *grids: Array) -> None:
        """Everything but these views is as it was built."""
        now = self.array.copy()
        for grid in grids:
            for row in grid:
                first = (row.ctypes.data - self.array.ctypes.data) // 4
                now[first : first + len(row)] = self._before[first : first + len(row)]
        assert same_bits(now, self._before)
