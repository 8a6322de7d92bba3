"""Products of a few rows with packed panels of weights, written as LLVM IR: every accumulator stays in a register.

A panel is ``[K, 16]``: the weights of 16 outputs, row after row of inputs, so that one stream of memory feeds both
the product of a matrix and that of a vector. Every output is summed over k in order, one multiply-add after the
other: its bits do not depend on the tile that computes it, nor on the threads that share the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from melnet_music.sampling.cpu.target import PANEL_COLUMNS, TARGET, Target


class _BFloat(ir.Type):  # type: ignore[misc]
    """LLVM's bfloat, which llvmlite has no name for."""

    intrinsic_name = "bf16"

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat)

    def __hash__(self) -> int:
        return hash(_BFloat)


_FLOAT, _BFLOAT, _INT32, _INT64 = ir.FloatType(), _BFloat(), ir.IntType(32), ir.IntType(64)


def make_tile(rows: int, panels: int, *, chains: int = 1, target: Target = TARGET) -> Callable[..., None]:
    """A numba intrinsic: ``y[rows, 16 * panels] = start + x[rows, K] @ weights``, K at least 1.

    Its arguments: weights (float32, or bfloat16 as uint16) and the place of the first panel in them; the arena
    (float32) that holds all else; K; then place and row stride of x, of start, and of y in the arena. A row stride
    of 0 for start gives all rows the same. With ``chains``, the inputs are ``chains * K``, and each K of them are
    summed apart (one row and one panel only).

    With weights in bfloat16 on a target with ``dots``, K counts pairs of inputs, and the place of x is a fourth of the
    address of what `to_pairs` made of them: the products of a pair are added at once.
    """

    def tile(typing: Any, weights: Any, at: Any, arena: Any, k: Any, x: Any, ldx: Any, s: Any, lds: Any, y: Any,
             ldy: Any) -> Any:  # fmt: skip
        places = (types.intp,) * 7
        signature = types.void(weights, types.intp, arena, *places)
        packed = weights.dtype == types.uint16

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _Tile(context, builder, signature, arguments, rows, panels, chains, packed, target).emit()
            return context.get_dummy_value()

        return signature, generate

    made: Callable[..., None] = intrinsic(tile)
    return made


class _Tile:
    """Emits one tile's code."""

    def __init__(
        self, context: Any, builder: Any, signature: Any, arguments: Any, rows: int, panels: int, chains: int,
        packed: bool, target: Target,
    ) -> None:  # fmt: skip
        self._builder, self._rows, self._panels, self._chains = builder, rows, panels, chains
        self._packed, self._target = packed, target
        self._paired = packed and target.dots
        self._vector = ir.VectorType(_FLOAT, target.lanes)
        self._per_panel = PANEL_COLUMNS // target.lanes
        weights, arena = (context.make_array(signature.args[i])(context, builder, arguments[i]).data for i in (0, 2))
        self._weights = builder.gep(weights, [arguments[1]])
        self._k, x, self._ldx, start, self._lds, y, self._ldy = arguments[3:]
        self._start, self._y = (builder.gep(arena, [place]) for place in (start, y))
        self._x = _from_fourth(builder, x) if self._paired else builder.gep(arena, [x])
        self._line = PANEL_COLUMNS * (1 + self._paired)

    def emit(self) -> None:
        builder, chains = self._builder, self._chains
        cells = [(row, v) for row in range(self._rows) for v in range(self._panels * self._per_panel)]
        starts = [self._load(self._cell(self._start, self._lds, *cell), self._vector) for cell in cells]
        starts += [ir.Constant(self._vector, [0.0] * self._target.lanes)] * (len(cells) * (chains - 1))
        # a stream of weights for every panel, or for every chain of the only one
        step = builder.mul(self._k, _INT64(self._line))
        streams = [builder.gep(self._weights, [builder.mul(step, _INT64(i))]) for i in range(self._panels * chains)]
        # one moving pointer for every three rows: the others are it plus one or two strides, which x86 adds for free
        row_step = self._k if chains > 1 else self._ldx
        rows = self._rows * chains
        anchors = [builder.gep(self._x, [builder.mul(row_step, _INT64(row))]) for row in range(0, rows, 3)]
        strides = [_INT64(0), row_step, builder.mul(row_step, _INT64(2))]
        before = builder.block
        loop, after = builder.append_basic_block("over_k"), builder.append_basic_block("summed")
        builder.branch(loop)
        builder.position_at_end(loop)
        k = self._counted(builder.phi(_INT64), _INT64(0), before)
        moving = [self._counted(builder.phi(place.type), place, before) for place in (*anchors, *streams)]
        sums = [self._counted(builder.phi(self._vector), start, before) for start in starts]
        lines = [self._panel_line(stream) for stream in moving[len(anchors) :]]
        added: list[Any] = []
        for row in range(rows):
            value = self._broadcast(builder.load(builder.gep(moving[row // 3], [strides[row % 3]])))
            for column in lines[row] if chains > 1 else [vector for line in lines for vector in line]:
                added.append(self._multiply_add(value, column, sums[len(added)]))
        following = builder.add(k, _INT64(1))
        k.add_incoming(following, loop)
        for place, step in zip(moving, [1] * len(anchors) + [self._line] * len(streams), strict=True):
            place.add_incoming(builder.gep(place, [_INT64(step)]), loop)
        for total, value in zip(sums, added, strict=True):
            total.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", following, self._k), loop, after)
        builder.position_at_end(after)
        while len(added) > len(cells):
            added = [
                builder.fadd(a, b) for a, b in zip(added[: len(added) // 2], added[len(added) // 2 :], strict=True)
            ]
        for cell, value in zip(cells, added, strict=True):
            builder.store(value, self._cell(self._y, self._ldy, *cell)).align = 4

    def _counted(self, phi: Any, value: Any, block: Any) -> Any:
        phi.add_incoming(value, block)
        return phi

    def _cell(self, base: Any, stride: Any, row: int, v: int) -> Any:
        builder = self._builder
        place = builder.add(builder.mul(stride, _INT64(row)), _INT64(v * self._target.lanes))
        return builder.bitcast(builder.gep(base, [place]), self._vector.as_pointer())

    def _load(self, pointer: Any, kind: Any) -> Any:
        loaded = self._builder.load(self._builder.bitcast(pointer, kind.as_pointer()))
        loaded.align = 2 if self._packed else 4
        return loaded

    def _panel_line(self, pointer: Any) -> list[Any]:
        """One input's 16 weights, a vector for every ``lanes`` outputs (`packing.bfloat16_panels` for the order)."""
        builder, lanes = self._builder, self._target.lanes
        if not self._packed:
            places = range(0, PANEL_COLUMNS, lanes)
            return [self._load(builder.gep(pointer, [_INT64(place)]), self._vector) for place in places]
        if self._paired:
            return [self._load(pointer, ir.VectorType(_BFLOAT, 2 * lanes))]
        words = ir.VectorType(_INT32, lanes)
        sixteen, upper = ir.Constant(words, [16] * lanes), ir.Constant(words, [-65536] * lanes)
        if lanes == PANEL_COLUMNS:
            wide = builder.zext(self._load(pointer, ir.VectorType(ir.IntType(16), lanes)), words)
            return [builder.bitcast(builder.shl(wide, sixteen), self._vector)]
        line = []
        for place in range(0, PANEL_COLUMNS, 2 * lanes):
            pairs = self._load(builder.gep(pointer, [_INT64(place)]), words)
            line += [builder.shl(pairs, sixteen), builder.and_(pairs, upper)]
        return [builder.bitcast(vector, self._vector) for vector in line]

    def _broadcast(self, value: Any) -> Any:
        builder, undefined = self._builder, ir.Constant(self._vector, ir.Undefined)
        first = builder.insert_element(undefined, value, _INT32(0))
        return builder.shuffle_vector(
            first, undefined, ir.Constant(ir.VectorType(_INT32, self._target.lanes), [0] * self._target.lanes)
        )

    def _multiply_add(self, a: Any, b: Any, total: Any) -> Any:
        builder = self._builder
        if self._paired:
            pairs = ir.VectorType(_BFLOAT, 2 * self._target.lanes)
            kind = ir.FunctionType(self._vector, [self._vector, pairs, pairs])
            dot = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512bf16.dpbf16ps.512")
            return builder.call(dot, [total, builder.bitcast(a, pairs), b])
        if not self._target.fused:
            return builder.fadd(total, builder.fmul(a, b))
        name = f"llvm.fma.v{self._target.lanes}f32"
        kind = ir.FunctionType(self._vector, [self._vector] * 3)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, total])


def _from_fourth(builder: Any, fourth: Any) -> Any:
    """A pointer to float from a fourth of its address."""
    return builder.inttoptr(builder.shl(fourth, _INT64(2)), _FLOAT.as_pointer())


@intrinsic  # type: ignore[untyped-decorator]
def are_paired(typing: Any, weights: Any) -> Any:
    """Whether products with such weights want their inputs from `to_pairs`; known when a kernel is compiled."""
    paired = weights.dtype == types.uint16 and TARGET.dots

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(ir.IntType(1), int(paired))

    return types.boolean(weights), generate


@intrinsic  # type: ignore[untyped-decorator]
def room_on_stack(typing: Any, floats: Any) -> Any:
    """Room for so many float32 until the kernel returns: a fourth of its address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        room = builder.alloca(_FLOAT, arguments[0])
        room.align = 64
        return builder.lshr(builder.ptrtoint(room, _INT64), _INT64(2))

    return types.intp(types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def to_pairs(typing: Any, arena: Any, x: Any, k: Any, fourth: Any) -> Any:
    """``x[K]`` of the arena rounded to bfloat16, with a zero behind an odd K; to a fourth of an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        k = arguments[2]
        source, target = builder.gep(data, [arguments[1]]), _from_fourth(builder, arguments[3])
        target = builder.bitcast(target, _BFLOAT.as_pointer())
        vector, rounded = ir.VectorType(_FLOAT, 16), ir.VectorType(_BFLOAT, 16)
        with cgutils.for_range_slice(builder, _INT64(0), builder.and_(k, _INT64(-16)), _INT64(16)) as (i, _):
            values = builder.load(builder.bitcast(builder.gep(source, [i]), vector.as_pointer()))
            values.align = 4
            place = builder.bitcast(builder.gep(target, [i]), rounded.as_pointer())
            builder.store(builder.fptrunc(values, rounded), place).align = 4
        with cgutils.for_range_slice(builder, builder.and_(k, _INT64(-16)), k, _INT64(1)) as (i, _):
            value = builder.load(builder.gep(source, [i]))
            builder.store(builder.fptrunc(value, _BFLOAT), builder.gep(target, [i])).align = 2
        with builder.if_then(builder.trunc(k, ir.IntType(1))):
            zero = builder.fptrunc(ir.Constant(_FLOAT, 0.0), _BFLOAT)
            builder.store(zero, builder.gep(target, [k])).align = 2
        return context.get_dummy_value()

    return types.void(arena, types.intp, types.intp, types.intp), generate
