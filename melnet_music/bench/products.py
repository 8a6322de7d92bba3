"""The matrix products that the ``cpu`` engine does for a chunk, on one thread: how many of which size.

Written down from the sizes alone, as `tier_kernels` and `recurrence` do them. Gates and draws are no products.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple

from melnet_music.sampling.cpu.gates import MINGRU
from melnet_music.sampling.cpu.packed_tier import PackedTier
from melnet_music.sampling.cpu.recurrence import BLOCK_ROWS
from melnet_music.sampling.cpu.target import PANEL_COLUMNS

Stack = Literal["extractor", "past", "frequency_delayed"]
"""``past``: time-delayed and centralized. ``frequency_delayed`` goes with the mixture, and with the draw."""
STACKS: tuple[Stack, ...] = ("extractor", "past", "frequency_delayed")


class Product(NamedTuple):
    """``[rows, inputs] @ [inputs, 16 * panels]``."""

    rows: int
    inputs: int
    panels: int
    fine: bool
    """With weights that are float32 in any precision of the engine."""
    chained: bool = False
    """Every sum in a few parts: `products.short_product`."""

    @property
    def multiply_adds(self) -> int:
        return self.rows * self.inputs * self.panels * PANEL_COLUMNS


Products = Counter[Product]


def products_of_chunk(packed: PackedTier, frames: int) -> dict[Stack, Products]:
    """Of one tier, for a chunk of so many of the tier's frames, all drawn."""
    return {
        "extractor": _extractor(packed, frames),
        "past": _times(_past_of_frame(packed), frames),
        "frequency_delayed": _times(_frequency_delayed_of_frame(packed), frames),
    }


def multiply_adds(products: Products) -> int:
    return sum(product.multiply_adds * count for product, count in products.items())


def _extractor(packed: PackedTier, frames: int) -> Products:
    p, products = packed.places, Products()
    if not packed.channels:
        return products
    for _ in ("later", "earlier"):
        products += _run_in_time(p.cell, p.gates, p.hidden, packed.channels, frames, p.bins, fine=True)
    for _ in ("higher", "lower"):
        products += _run_in_frequency(p.cell, p.gates, p.hidden, packed.channels, frames, p.bins, fine=True)
    products[Product(p.bins, 4 * p.hidden, _panels(p.hidden), fine=False)] += frames
    return products


def _past_of_frame(packed: PackedTier) -> Products:
    p, products = packed.places, Products()
    if p.central_hidden:
        products[Product(1, p.bins, _panels(p.central_hidden), fine=True)] += 1
        for _ in range(p.layers):
            products += _run_in_time(p.cell, p.gates, p.central_hidden, p.central_hidden, 1, 1)
            if p.central_project >= 0:
                products[Product(1, p.central_hidden, _panels(p.hidden), fine=False)] += 1
    products[Product(p.bins, 1, _panels(p.hidden), fine=True)] += 1
    for _ in range(p.layers):
        products += _run_in_time(p.cell, p.gates, p.hidden, p.hidden, 1, p.bins)
        for _ in ("upward", "downward"):
            products += _run_in_frequency(p.cell, p.gates, p.hidden, p.hidden, 1, p.bins)
        products[Product(p.bins, 3 * p.hidden, _panels(p.hidden), fine=False)] += 1
    return products


def _frequency_delayed_of_frame(packed: PackedTier) -> Products:
    p, products = packed.places, Products()
    gates = _panels(p.gates * p.hidden)
    products[Product(p.bins, p.hidden, gates, fine=False)] += p.layers
    products[Product(p.bins, p.hidden, _panels(p.theta), fine=True)] += 1
    # from here on bin by bin
    products[Product(1, 1, gates, fine=True)] += p.bins * p.layers
    products[Product(1, p.hidden, gates, fine=False)] += p.bins * (p.layers - 1)
    if p.cell != MINGRU:
        products[Product(1, p.hidden, gates, fine=False)] += p.bins * p.layers
    if p.layers > 2:
        products[Product(1, p.hidden, _panels(p.hidden), fine=False)] += p.bins * (p.layers - 1)
    products[Product(1, p.head_inputs, _panels(p.theta), fine=True, chained=True)] += p.bins
    return +products


def _run_in_time(
    cell: int, gates: int, hidden: int, inputs: int, frames: int, bins: int, *, fine: bool = False
) -> Products:
    products = Products()
    for top in range(0, bins, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, bins - top)
        products[Product(rows, inputs, _panels(gates * hidden), fine)] += frames
        if cell != MINGRU:
            products[Product(rows, hidden, _panels(gates * hidden), fine=False)] += frames
    return products


def _run_in_frequency(
    cell: int, gates: int, hidden: int, inputs: int, frames: int, bins: int, *, fine: bool = False
) -> Products:
    products = Products()
    for top in range(0, frames, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, frames - top)
        at_once = BLOCK_ROWS // rows
        for done in range(0, bins, at_once):
            products[Product(min(at_once, bins - done), inputs, _panels(gates * hidden), fine)] += rows
        if cell != MINGRU:
            products[Product(rows, hidden, _panels(gates * hidden), fine=False)] += bins
    return products


def _panels(width: int) -> int:
    return width // PANEL_COLUMNS


def _times(products: Products, count: int) -> Products:
    return Products({product: count * each for product, each in products.items()})
