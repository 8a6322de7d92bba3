"""A barrier for threads that run one kernel together, without the interpreter's lock."""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from melnet_music.sampling.cpu.compiled import inner

SYNC_WORDS = 16
"""int64 words that a barrier needs: the count of arrivals and, on its own cache line, the round."""
_ARRIVED, _ROUND = 0, 8
_SPINS = 4000
"""Looks at the other threads before the processor is given away at every further look: some 10 microseconds."""

_INT64 = ir.IntType(64)
_YIELD = ("SwitchToThread", ir.IntType(32)) if sys.platform == "win32" else ("sched_yield", ir.IntType(32))


def _word(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    return builder.gep(data, [arguments[1]])


@intrinsic  # type: ignore[untyped-decorator]
def _fetch_add(typing: Any, words: Any, at: Any, amount: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("add", _word(context, builder, signature, arguments), arguments[2], "seq_cst")

    return types.int64(words, types.intp, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def _load(typing: Any, words: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_word(context, builder, signature, arguments), "seq_cst", 8)

    return types.int64(words, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def _store(typing: Any, words: Any, at: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store_atomic(arguments[2], _word(context, builder, signature, arguments), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(words, types.intp, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def _give_way(typing: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        name, result = _YIELD
        builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, []), name), [])
        return context.get_dummy_value()

    return types.void(), generate


@inner
def meet(sync: Any, parts: int) -> None:
    """Wait until all ``parts`` threads are here. ``sync``: int64[SYNC_WORDS], zeros at first, the same for all."""
    if parts == 1:
        return
    before = _load(sync, _ROUND)
    if _fetch_add(sync, _ARRIVED, 1) == parts - 1:
        _store(sync, _ARRIVED, 0)
        _store(sync, _ROUND, before + 1)
        return
    spins = 0
    while _load(sync, _ROUND) == before:
        spins += 1
        if spins > _SPINS:
            _give_way()
