"""Iterators of blocks, of samples or of frames, cut and changed at their ends without waiting for the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]


def first_of(blocks: Iterator[Samples], count: int) -> Iterator[Samples]:
    """The first ``count`` samples or frames."""
    for block in blocks:
        yield block[:count]
        count -= min(count, len(block))


def without_first(blocks: Iterator[Samples], count: int) -> Iterator[Samples]:
    """All but the first ``count`` samples or frames."""
    for block in blocks:
        yield block[count:]
        count -= min(count, len(block))


def with_start(
    blocks: Iterator[Samples], count: int, change: Callable[[Samples], Samples], *, at_leisure: bool = False
) -> Iterator[Samples]:
    """The same, the first ``count`` samples (fewer, if there are no more) put through ``change``.

    Args:
        at_leisure: whether empty blocks come while these are waited for.
    """
    held, waiting = [], count
    for block in blocks:
        if waiting <= 0:
            yield block
            continue
        held.append(block)
        waiting -= len(block)
        if waiting <= 0:
            start = np.concatenate(held)
            yield np.concatenate([change(start[:count]), start[count:]])
        elif at_leisure:
            yield block[:0]
    if waiting > 0 and held:
        yield change(np.concatenate(held))


def in_pieces(blocks: Iterator[Samples], count: int) -> Iterator[Samples]:
    """The same, no block longer than ``count`` samples or frames."""
    for block in blocks:
        for first in range(0, max(1, len(block)), count):
            yield block[first : first + count]


def with_end(blocks: Iterator[Samples], count: int, change: Callable[[Samples], Samples]) -> Iterator[Samples]:
    """The same, the last ``count`` samples (fewer, if there are no more) put through ``change``."""
    held = np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        ready = max(len(held) - count, 0)
        yield held[:ready]
        held = held[ready:]
    yield change(held)
