"""The contract of everything that streams: `push` any amount, `flush` at the end, the cut changes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Stage(Protocol):
    def push(self, signal: NDArray[np.float32], /) -> NDArray[np.float32]: ...
    def flush(self) -> NDArray[np.float32]: ...


class RestorableStage(Stage, Protocol):
    def state(self) -> Any: ...
    def restore(self, state: Any, /) -> None: ...


CHUNK_SIZES: tuple[tuple[int, ...], ...] = ((1,), (2,), (37,), (5, 1, 64, 0, 3))
"""One, two, odd, mixed (repeated in turn)."""


def in_chunks(signal: NDArray[np.float32], sizes: Iterable[int]) -> Iterable[NDArray[np.float32]]:
    """The signal cut into the sizes, in turn, until it ends."""
    begin = 0
    for size in itertools.cycle(sizes):
        if begin >= len(signal):
            return
        yield signal[begin : begin + size]
        begin += size


def run(stage: Stage, chunks: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate([*(stage.push(chunk) for chunk in chunks), stage.flush()])


def assert_same_bits(actual: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    assert actual.tobytes() == expected.tobytes()


def assert_whole_equals_chunked(
    make_stage: Callable[[], Stage],
    signal: NDArray[np.float32],
    chunk_sizes: Sequence[Sequence[int]] = CHUNK_SIZES,
) -> None:
    """However the signal is cut, the bits are the same; and a flushed stage is as good as new."""
    whole = run(make_stage(), [signal])
    for sizes in chunk_sizes:
        assert_same_bits(run(make_stage(), in_chunks(signal, sizes)), whole)
    used = make_stage()
    run(used, [signal[: len(signal) // 2]])
    assert_same_bits(run(used, [signal]), whole)


def assert_state_restores(make_stage: Callable[[], RestorableStage], signal: NDArray[np.float32], cut: int) -> None:
    """A state goes on to the same bits, in another stage, however often, whatever its first owner did since."""
    first = make_stage()
    first.push(signal[:cut])
    state = first.state()
    expected = run(first, [signal[cut:]])
    for _ in range(2):
        other = make_stage()
        other.restore(state)
        assert_same_bits(run(other, in_chunks(signal[cut:], (3,))), expected)


def assert_lookahead(
    make_stage: Callable[[], Stage], signal: NDArray[np.float32], known: int, settled: int, *, exact: bool
) -> None:
    """``known`` inputs return and fix at least the first ``settled`` outputs.

    With ``exact``, one input less does not return them: the declared look-ahead is no larger than the true one.
    """
    early = make_stage().push(signal[:known])
    assert len(early) >= settled
    altered = signal.copy()
    altered[known:] = signal[known:][::-1] + np.float32(0.5)
    assert_same_bits(run(make_stage(), [altered])[:settled], run(make_stage(), [signal])[:settled])
    if exact:
        assert len(make_stage().push(signal[: known - 1])) < settled
