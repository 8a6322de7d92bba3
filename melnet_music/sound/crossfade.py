"""Joins between real and generated sound: no click, no step in level, nothing touched outside them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
Samples = NDArray[Any]
"""float[N] or float[N, C]."""

_OVERLAPS_MEASURED = 32
"""How much sound beside a join its channels' levels are measured on, in overlaps."""

_LARGEST_CHANNEL_GAIN = 4.0


def crossfade(outgoing: Samples, incoming: Samples) -> Samples:
    """Fade from one signal to the other at constant power.

    For signals of equal power and correlation r the gains obey ``g_out^2 + g_in^2 + 2 r g_out g_in = 1``: cosine
    and sine for unrelated signals, gains that add up to 1 for equal ones. r is measured, channel by channel;
    a negative one counts as 0, since making up for cancellation would make it louder elsewhere.

    Args:
        outgoing, incoming: float[n] or float[n, C], the same stretch of time.

    Returns:
        The mix, of ``outgoing``'s dtype.

    Raises:
        ValueError: the shapes differ.
    """
    if outgoing.shape != incoming.shape:
        raise ValueError(f"cannot crossfade {outgoing.shape} with {incoming.shape}: both must cover the overlap")
    leaving, entering = outgoing.astype(np.float64), incoming.astype(np.float64)
    power = np.sqrt((leaving**2).sum(axis=0) * (entering**2).sum(axis=0))
    correlation = np.clip((leaving * entering).sum(axis=0) / np.maximum(power, np.finfo(np.float64).tiny), 0, 1)
    angle = np.pi / 2 * (np.arange(len(outgoing)) + 0.5) / max(len(outgoing), 1)
    angle = angle.reshape(-1, *[1] * (outgoing.ndim - 1))
    mix = np.cos(angle) * leaving + np.sin(angle) * entering
    mixed: Samples = (mix / np.sqrt(1 + correlation * np.sin(2 * angle))).astype(outgoing.dtype)
    return mixed


def fade_in(audio: Samples, fade_samples: int) -> Samples:
    """A copy whose first ``fade_samples`` (at most all) rise from silence along a raised cosine."""
    faded = audio.copy()
    count = min(fade_samples, len(audio))
    gain = 0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / max(count, 1))
    faded[:count] *= gain.reshape(-1, *[1] * (audio.ndim - 1)).astype(audio.dtype)
    return faded


def fade_out(audio: Samples, fade_samples: int) -> Samples:
    """A copy whose last ``fade_samples`` (at most all) sink to silence along a raised cosine."""
    return np.ascontiguousarray(fade_in(audio[::-1], fade_samples)[::-1])


def splice_after(original: Samples, generated: Float32Array, generated_start: int, overlap_samples: int) -> Samples:
    """The original, then the generated sound; the crossfade is the original's last ``overlap_samples``.

    Args:
        original: float[N, C] at any rate.
        generated: float32[n], mono at that rate. It goes to every channel, at that channel's level.
        generated_start: position in the original of the first generated sample, at most N - overlap_samples.

    Returns:
        float[generated_start + n, C], of the original's dtype; before ``N - overlap_samples`` bit for bit the
        original.

    Raises:
        ValueError: the overlap is not covered by both, or the shapes are wrong.
    """
    _check_shapes(original, generated)
    join = len(original) - overlap_samples
    if not 0 <= join <= len(original):
        raise ValueError(f"overlap of {overlap_samples} samples does not fit an original of {len(original)}")
    _check_covers(generated, generated_start, join, len(original))
    gains = _channel_gains(original[-_OVERLAPS_MEASURED * overlap_samples :])
    added = _spread(generated[join - generated_start :], gains, gains, original.dtype)
    mixed = crossfade(original[join:], added[:overlap_samples])
    return np.concatenate([original[:join], mixed, added[overlap_samples:]])


def splice_between(
    original: Samples,
    generated: Float32Array,
    generated_start: int,
    start_sample: int,
    stop_sample: int,
    overlap_samples: int,
) -> Samples:
    """The original with ``[start_sample, stop_sample)`` replaced.

    The crossfades are the ``overlap_samples`` before and after that part (fewer at the ends of the original).

    Args:
        original: float[N, C] at any rate.
        generated: float32[n], mono at that rate. It goes to every channel, at that channel's level, which moves
            from the one before the part to the one after it.
        generated_start: position in the original of the first generated sample.

    Returns:
        float[N, C], of the original's dtype; outside the part and its crossfades bit for bit the original.

    Raises:
        ValueError: the generated sound does not cover part and crossfades, or the part is not in the original.
    """
    _check_shapes(original, generated)
    if not 0 <= start_sample < stop_sample <= len(original):
        raise ValueError(f"cannot replace samples {start_sample} to {stop_sample} of an original of {len(original)}")
    first, last = max(start_sample - overlap_samples, 0), min(stop_sample + overlap_samples, len(original))
    _check_covers(generated, generated_start, first, last)
    measured = _OVERLAPS_MEASURED * overlap_samples
    before = _channel_gains(original[max(start_sample - measured, 0) : start_sample])
    after = _channel_gains(original[stop_sample : stop_sample + measured])
    if start_sample == 0:
        before = after
    if stop_sample == len(original):
        after = before
    part = _spread(generated[first - generated_start : last - generated_start], before, after, original.dtype)
    result = original.copy()
    result[first:last] = part
    result[first:start_sample] = crossfade(original[first:start_sample], part[: start_sample - first])
    result[stop_sample:last] = crossfade(part[stop_sample - first :], original[stop_sample:last])
    return result


def _channel_gains(beside: Samples) -> NDArray[np.float64]:
    """Each channel's level against the level of the channels' mean: float64[C]."""
    beside = beside.astype(np.float64)
    mono = np.sqrt(np.mean(beside.mean(axis=1) ** 2)) if len(beside) else 0.0
    if mono == 0:
        return np.ones(beside.shape[1])
    gains: NDArray[np.float64] = np.sqrt(np.mean(beside**2, axis=0)) / mono
    return np.minimum(gains, _LARGEST_CHANNEL_GAIN)


def _spread(mono: Float32Array, first: NDArray[np.float64], last: NDArray[np.float64], dtype: np.dtype[Any]) -> Samples:
    """Mono to channels whose gains move evenly from ``first`` to ``last``: float[n, C]."""
    if np.array_equal(first, last):
        return (mono[:, None] * first).astype(dtype)
    return (mono[:, None] * np.linspace(first, last, len(mono))).astype(dtype)


def _check_shapes(original: Samples, generated: Float32Array) -> None:
    if original.ndim != 2 or generated.ndim != 1:
        raise ValueError(
            f"expected original [samples, channels] and generated [samples], got {original.shape} and {generated.shape}"
        )


def _check_covers(generated: Float32Array, generated_start: int, first: int, last: int) -> None:
    if first < generated_start or generated_start + len(generated) < last:
        raise ValueError(
            f"generated sound covers samples {generated_start} to {generated_start + len(generated)}, but the "
            f"join needs {first} to {last}: take a shorter overlap"
        )
