"""The cells' gates on one row of pre-activations, written as LLVM IR: 16 units at a time, nothing leaves the registers.

All places are in one float32 arena. ``gx`` holds what the input gives and ``gh`` what the state before gives (not for
minGRU; the LSTM has both in ``gx``), gate after gate, ``hidden`` units each, in torch's order.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from melnet_music.sampling.cpu.compiled import apart, inner
from melnet_music.sampling.cpu.target import PANEL_COLUMNS, TARGET

MINGRU, GRU, LSTM = 0, 1, 2
CELL_NUMBERS = {"mingru": MINGRU, "gru": GRU, "lstm": LSTM}
GATES = {"mingru": 2, "gru": 3, "lstm": 4}

_FLOAT, _INT32, _INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_LANES = TARGET.lanes
_VECTOR, _WORDS = ir.VectorType(_FLOAT, _LANES), ir.VectorType(_INT32, _LANES)

# exp: x = n ln 2 + r, a polynomial in r (Cephes' expf), n put into the exponent; about 1e-7 of the value
_LOG2_E, _LN2_HIGH, _LN2_LOW = 1.44269504088896341, 0.693359375, -2.12194440e-4
_POLYNOMIAL = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_EXP_RANGE = (-87.0, 88.0)


class _Vectors:
    """Arithmetic on vectors of float32 at places of the arena."""

    def __init__(self, builder: Any, arena: Any) -> None:
        self._builder, self._arena = builder, arena

    def load(self, place: Any) -> Any:
        loaded = self._builder.load(self._pointer(place))
        loaded.align = 4
        return loaded

    def store(self, value: Any, place: Any) -> None:
        self._builder.store(value, self._pointer(place)).align = 4

    def _pointer(self, place: Any) -> Any:
        return self._builder.bitcast(self._builder.gep(self._arena, [place]), _VECTOR.as_pointer())

    def constant(self, value: float) -> Any:
        rounded = struct.unpack("f", struct.pack("f", value))[0]
        return ir.Constant(_VECTOR, [rounded] * _LANES)

    def call(self, name: str, *values: Any) -> Any:
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * len(values))
        function = cgutils.get_or_insert_function(self._builder.module, kind, f"llvm.{name}.v{_LANES}f32")
        return self._builder.call(function, values)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """``a * b + c``."""
        if TARGET.fused:
            return self.call("fma", a, b, c)
        return self._builder.fadd(self._builder.fmul(a, b), c)

    def exp(self, x: Any) -> Any:
        builder = self._builder
        low, high = (self.constant(limit) for limit in _EXP_RANGE)
        x = builder.select(builder.fcmp_ordered("<", x, low), low, x)
        x = builder.select(builder.fcmp_ordered(">", x, high), high, x)
        # adding and taking away 1.5 * 2^23 rounds to the nearest whole number on every processor
        magic = self.constant(12582912.0)
        shifted = builder.fadd(builder.fmul(x, self.constant(_LOG2_E)), magic)
        n = builder.fsub(shifted, magic)
        r = self.multiply_add(n, self.constant(-_LN2_HIGH), x)
        r = self.multiply_add(n, self.constant(-_LN2_LOW), r)
        y = self.constant(_POLYNOMIAL[0])
        for coefficient in (*_POLYNOMIAL[1:], 1.0, 1.0):
            y = self.multiply_add(y, r, self.constant(coefficient))
        exponent = builder.add(builder.fptosi(n, _WORDS), ir.Constant(_WORDS, [127] * _LANES))
        power = builder.bitcast(builder.shl(exponent, ir.Constant(_WORDS, [23] * _LANES)), _VECTOR)
        return builder.fmul(y, power)

    def sigmoid(self, x: Any) -> Any:
        builder, one = self._builder, self.constant(1.0)
        return builder.fdiv(one, builder.fadd(one, self.exp(builder.fneg(x))))

    def tanh(self, x: Any) -> Any:
        builder, two = self._builder, self.constant(2.0)
        return self.multiply_add(two, self.sigmoid(builder.fmul(two, x)), self.constant(-1.0))


def _on_strips(emit: Callable[[Any, _Vectors, Sequence[Any]], None], places: int) -> Callable[..., None]:
    """An intrinsic ``(arena, *places)`` that runs ``emit`` on the vectors of 16 neighbouring units."""

    def strip(typing: Any, arena: Any, *at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
            vectors = _Vectors(builder, data)
            for unit in range(0, PANEL_COLUMNS, _LANES):
                emit(builder, vectors, [builder.add(place, _INT64(unit)) for place in arguments[1:]])
            return context.get_dummy_value()

        return types.void(arena, *(types.intp,) * places), generate

    names = ", ".join(f"place_{i}" for i in range(places))
    scope: dict[str, Any] = {"strip": strip}
    exec(f"def exact(typing, arena, {names}): return strip(typing, arena, {names})", scope)  # numba counts arguments
    made: Callable[..., None] = intrinsic(scope["exact"])
    return made


def _emit_mingru(builder: Any, v: _Vectors, at: Sequence[Any]) -> None:
    z, candidate, h, out = at
    gate, before = v.sigmoid(v.load(z)), v.load(h)
    v.store(v.multiply_add(gate, builder.fsub(v.load(candidate), before), before), out)


def _emit_gru(builder: Any, v: _Vectors, at: Sequence[Any]) -> None:
    reset_x, update_x, new_x, reset_h, update_h, new_h, h, out = at
    reset = v.sigmoid(builder.fadd(v.load(reset_x), v.load(reset_h)))
    update = v.sigmoid(builder.fadd(v.load(update_x), v.load(update_h)))
    new = v.tanh(v.multiply_add(reset, v.load(new_h), v.load(new_x)))
    v.store(v.multiply_add(update, builder.fsub(v.load(h), new), new), out)


def _emit_lstm(builder: Any, v: _Vectors, at: Sequence[Any]) -> None:
    input_x, forget_x, new_x, output_x, c, out = at
    kept = builder.fmul(v.sigmoid(v.load(forget_x)), v.load(c))
    memory = v.multiply_add(v.sigmoid(v.load(input_x)), v.tanh(v.load(new_x)), kept)
    v.store(memory, c)
    v.store(builder.fmul(v.sigmoid(v.load(output_x)), v.tanh(memory)), out)


def _emit_exp(builder: Any, v: _Vectors, at: Sequence[Any]) -> None:
    x, out = at
    v.store(v.exp(v.load(x)), out)


_mingru_strip = _on_strips(_emit_mingru, 4)
_gru_strip = _on_strips(_emit_gru, 8)
_lstm_strip = _on_strips(_emit_lstm, 6)
exp_strip = _on_strips(_emit_exp, 2)
"""``exp_strip(arena, x, out)``: exp of 16 values."""


@inner
def apply_gates(cell: int, hidden: int, arena: Any, gx: int, gh: int, h: int, c: int, out: int) -> None:
    """One row: the state before at ``h`` (and ``c``, which is replaced), the state after to ``out``."""
    apart()
    for i in range(0, hidden, PANEL_COLUMNS):
        if cell == MINGRU:
            _mingru_strip(arena, gx + i, gx + hidden + i, h + i, out + i)
        elif cell == GRU:
            _gru_strip(
                arena,
                gx + i, gx + hidden + i, gx + 2 * hidden + i,
                gh + i, gh + hidden + i, gh + 2 * hidden + i,
                h + i, out + i,
            )  # fmt: skip
        else:
            _lstm_strip(arena, gx + i, gx + hidden + i, gx + 2 * hidden + i, gx + 3 * hidden + i, c + i, out + i)
