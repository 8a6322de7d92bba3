"""The score model's transformer for one token, compiled: fifty small steps in numpy cost more than their arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled(function: _Function) -> _Function:
    return njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})(function)  # type: ignore[no-any-return]


@_compiled
def _normed(x: Floats, weight: Floats, out: Floats) -> None:
    total = np.float32(0.0)
    for index in range(len(x)):
        total += x[index] * x[index]
    scale = np.float32(1.0) / np.sqrt(total / np.float32(len(x)) + np.float32(1e-5))
    for index in range(len(x)):
        out[index] = x[index] * weight[index] * scale


@_compiled
def _add_product(weight: Floats, x: Floats, out: Floats) -> None:
    """``out += x @ weight``, with ``weight [inputs, outputs]``."""
    for row in range(len(x)):
        value = x[row]
        weights = weight[row]
        for column in range(len(out)):
            out[column] += value * weights[column]


@_compiled
def _turn(x: Floats, cosine: Floats, sine: Floats, size: int) -> None:
    half = size // 2
    for begin in range(0, len(x), size):
        lower, upper = x[begin : begin + half], x[begin + half : begin + size]
        for index in range(half):
            first, second = lower[index], upper[index]
            lower[index] = first * cosine[index] - second * sine[index]
            upper[index] = first * sine[index] + second * cosine[index]


@_compiled
def read_token(
    x: Floats,
    cosine: Floats,
    sine: Floats,
    keys: Floats,
    values: Floats,
    now: int,
    first: int,
    future_begin: int,
    future_end: int,
    size: int,
    norm: Floats,
    attention_norm: Floats,
    into: Floats,
    out: Floats,
    inner_norm: Floats,
    up: Floats,
    up_bias: Floats,
    down: Floats,
    down_bias: Floats,
) -> Floats:
    """``[hidden]`` of a token, whose keys and values are kept at ``now``.

    Args:
        x: ``[hidden]``, the token's embedding; is overwritten.
        cosine, sine: ``[size / 2]`` of the turns of its time.
        keys, values: ``[layers, tokens, hidden]``, of which those from ``first`` to ``now`` are read, and those from
            ``future_begin`` to ``future_end``.
        size: of a head.
        into, out, up, down: ``[layers, inputs, outputs]``.
    """
    hidden, inner = len(x), up.shape[2]
    normed = np.empty(hidden, np.float32)
    mixed = np.empty(3 * hidden, np.float32)
    wide = np.empty(inner, np.float32)
    read = np.empty(hidden, np.float32)
    extra = max(future_end - future_begin, 0)
    scores = np.empty(extra + now - first + 1, np.float32)
    scale = np.float32(1.0) / np.sqrt(np.float32(size))
    for layer in range(len(into)):
        _normed(x, attention_norm[layer], normed)
        mixed[:] = 0
        _add_product(into[layer], normed, mixed)
        query, key, value = mixed[:hidden], mixed[hidden : 2 * hidden], mixed[2 * hidden :]
        _turn(query, cosine, sine, size)
        _turn(key, cosine, sine, size)
        keys[layer, now] = key
        values[layer, now] = value
        read[:] = 0
        for begin in range(0, hidden, size):
            highest = np.float32(-1e30)
            for index in range(len(scores)):
                token = future_begin + index if index < extra else first + index - extra
                asked, told = query[begin : begin + size], keys[layer, token, begin : begin + size]
                score = np.float32(0.0)
                for place in range(size):
                    score += asked[place] * told[place]
                scores[index] = score * scale
                highest = max(highest, scores[index])
            total = np.float32(0.0)
            for index in range(len(scores)):
                scores[index] = np.exp(scores[index] - highest)
                total += scores[index]
            for index in range(len(scores)):
                token = future_begin + index if index < extra else first + index - extra
                share = scores[index] / total
                taken, told = read[begin : begin + size], values[layer, token, begin : begin + size]
                for place in range(size):
                    taken[place] += share * told[place]
        _add_product(out[layer], read, x)
        _normed(x, inner_norm[layer], normed)
        wide[:] = up_bias[layer]
        _add_product(up[layer], normed, wide)
        for index in range(inner):
            wide[index] = wide[index] / (np.float32(1.0) + np.exp(-wide[index]))
        x += down_bias[layer]
        _add_product(down[layer], wide, x)
    result = np.empty(hidden, np.float32)
    _normed(x, norm, result)
    return result
