"""How many multiply-adds of float32 one core does at best: in registers only, with nothing to load or to store."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from melnet_music.bench.turns import Spent
from melnet_music.sampling.cpu.compiled import compiled
from melnet_music.sampling.cpu.target import PANEL_COLUMNS, TARGET

_ROUNDS = 4_000_000
_SUMS = TARGET.tall_rows * TARGET.tall_panels * PANEL_COLUMNS // TARGET.lanes
"""As many sums side by side as a tile of the kernels has: enough to hide the latency, few enough for the registers."""
_MULTIPLY_ADDS = _ROUNDS * _SUMS * TARGET.lanes

_FLOAT, _INT64 = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, TARGET.lanes)


def spin() -> None:
    """Multiply and add for some milliseconds; other threads may run meanwhile."""
    _spin(_ROUNDS, np.full(TARGET.lanes, 0.5, np.float32))  # sums that stay near 1: nothing underflows


def peak_per_second(spent: Spent) -> float:
    """Multiply-adds a second, when `spin` took that long."""
    return _MULTIPLY_ADDS / spent.cpu_s


@intrinsic  # type: ignore[untyped-decorator]
def _sums(typing: Any, rounds: Any, values: Any) -> Any:
    """``s = s * x + x`` again and again for each of the sums; returns a lane of their total."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[1])(context, builder, arguments[1]).data
        x = builder.load(builder.bitcast(data, _VECTOR.as_pointer()))
        x.align = 4
        before, loop, after = builder.block, builder.append_basic_block("loop"), builder.append_basic_block("after")
        builder.branch(loop)
        builder.position_at_end(loop)
        done = builder.phi(_INT64)
        done.add_incoming(_INT64(0), before)
        sums = [builder.phi(_VECTOR) for _ in range(_SUMS)]
        added = [_multiply_add(builder, total, x, x) for total in sums]
        following = builder.add(done, _INT64(1))
        done.add_incoming(following, loop)
        for total, value in zip(sums, added, strict=True):
            total.add_incoming(x, before)
            total.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", following, arguments[0]), loop, after)
        builder.position_at_end(after)
        total = added[0]
        for value in added[1:]:
            total = builder.fadd(total, value)
        return builder.extract_element(total, ir.IntType(32)(0))

    return types.float32(types.int64, values), generate


def _multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    if not TARGET.fused:
        return builder.fadd(builder.fmul(a, b), c)
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{TARGET.lanes}f32")
    return builder.call(function, [a, b, c])


@compiled
def _spin(rounds: int, values: Any) -> Any:
    return _sums(rounds, values)
