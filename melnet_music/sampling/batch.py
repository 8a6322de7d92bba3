"""Several takes drawn in one call of an engine: rows of one chunk, kept as takes of their own.

The first of them is whoever asked; of the others the frames are kept as they come, and the state after them, from which
any engine goes on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melnet_music.model.conditioning import NOTHING_KNOWN, Conditioning
from melnet_music.model.tier_state import TierState
from melnet_music.sampling.engine import Chunk, Engine, Forced, Generated, Noise, SamplerState

MOST_TAKES = 32
"""Of engines that draw as many at once as there is memory for."""


def repeated(state: SamplerState, takes: int) -> SamplerState:
    """The state of one take as that of so many."""
    return _each(state, lambda part, axis: np.repeat(part, takes, axis))


def takes_of(state: SamplerState, first: int, stop: int) -> SamplerState:
    """Takes ``first`` to ``stop`` of a state of several."""
    return _each(state, lambda part, axis: part[first:stop] if axis == 0 else part[:, first:stop])


def _each(state: SamplerState, change: Callable[[NDArray[Any], int], NDArray[Any]]) -> SamplerState:
    """The state with every array changed by a function of it and of its axis of takes."""
    return tuple(
        TierState(
            change(tier.previous, 0),
            None if tier.extractor is None else change(tier.extractor, 1),
            tuple(change(layer, 1) for layer in tier.time_delayed),
            tuple(change(layer, 1) for layer in tier.centralized),
        )
        for tier in state
    )


def together(chunks: Sequence[Chunk]) -> Chunk:
    """Chunks of several takes as one, a row each. What is forced is so in the same frames of all."""
    first = chunks[0]
    forced = None
    if first.forced is not None:
        values = [chunk.forced.values for chunk in chunks if chunk.forced is not None]
        forced = Forced(np.concatenate(values), first.forced.mask)
    known = [chunk.known for chunk in chunks]
    return Chunk(
        Noise(*(np.concatenate(parts) for parts in zip(*(chunk.noise for chunk in chunks), strict=True))),
        first.sharpness,
        Conditioning(
            _rows([each.future for each in known]),
            _rows([each.future_mask for each in known]),
            _rows([each.notes for each in known]),
        ),
        forced,
        tuple(chunk.sharpness for chunk in chunks[1:]),
    )


def _rows(parts: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    """One a take; zeros where nothing is known of one, None where of none."""
    like = next((part for part in parts if part is not None), None)
    return None if like is None else np.concatenate([np.zeros_like(like) if part is None else part for part in parts])


def first_takes(chunk: Chunk, count: int) -> Chunk:
    """A chunk for the first of its takes only."""
    return Chunk(
        Noise(*(part[:count] for part in chunk.noise)),
        chunk.sharpness,
        chunk.known.map(lambda part: part[:count]),
        chunk.forced and chunk.forced._replace(values=chunk.forced.values[:count]),
        chunk.others[: count - 1],
    )


class DrawnTake:
    """The first chunks of a take, drawn beside another; what follows them is drawn from its state."""

    def __init__(self) -> None:
        self.frames: list[NDArray[Any]] = []
        """``[1, T, M]`` a chunk, normalised."""
        self.state: SamplerState | None = None
        """After all of them; None: there is none."""
        self.engine = ""
        """The name of what drew them."""

    def add(self, frames: NDArray[Any], state: SamplerState, engine: str) -> None:
        """The next chunk, and the state after it."""
        self.frames.append(frames)
        self.state, self.engine = state, engine


@dataclass(frozen=True)
class OtherTake:
    """A take that is drawn beside another, chunk by chunk."""

    chunks: Iterator[Chunk]
    """As many as the other has."""
    drawn: DrawnTake
    tell: Callable[[NDArray[Any]], object]
    """Called with the frames ``[1, T, M]`` of each chunk, before a chunk is asked for that depends on them."""


class Batch:
    """The takes that are drawn beside one. Belongs to one thread."""

    def __init__(self, others: Sequence[OtherTake]) -> None:
        self._others = list(others)

    def state(self, first: SamplerState) -> SamplerState:
        """The state of all of them, from that which they have in common."""
        return repeated(first, 1 + len(self._others)) if self._others else first

    def chunks(self, first: Iterable[Chunk]) -> Iterator[Chunk]:
        """Chunks of all of them, from those of the first."""
        for chunk in first:
            yield together([chunk, *(next(each.chunks) for each in self._others)]) if self._others else chunk

    def keep(self, made: Generated, engine: str) -> None:
        """Keep the rows of the others; those that have none any more are not asked for further chunks."""
        takes = len(made.frames)
        self._others = self._others[: takes - 1]
        for row, other in enumerate(self._others, 1):
            frames = made.frames[row : row + 1]
            other.drawn.add(frames, takes_of(made.state, row, row + 1), engine)
            other.tell(frames)


class DrawnAhead:
    """An engine for one take whose first chunks are drawn already: after them it is another engine's to go on.

    Belongs to one thread, and to that take alone.
    """

    most_takes = 1

    def __init__(self, engine: Engine, drawn: DrawnTake) -> None:
        self._engine, self._drawn, self._next = engine, drawn, 0
        self._goes_on = not drawn.frames

    @property
    def name(self) -> str:
        """Of the engine that drew last."""
        return self._engine.name if self._goes_on else self._drawn.engine

    def init_state(self, batch: int = 1) -> SamplerState:
        return self._engine.init_state(batch)

    def prime(
        self,
        state: SamplerState,
        frames: NDArray[Any],
        chunk_frames: int | None,
        known: Conditioning[NDArray[Any]] = NOTHING_KNOWN,
    ) -> SamplerState:
        """Where chunks are drawn, the state after them knows these frames, and the one that is given is passed on."""
        return state if self._drawn.frames else self._engine.prime(state, frames, chunk_frames, known)

    def nats(self, state: SamplerState, frames: NDArray[Any], tiers: int) -> NDArray[np.float64]:
        return self._engine.nats(state, frames, tiers)

    def sampling(self, state: SamplerState, chunks: Iterable[Chunk]) -> Generator[Generated | None, None, None]:
        """The state of a chunk that is drawn already is the one after all that are."""
        source = iter(chunks)
        while self._drawn.state is not None and self._next < len(self._drawn.frames):
            if next(source, None) is None:
                return
            self._next += 1
            state = self._drawn.state
            yield Generated(self._drawn.frames[self._next - 1], state)
        for chunk in source:  # not before there is one: the engine that drew the others is the take's own otherwise
            self._goes_on = True
            yield from self._engine.sampling(state, itertools.chain([chunk], source))

    def close(self) -> None:
        """The engine is not its own."""
