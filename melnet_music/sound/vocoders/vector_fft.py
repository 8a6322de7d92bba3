"""One Griffin-Lim projection of a frame: window, Fourier transform, given magnitudes, inverse, window; in vectors.

A transform of real numbers is one of half as many complex ones (Press et al., "Numerical Recipes", 12.3). Its H points
are a matrix of ``rows x columns``: columns are transformed, then turned by H-th roots of unity, then rows, which a
transposition has made columns (Bailey 1990, "FFTs in external or hierarchical memory"). So every butterfly has a row of
neighbours that do the same, and works on eight of them at once, which LLVM makes of what the processor has; each
column goes through Stockham's self-sorting passes. Real and imaginary parts lie apart.

numpy's transform, one butterfly at a time, takes some five times as long; `phase.PhaseVocoder` keeps it for lengths
that do not fit and for takes that were made with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from melnet_music.kernel_cache import njit

Float32Array = NDArray[np.float32]

LANES = 8
_RADICES = (4, 2, 3)
_FLOAT, _INT32, _INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_Complex = tuple[Any, Any]


class Plan(NamedTuple):
    """What a transform of one length needs: H = n_fft / 2 points, as a matrix of ``rows x columns``."""

    rows: int
    columns: int
    row_radices: NDArray[np.int64]
    """Of the passes over the columns of the matrix, which are ``rows`` long."""
    column_radices: NDArray[np.int64]
    row_twiddles: Float32Array
    """``[passes][p, radix - 1, 2]``, one behind the other: cosines and sines."""
    column_twiddles: Float32Array
    turns: Float32Array
    """``[2, rows, columns]``: what lies between the two."""
    halves: Float32Array
    """``[2, H]``: half-steps that part the spectrum of real numbers from that of half as many complex ones."""


def fits(n_fft: int) -> bool:
    """Whether there is a plan for this length: a multiple of 128 with no prime factors but 2 and 3."""
    return n_fft % 2 == 0 and _matrix(n_fft // 2) is not None


@lru_cache(maxsize=8)
def make_plan(n_fft: int) -> Plan:
    """The plan for real signals of ``n_fft`` samples.

    Raises:
        ValueError: `fits` says no.
    """
    points = n_fft // 2
    matrix = _matrix(points) if n_fft % 2 == 0 else None
    if matrix is None:
        raise ValueError(f"n_fft is {n_fft}, want a multiple of {16 * LANES} with no prime factors but 2 and 3")
    rows, columns = matrix
    k = np.arange(points)
    return Plan(
        rows,
        columns,
        np.array(_radices(rows), np.int64),
        np.array(_radices(columns), np.int64),
        _pass_twiddles(rows),
        _pass_twiddles(columns),
        _turned(-2 * np.pi * np.outer(np.arange(rows), np.arange(columns)) / points),
        _turned(-np.pi * k / points),
    )


def _matrix(points: int) -> tuple[int, int] | None:
    """Rows and columns, both multiples of `LANES`, as equal as can be."""
    if points % LANES**2 or math.prod(_radices(points)) != points:
        return None
    rows = [each for each in range(LANES, points // LANES + 1, LANES) if points % (each * LANES) == 0]
    best = min(rows, key=lambda each: abs(each - points // each))
    return best, points // best


def _radices(points: int) -> list[int]:
    found = []
    for radix in _RADICES:
        while points % radix == 0:
            found.append(radix)
            points //= radix
    return found


def _turned(angles: NDArray[np.float64]) -> Float32Array:
    return np.stack([np.cos(angles), np.sin(angles)]).astype(np.float32)


def _pass_twiddles(points: int) -> Float32Array:
    parts = []
    for radix in _radices(points):
        steps = points // radix
        angles = -2 * np.pi * np.outer(np.arange(steps), np.arange(1, radix)) / points
        parts.append(np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(-1))
        points = steps
    twiddles: Float32Array = np.concatenate(parts).astype(np.float32)
    return twiddles


class _Emitter:
    """Arithmetic on vectors at places of a float32 array, and on complex numbers made of two."""

    def __init__(self, builder: Any, data: Any) -> None:
        self._builder, self._data = builder, data

    def load(self, place: Any) -> Any:
        loaded = self._builder.load(self._pointer(place))
        loaded.align = 4
        return loaded

    def store(self, value: Any, place: Any) -> None:
        self._builder.store(value, self._pointer(place)).align = 4

    def _pointer(self, place: Any) -> Any:
        return self._builder.bitcast(self._builder.gep(self._data, [place]), _VECTOR.as_pointer())

    def constant(self, value: float) -> Any:
        return ir.Constant(_VECTOR, [float(np.float32(value))] * LANES)

    def broadcast(self, value: Any) -> Any:
        undefined = ir.Constant(_VECTOR, ir.Undefined)
        first = self._builder.insert_element(undefined, value, _INT32(0))
        return self._taken(first, undefined, [0] * LANES)

    def reversed(self, value: Any) -> Any:
        return self._taken(value, value, list(range(LANES))[::-1])

    def transposed(self, rows: list[Any]) -> list[Any]:
        """As many vectors as lanes."""
        low = [lane + part * LANES for lane in range(LANES // 2) for part in (0, 1)]
        for _ in range(LANES.bit_length() - 1):
            halves = zip(rows[: LANES // 2], rows[LANES // 2 :], strict=True)
            rows = [self._taken(a, b, [lane + on for lane in low]) for a, b in halves for on in (0, LANES // 2)]
        return rows

    def _taken(self, a: Any, b: Any, lanes: list[int]) -> Any:
        return self._builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_INT32, LANES), lanes))

    def sqrt(self, value: Any) -> Any:
        kind = ir.FunctionType(_VECTOR, [_VECTOR])
        function = cgutils.get_or_insert_function(self._builder.module, kind, f"llvm.sqrt.v{LANES}f32")
        return self._builder.call(function, [value])

    def times(self, a: _Complex, b: _Complex) -> _Complex:
        builder = self._builder
        return (
            builder.fsub(builder.fmul(a[0], b[0]), builder.fmul(a[1], b[1])),
            builder.fadd(builder.fmul(a[0], b[1]), builder.fmul(a[1], b[0])),
        )

    def plus(self, a: _Complex, b: _Complex) -> _Complex:
        return self._builder.fadd(a[0], b[0]), self._builder.fadd(a[1], b[1])

    def minus(self, a: _Complex, b: _Complex) -> _Complex:
        return self._builder.fsub(a[0], b[0]), self._builder.fsub(a[1], b[1])

    def scaled(self, a: _Complex, factor: float) -> _Complex:
        return self._builder.fmul(a[0], self.constant(factor)), self._builder.fmul(a[1], self.constant(factor))

    def times_minus_i(self, a: _Complex) -> _Complex:
        return a[1], self._builder.fneg(a[0])

    def transform(self, x: Sequence[_Complex]) -> list[_Complex]:
        """The Fourier transform of two, three or four complex numbers."""
        if len(x) == 2:
            return [self.plus(*x), self.minus(*x)]
        if len(x) == 3:
            both, apart = self.plus(x[1], x[2]), self.minus(x[1], x[2])
            along = self.minus(x[0], self.scaled(both, 0.5))
            across = self.scaled(self.times_minus_i(apart), math.sqrt(0.75))
            return [self.plus(x[0], both), self.plus(along, across), self.minus(along, across)]
        even, odd = self.transform(x[::2]), self.transform(x[1::2])
        turned = self.times_minus_i(odd[1])
        return [
            self.plus(even[0], odd[0]),
            self.plus(even[1], turned),
            self.minus(even[0], odd[0]),
            self.minus(even[1], turned),
        ]


def _emitted(arguments: int, emit: Callable[[Any, _Emitter, list[Any], Any], None]) -> Callable[..., None]:
    """An intrinsic ``(work, twiddles, *places)``: ``emit`` with what computes on ``work``, the places, the twiddles."""

    def vectors(typing: Any, work: Any, twiddles: Any, *places: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            data, turns = (context.make_array(signature.args[i])(context, builder, values[i]).data for i in (0, 1))
            emit(builder, _Emitter(builder, data), list(values[2:]), turns)
            return context.get_dummy_value()

        return types.void(work, twiddles, *(types.intp,) * arguments), generate

    names = ", ".join(f"place_{i}" for i in range(arguments))
    scope: dict[str, Any] = {"vectors": vectors}
    exec(f"def exact(typing, a, b, {names}): return vectors(typing, a, b, {names})", scope)  # numba counts arguments
    made: Callable[..., None] = intrinsic(scope["exact"])
    return made


def _make_butterflies(radix: int) -> Callable[..., None]:
    """``(work, twiddles, twiddle, count, re, im, step, to_re, to_im, to_step)``: ``count`` columns, eight at once."""

    def emit(builder: Any, v: _Emitter, places: list[Any], turns: Any) -> None:
        twiddle, count, re, im, step, to_re, to_im, to_step = places

        def root(i: int) -> Any:
            return v.broadcast(builder.load(builder.gep(turns, [builder.add(twiddle, _INT64(i))])))

        roots = [(root(2 * j), root(2 * j + 1)) for j in range(radix - 1)]
        with cgutils.for_range_slice(builder, _INT64(0), count, _INT64(LANES)) as (q, _):
            x = []
            for j in range(radix):
                ahead = builder.add(q, builder.mul(step, _INT64(j)))
                x.append((v.load(builder.add(re, ahead)), v.load(builder.add(im, ahead))))
            y = v.transform(x)
            y = [y[0], *(v.times(y[j], roots[j - 1]) for j in range(1, radix))]
            for j in range(radix):
                ahead = builder.add(q, builder.mul(to_step, _INT64(j)))
                v.store(y[j][0], builder.add(to_re, ahead))
                v.store(y[j][1], builder.add(to_im, ahead))

    return _emitted(8, emit)


_butterflies_2, _butterflies_3, _butterflies_4 = (_make_butterflies(radix) for radix in (2, 3, 4))


def _emit_turn(builder: Any, v: _Emitter, places: list[Any], turns: Any) -> None:
    """``(re, im, step, to_re, to_im, to_step, turn, turn_im)``: a block of eight by eight, turned and transposed."""
    re, im, step, to_re, to_im, to_step, turn, turn_im = places
    table, block = _Emitter(builder, turns), []
    for row in range(LANES):
        ahead = builder.mul(step, _INT64(row))
        here = [builder.add(place, ahead) for place in (re, im, turn, turn_im)]
        block.append(v.times((v.load(here[0]), v.load(here[1])), (table.load(here[2]), table.load(here[3]))))
    for part, target in enumerate((to_re, to_im)):
        for row, vector in enumerate(v.transposed([each[part] for each in block])):
            v.store(vector, builder.add(target, builder.mul(to_step, _INT64(row))))


_turn = _emitted(8, _emit_turn)


def _emit_impose(builder: Any, v: _Emitter, places: list[Any], turns: Any) -> None:
    """``(re, im, to_re, to_im, k, mirrored, half, half_im, magnitude)``: spectra of k and H - k, eight at once."""
    re, im, to_re, to_im, k, mirrored, half, half_im, magnitude = places
    table, zero = _Emitter(builder, turns), v.constant(0.0)

    def conjugate(x: _Complex) -> _Complex:
        return x[0], builder.fneg(x[1])

    def imposed(x: _Complex, size: Any) -> _Complex:
        now = v.sqrt(builder.fadd(builder.fmul(x[0], x[0]), builder.fmul(x[1], x[1])))
        sounds = builder.fcmp_ordered(">", now, zero)
        factor = builder.fdiv(size, now)
        re = builder.select(sounds, builder.fmul(x[0], factor), size)
        return re, builder.select(sounds, builder.fmul(x[1], factor), zero)

    low = v.load(builder.add(re, k)), v.load(builder.add(im, k))
    high = conjugate((v.reversed(v.load(builder.add(re, mirrored))), v.reversed(v.load(builder.add(im, mirrored)))))
    root = table.load(builder.add(half, k)), table.load(builder.add(half_im, k))
    even = v.scaled(v.plus(low, high), 0.5)
    odd = v.times(v.scaled(v.times_minus_i(v.minus(low, high)), 0.5), root)
    x = imposed(v.plus(even, odd), v.load(builder.add(magnitude, k)))
    y = imposed(v.minus(even, odd), v.reversed(v.load(builder.add(magnitude, mirrored))))
    even = v.scaled(v.plus(x, y), 0.5)
    odd = v.times(v.scaled(v.minus(x, y), 0.5), conjugate(root))
    # even + i odd, and the same of the conjugates at H - k
    v.store(builder.fsub(even[0], odd[1]), builder.add(to_re, k))
    v.store(builder.fadd(even[1], odd[0]), builder.add(to_im, k))
    v.store(v.reversed(builder.fadd(even[0], odd[1])), builder.add(to_re, mirrored))
    v.store(v.reversed(builder.fsub(odd[0], even[1])), builder.add(to_im, mirrored))


_impose = _emitted(9, _emit_impose)


@njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _transform_columns(
    work: Float32Array, radices: NDArray[np.int64], twiddles: Float32Array, points: int, columns: int, re: int, im: int,
    to_re: int, to_im: int,
) -> bool:  # fmt: skip
    """Stockham's passes over ``[points, columns]``; returns whether the result is at ``to_re`` and ``to_im``."""
    stride, twiddle, length, swapped = columns, 0, points, False
    for radix in radices:
        steps = length // radix
        for p in range(steps):
            source, target = stride * p, stride * radix * p
            if radix == 4:
                _butterflies_4(
                    work, twiddles, twiddle, stride, re + source, im + source, stride * steps, to_re + target,
                    to_im + target, stride,
                )  # fmt: skip
            elif radix == 2:
                _butterflies_2(
                    work, twiddles, twiddle, stride, re + source, im + source, stride * steps, to_re + target,
                    to_im + target, stride,
                )  # fmt: skip
            else:
                _butterflies_3(
                    work, twiddles, twiddle, stride, re + source, im + source, stride * steps, to_re + target,
                    to_im + target, stride,
                )  # fmt: skip
            twiddle += 2 * (radix - 1)
        stride, length, swapped = stride * radix, steps, not swapped
        re, im, to_re, to_im = to_re, to_im, re, im
    return swapped


@njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _transform(
    work: Float32Array, rows: int, columns: int, row_radices: NDArray[np.int64], column_radices: NDArray[np.int64],
    row_twiddles: Float32Array, column_twiddles: Float32Array, turns: Float32Array, re: int, im: int, to_re: int,
    to_im: int,
) -> bool:  # fmt: skip
    """H complex numbers at ``re`` and ``im``; returns whether their spectrum is at ``to_re`` and ``to_im``."""
    points = rows * columns
    first = _transform_columns(work, row_radices, row_twiddles, rows, columns, re, im, to_re, to_im)
    if first:
        re, im, to_re, to_im = to_re, to_im, re, im
    for row in range(0, rows, LANES):
        for column in range(0, columns, LANES):
            place, transposed = row * columns + column, column * rows + row
            _turn(
                work, turns, re + place, im + place, columns, to_re + transposed, to_im + transposed, rows, place,
                points + place,
            )  # fmt: skip
    second = _transform_columns(work, column_radices, column_twiddles, columns, rows, to_re, to_im, re, im)
    across: bool = first == second  # each may end where it began or across, and the second begins across from the first
    return across


@njit(nogil=True, error_model="numpy", cache=True)  # type: ignore[untyped-decorator]
def project_frame(
    plan: Plan, work: Float32Array, sound: Float32Array, window: Float32Array, magnitude: Float32Array,
    synthesis: Float32Array, overlap: Float32Array, wave: Float32Array,
) -> None:  # fmt: skip
    """Give a frame of ``sound`` its magnitudes, keep its phases, and put it into an overlapping sum.

    Args:
        work: float32[`work_floats`], overwritten.
        sound, window, synthesis: float32[W], W at most n_fft and even.
        magnitude: float32[n_fft / 2 + 1].
        overlap: float32[W] or more: the frame as it was, ``wave``, is taken out of it, and the new one comes in.
        wave: float32[W], becomes ``synthesis`` times the inverse transform of the magnitudes with the phases of
            ``sound * window``; where that is silent, of phase 0.
    """
    points = plan.rows * plan.columns
    held, a_re, a_im = 0, points + LANES, 2 * points + LANES
    b_re, b_im = 3 * points + LANES, 4 * points + LANES
    for k in range(points + 1):
        work[held + k] = magnitude[k]
    filled = len(sound) // 2
    for i in range(filled):
        work[a_re + i] = sound[2 * i] * window[2 * i]
        work[a_im + i] = sound[2 * i + 1] * window[2 * i + 1]
    for i in range(filled, points):
        work[a_re + i] = 0
        work[a_im + i] = 0
    if _transform(
        work, plan.rows, plan.columns, plan.row_radices, plan.column_radices, plan.row_twiddles, plan.column_twiddles,
        plan.turns, a_re, a_im, b_re, b_im,
    ):  # fmt: skip
        a_re, a_im, b_re, b_im = b_re, b_im, a_re, a_im
    # k = 0 and k = H are real, and lie in one complex number
    lowest, highest = work[a_re] + work[a_im], work[a_re] - work[a_im]
    lowest, highest = math.copysign(work[held], lowest), math.copysign(work[held + points], highest)
    work[b_re], work[b_im] = np.float32(0.5) * (lowest + highest), np.float32(0.5) * (lowest - highest)
    for k in range(1, points // 2, LANES):
        _impose(work, plan.halves, a_re, a_im, b_re, b_im, k, points - k - LANES + 1, 0, points, held)
    # the inverse is the transform with the parts exchanged, before and after
    if _transform(
        work, plan.rows, plan.columns, plan.row_radices, plan.column_radices, plan.row_twiddles, plan.column_twiddles,
        plan.turns, b_im, b_re, a_im, a_re,
    ):  # fmt: skip
        a_re, a_im, b_re, b_im = b_re, b_im, a_re, a_im
    scale = np.float32(1 / points)
    for i in range(filled):
        even, odd = work[b_re + i] * scale * synthesis[2 * i], work[b_im + i] * scale * synthesis[2 * i + 1]
        overlap[2 * i] += even - wave[2 * i]
        overlap[2 * i + 1] += odd - wave[2 * i + 1]
        wave[2 * i], wave[2 * i + 1] = even, odd


def work_floats(n_fft: int) -> int:
    """What `project_frame` needs of ``work``."""
    return 5 * (n_fft // 2) + LANES
