"""The score model for one token, compiled: a hundred small steps in numpy cost more than their arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from melnet_music.kernel_cache import njit

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


@_compiled
def sum_time_parts(
    parts: Floats,
    edges: NDArray[np.int64],
    back: NDArray[np.uint8],
    ahead: NDArray[np.uint8],
    places: NDArray[np.uint8],
    bars_on: NDArray[np.uint8],
) -> Floats:
    """``[steps + 1]``: the logits of every step, of the parts of `TIME_PARTS`, which begin at the ``edges``."""
    steps = len(back)
    logits = parts[: steps + 1].copy()
    for index in range(steps):
        total = logits[index]
        for place in range(4):
            total += parts[edges[1 + place] + places[index, place]]
        total += parts[edges[5] + bars_on[index]]
        total += parts[edges[6] + back[index]]
        total += parts[edges[7] + ahead[index]]
        logits[index] = total
    return logits


@_compiled
def sum_pitch_parts(
    parts: Floats,
    edges: NDArray[np.int64],
    chroma: Floats,
    back: NDArray[np.uint8],
    soon: NDArray[np.uint8],
    ahead: NDArray[np.uint8],
    sounds: NDArray[np.uint8],
    last_pitch: int,
    last_bass: int,
    intervals: int,
) -> Floats:
    """``[88]``: the logits of every key, of the parts of `PITCH_PARTS`, which begin at the ``edges``."""
    logits = parts[:88].copy()
    for key in range(88):
        total = logits[key] + parts[edges[1]] * np.log1p(chroma[(key + 9) % 12])
        total += parts[edges[2] + back[key]]
        total += parts[edges[3] + soon[key]]
        total += parts[edges[4] + ahead[key]]
        total += parts[edges[5] + sounds[key]]
        for part in range(2):
            other = last_bass if part else last_pitch
            interval = key - other
            near = other < 88 and -intervals <= interval <= intervals
            total += parts[edges[6 + part] + (interval + intervals if near else 2 * intervals + 1)]
        logits[key] = total
    return logits


@_compiled
def draw(logits: Floats, temperature: float, top_p: float, chance: float) -> int:
    """One of the classes, from the likeliest that have ``top_p`` together; ``chance``: uniform, 0 to below 1."""
    shares = np.exp((logits.astype(np.float64) - logits.max()) / temperature)
    order = np.argsort(-shares, kind="mergesort")
    total, whole = 0.0, shares.sum()
    count = 0
    while count < len(order) and (count == 0 or total < top_p * whole):
        total += shares[order[count]]
        count += 1
    left = chance * total
    for index in range(count):
        left -= shares[order[index]]
        if left < 0:
            return int(order[index])
    return int(order[count - 1])
