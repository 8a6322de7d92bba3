"""What this machine needs at least for a chunk: each matrix product alone, again and again, its weights at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from melnet_music.bench.products import Product, Products
from melnet_music.bench.turns import Spent, timed
from melnet_music.sampling.cpu.compiled import apart, compiled, inner
from melnet_music.sampling.cpu.packed_tier import aligned_zeros
from melnet_music.sampling.cpu.packing import to_bfloat16
from melnet_music.sampling.cpu.products import product, short_product
from melnet_music.sampling.cpu.target import PANEL_COLUMNS

_MULTIPLY_ADDS = 1 << 24
"""For one measurement of a product: about half a millisecond."""
_CALL_MULTIPLY_ADDS = 1 << 10
"""What a call costs besides, in the time of multiply-adds; only to choose how often it is called."""


class ProductAlone:
    """One product in a loop of its own, with numbers to work on."""

    def __init__(self, size: Product, *, bfloat16: bool) -> None:
        """``bfloat16``: the engine's precision; fine weights are float32 all the same."""
        self._size = size
        self._times = -(-_MULTIPLY_ADDS // (size.multiply_adds + _CALL_MULTIPLY_ADDS))
        random = np.random.default_rng(0)
        rows, inputs, width = size.rows, size.inputs, size.panels * PANEL_COLUMNS
        self._start = -(-rows * inputs // PANEL_COLUMNS) * PANEL_COLUMNS
        self._y = self._start + width
        self._arena = aligned_zeros(self._y + rows * width, np.float32)
        self._arena[: rows * inputs] = random.standard_normal(rows * inputs, np.float32)
        weights = random.standard_normal(inputs * width, np.float32)
        rounded = to_bfloat16(weights) if bfloat16 and not size.fine else weights
        self._weights = aligned_zeros(len(rounded), rounded.dtype)
        self._weights[:] = rounded

    def time(self) -> Spent:
        """Of one product, when it is done again and again."""
        return timed(self._run).each(self._times)

    def _run(self) -> None:
        size = self._size
        if size.chained:
            _repeat_short(
                self._times, self._weights, size.panels, size.inputs, self._arena, self._start, self._y
            )  # fmt: skip
        else:
            _repeat(
                self._times, self._weights, size.panels, size.inputs, self._arena, self._start, self._y, size.rows
            )  # fmt: skip


def floor_jobs(sizes: set[Product], *, bfloat16: bool) -> dict[Product, Callable[[], Spent]]:
    """To be done in turn: each says what one product of its size took."""
    return {size: ProductAlone(size, bfloat16=bfloat16).time for size in sizes}


def floor_seconds(products: Products, spent: Mapping[Any, Spent]) -> float:
    """CPU time of so many products, one after the other."""
    return sum(count * spent[size].cpu_s for size, count in products.items())


@compiled
def _repeat(times: int, weights: Any, panels: int, k: int, arena: Any, start: int, y: int, rows: int) -> None:
    for _ in range(times):
        product(weights, 0, panels, k, arena, 0, k, start, 0, y, panels * PANEL_COLUMNS, rows)


@compiled
def _repeat_short(times: int, weights: Any, panels: int, k: int, arena: Any, start: int, y: int) -> None:
    for _ in range(times):
        _short(weights, panels, k, arena, start, y)


@inner
def _short(weights: Any, panels: int, k: int, arena: Any, start: int, y: int) -> None:
    apart()
    short_product(weights, 0, panels, k, arena, 0, start, y)
