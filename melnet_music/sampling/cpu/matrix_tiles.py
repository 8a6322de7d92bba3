"""Products on the processor's matrix registers (Intel AMX): blocks of 16 x 16 sums, bfloat16 in and float32 out.

Such a register, a tile, has 16 rows of 64 bytes. One instruction adds the product of 16 rows of 32 inputs with 32
inputs of a panel to 16 x 16 sums. A panel of pairs (`packing.panels`) is laid out as the instruction wants it. Every
row is summed on its own, 32 inputs at a time: its bits do not depend on the rows beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from melnet_music.sampling.cpu.target import PANEL_COLUMNS

TILE_ROWS = 16
TILE_PAIRS = 16
"""Pairs of inputs in a row of a tile."""
_TILE_BYTES = 64
_SUMS, _INPUTS, _WEIGHTS, _TILES = 0, 2, 3, 5
"""Tiles of sums (two), of inputs (one) and of weights (two)."""
_BYTE, _FLOAT, _INT64 = ir.IntType(8), ir.FloatType(), ir.IntType(64)
_POINTER = _BYTE.as_pointer()


@intrinsic  # type: ignore[untyped-decorator]
def zero(typing: Any, fourth: Any, floats: Any) -> Any:
    """So many float32 from a fourth of their address on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.inttoptr(builder.shl(arguments[0], _INT64(2)), _POINTER)
        cgutils.memset(builder, place, builder.mul(arguments[1], _INT64(4)), 0)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def fill_up_last(typing: Any, weights: Any, at: Any, whole: Any, pairs: Any, last: Any, number: Any) -> Any:
    """The panel's pairs behind the whole tiles as a tile, filled up with zeros: tile ``number`` of ``last`` (a fourth
    of its address)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        _, at, whole, pairs, last, number = arguments
        target = builder.inttoptr(builder.shl(last, _INT64(2)), _POINTER)
        target = builder.gep(target, [builder.mul(number, _INT64(_TILE_BYTES * TILE_PAIRS))])
        cgutils.memset(builder, target, _INT64(_TILE_BYTES * TILE_PAIRS), 0)
        source = builder.gep(data, [builder.add(at, builder.mul(whole, _INT64(2 * PANEL_COLUMNS)))])
        cgutils.raw_memcpy(
            builder, target, builder.bitcast(source, _POINTER), builder.sub(pairs, whole), _INT64(_TILE_BYTES)
        )
        return context.get_dummy_value()

    return types.void(weights, *(types.intp,) * 5), generate


@intrinsic  # type: ignore[untyped-decorator]
def configure_tiles(typing: Any, rows: Any) -> Any:
    """This thread's tiles, zeroed, for sums and inputs of so many rows (at most `TILE_ROWS`), until `release_tiles`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows = builder.trunc(arguments[0], _BYTE)
        # palette 1, then from byte 16 on the bytes of a row (16 bits each), from byte 48 on the rows
        layout = cgutils.alloca_once_value(builder, ir.Constant(ir.ArrayType(_BYTE, 64), bytearray(64)))
        start = builder.bitcast(layout, _POINTER)
        builder.store(ir.Constant(_BYTE, 1), start)
        for tile in range(_TILES):
            builder.store(ir.Constant(_BYTE, _TILE_BYTES), builder.gep(start, [_INT64(16 + 2 * tile)]))
            count = rows if tile < _WEIGHTS else ir.Constant(_BYTE, TILE_PAIRS)
            builder.store(count, builder.gep(start, [_INT64(48 + tile)]))
        _call(builder, "ldtilecfg", start)
        return context.get_dummy_value()

    return types.void(types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def release_tiles(typing: Any) -> Any:
    """Done with the tiles: the operating system need not keep them any longer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _call(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), generate


def make_matrix_tile(panels: int) -> Callable[..., None]:
    """A numba intrinsic: ``y[rows, 16 * panels] = start + x[rows, K] @ weights``, for a tile of rows.

    Its arguments: weights (bfloat16 as uint16) and the place of the first panel in them; a fourth of the address of
    what `fill_up_last` made of the panels; the arena (float32); pairs of inputs, and how many of them are in whole
    tiles; a fourth of the address of x, rounded by `to_pairs`, and its row stride in pairs; places and row strides of
    start and of y in the arena.

    One tile of rows at a time: those of two, and the weights of two panels, have no room in the first cache together.
    """

    def tile(
        typing: Any, weights: Any, at: Any, last: Any, arena: Any, pairs: Any, whole: Any, x: Any, ldx: Any, s: Any,
        lds: Any, y: Any, ldy: Any,
    ) -> Any:  # fmt: skip
        signature = types.void(weights, types.intp, types.intp, arena, *(types.intp,) * 8)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            data, floats = (context.make_array(signature.args[i])(context, builder, arguments[i]).data for i in (0, 3))
            emit_matrix_tile(builder, panels, data, floats, arguments)
            return context.get_dummy_value()

        return signature, generate

    made: Callable[..., None] = intrinsic(tile)
    return made


def emit_matrix_tile(builder: Any, panels: int, weights: Any, arena: Any, arguments: Any) -> None:
    """The code of `make_matrix_tile`; ``weights`` and ``arena``: pointers."""
    _, at, last, _, pairs, whole, x, ldx, start, lds, y, ldy = arguments
    first = builder.bitcast(builder.gep(weights, [at]), _POINTER)
    inputs, tail = (builder.inttoptr(builder.shl(fourth, _INT64(2)), _POINTER) for fourth in (x, last))
    pair_bytes, panel_bytes = _INT64(4 * PANEL_COLUMNS), builder.mul(pairs, _INT64(4 * PANEL_COLUMNS))
    row_bytes = builder.mul(ldx, _INT64(4))

    def columns(place: Any, panel: int) -> Any:
        return builder.bitcast(builder.gep(arena, [builder.add(place, _INT64(PANEL_COLUMNS * panel))]), _POINTER)

    def multiply_add(pair: Any, tiles: list[Any]) -> None:
        place = builder.gep(inputs, [builder.mul(pair, _INT64(4))])
        _call(builder, "tileloadd64", _INPUTS, place, row_bytes)
        for panel, tile in enumerate(tiles):
            _call(builder, "tileloadd64", _WEIGHTS + panel, tile, _INT64(_TILE_BYTES))
        for panel in range(panels):
            _call(builder, "tdpbf16ps", _SUMS + panel, _INPUTS, _WEIGHTS + panel)

    for panel in range(panels):
        _call(builder, "tileloadd64", _SUMS + panel, columns(start, panel), builder.mul(lds, _INT64(4)))
    with cgutils.for_range_slice(builder, _INT64(0), whole, _INT64(TILE_PAIRS)) as (pair, _):
        place = builder.gep(first, [builder.mul(pair, pair_bytes)])
        multiply_add(pair, [builder.gep(place, [builder.mul(panel_bytes, _INT64(panel))]) for panel in range(panels)])
    with builder.if_then(builder.icmp_signed("<", whole, pairs)):
        multiply_add(whole, [builder.gep(tail, [_INT64(panel * TILE_PAIRS * _TILE_BYTES)]) for panel in range(panels)])
    for panel in range(panels):
        _call(builder, "tilestored64", _SUMS + panel, columns(y, panel), builder.mul(ldy, _INT64(4)))


def _call(builder: Any, name: str, *operands: Any) -> None:
    """An instruction; plain numbers are tiles, which it wants as constants."""
    values = [_BYTE(each) if isinstance(each, int) else each for each in operands]
    kind = ir.FunctionType(ir.VoidType(), [value.type for value in values])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}"), values)
