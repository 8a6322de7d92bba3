"""Products with packed weights, cut into the tiles of `micro_kernels`."""

from __future__ import annotations

from typing import Any

from melnet_music.sampling.cpu.compiled import apart, inner, pasted
from melnet_music.sampling.cpu.matrix_tiles import (
    TILE_PAIRS,
    TILE_ROWS,
    configure_tiles,
    fill_up_last,
    make_matrix_tile,
    release_tiles,
    zero,
)
from melnet_music.sampling.cpu.micro_kernels import are_paired, make_tile, room_on_stack, to_pairs
from melnet_music.sampling.cpu.target import PANEL_COLUMNS, TARGET

_TALL_ROWS, _TALL_PANELS, _FLAT_PANELS = TARGET.tall_rows, TARGET.tall_panels, TARGET.flat_panels
_HALF_ROWS = 4
_ROUNDED_ROWS = 48
"""Rows that are rounded to bfloat16 at once, on the stack."""
_tall_wide = make_tile(_TALL_ROWS, _TALL_PANELS)
_tall = make_tile(_TALL_ROWS, 1)
_half = make_tile(_HALF_ROWS, 1)
_flat_wide = make_tile(1, _FLAT_PANELS)
_flat = make_tile(1, 1)
CHAINS = 4
_chained = make_tile(1, 1, chains=CHAINS)
_MATRIX_TILES, _MATRIX_ROWS = TARGET.tiles, 160
"""With matrix registers, rows that the weights are read once for."""
_matrix_wide = make_matrix_tile(2)
_matrix = make_matrix_tile(1)


@inner
def product(
    weights: Any, at: int, panels: int, k: int, arena: Any, x: int, ldx: int, start: int, lds: int, y: int, ldy: int,
    rows: int,
) -> None:  # fmt: skip
    """``y[rows, 16 * panels] = start + x[rows, K] @ weights``; places and row strides in the arena."""
    apart()
    if not are_paired(weights):
        _in_tiles(weights, at, panels, k, arena, x, ldx, start, lds, y, ldy, rows)
        return
    if _MATRIX_TILES:  # a constant: elsewhere numba leaves out what no other processor understands
        _in_matrix_tiles(weights, at, panels, k, arena, x, ldx, start, lds, y, ldy, rows)
        return
    pairs = (k + 1) // 2
    room = room_on_stack(min(rows, _ROUNDED_ROWS) * pairs)
    for top in range(0, rows, _ROUNDED_ROWS):
        here = min(_ROUNDED_ROWS, rows - top)
        for r in range(here):
            to_pairs(arena, x + (top + r) * ldx, k, room + r * pairs)
        _in_tiles(
            weights, at, panels, pairs, arena, room, pairs, start + top * lds, lds, y + top * ldy, ldy, here
        )  # fmt: skip


@inner
def _in_matrix_tiles(
    weights: Any, at: int, panels: int, k: int, arena: Any, x: int, ldx: int, start: int, lds: int, y: int, ldy: int,
    rows: int,
) -> None:  # fmt: skip
    apart()
    pairs = (k + 1) // 2
    whole, step = pairs // TILE_PAIRS * TILE_PAIRS, -(-pairs // TILE_PAIRS) * TILE_PAIRS
    room = room_on_stack(-(-min(rows, _MATRIX_ROWS) // TILE_ROWS) * TILE_ROWS * step)
    last = room_on_stack(2 * TILE_PAIRS * PANEL_COLUMNS)
    for top in range(0, rows, _MATRIX_ROWS):
        here = min(_MATRIX_ROWS, rows - top)
        for r in range(here):
            to_pairs(arena, x + (top + r) * ldx, k, room + r * step)
            zero(room + r * step + pairs, step - pairs)
        full = here // TILE_ROWS * TILE_ROWS
        for first, until in ((0, full), (full, here)):
            if first == until:
                continue
            configure_tiles(min(until - first, TILE_ROWS))
            for panel in range(0, panels, 2):
                wide = panel + 2 <= panels
                place, column = at + panel * pairs * 2 * PANEL_COLUMNS, panel * PANEL_COLUMNS
                if whole < pairs:
                    for p in range(1 + wide):
                        fill_up_last(weights, place + p * pairs * 2 * PANEL_COLUMNS, whole, pairs, last, p)
                for row in range(first, until, TILE_ROWS):
                    from_row, to_row = start + (top + row) * lds + column, y + (top + row) * ldy + column
                    x_row = room + row * step
                    if wide:
                        _matrix_wide(weights, place, last, arena, pairs, whole, x_row, step, from_row, lds, to_row, ldy)
                    else:
                        _matrix(weights, place, last, arena, pairs, whole, x_row, step, from_row, lds, to_row, ldy)
    release_tiles()


@inner
def _in_tiles(
    weights: Any, at: int, panels: int, k: int, arena: Any, x: int, ldx: int, start: int, lds: int, y: int, ldy: int,
    rows: int,
) -> None:  # fmt: skip
    apart()
    line = PANEL_COLUMNS * (2 if are_paired(weights) else 1)
    tall_rows = rows // _TALL_ROWS * _TALL_ROWS
    panel = 0
    while panel < panels:
        width = _TALL_PANELS if panel + _TALL_PANELS <= panels else 1
        column = panel * PANEL_COLUMNS
        place = at + panel * k * line
        for r in range(0, tall_rows, _TALL_ROWS):
            if width == _TALL_PANELS:
                _tall_wide(
                    weights, place, arena, k, x + r * ldx, ldx, start + r * lds + column, lds, y + r * ldy + column, ldy
                )
            else:
                _tall(
                    weights, place, arena, k, x + r * ldx, ldx, start + r * lds + column, lds, y + r * ldy + column, ldy
                )
        panel += width
    row = tall_rows
    if row + _HALF_ROWS <= rows:
        for panel in range(panels):
            column = panel * PANEL_COLUMNS
            for r in range(row, rows - _HALF_ROWS + 1, _HALF_ROWS):
                _half(
                    weights, at + panel * k * line, arena, k,
                    x + r * ldx, ldx, start + r * lds + column, lds, y + r * ldy + column, ldy,
                )  # fmt: skip
        row += (rows - row) // _HALF_ROWS * _HALF_ROWS
    for r in range(row, rows):
        panel = 0
        while panel + _FLAT_PANELS <= panels:
            column = panel * PANEL_COLUMNS
            _flat_wide(
                weights,
                at + panel * k * line,
                arena,
                k,
                x + r * ldx,
                0,
                start + r * lds + column,
                0,
                y + r * ldy + column,
                0,
            )
            panel += _FLAT_PANELS
        while panel < panels:
            column = panel * PANEL_COLUMNS
            _flat(
                weights,
                at + panel * k * line,
                arena,
                k,
                x + r * ldx,
                0,
                start + r * lds + column,
                0,
                y + r * ldy + column,
                0,
            )
            panel += 1


@pasted
def short_product(weights: Any, at: int, panels: int, k: int, arena: Any, x: int, start: int, y: int) -> None:
    """``y[16 * panels] = start + x[K] @ weights`` for a few panels, K a multiple of `CHAINS`.

    Few panels have few sums to keep the processor busy with: each is made in four parts, added up at the end.
    """
    for panel in range(panels):
        column = panel * PANEL_COLUMNS
        _chained(weights, at + column * k, arena, k // CHAINS, x, 0, start + column, 0, y + column, 0)
