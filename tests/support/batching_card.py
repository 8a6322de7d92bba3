"""An instrument whose engine draws several takes at once, as a card does, and can fail in the middle of them."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import hearing_piano
import numpy as np
from numpy.typing import NDArray

from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.take_request import TakeRequest  # the player looks for it here
from melnet_music.model.conditioning import Conditioning
from melnet_music.model.tier_state import TierState
from melnet_music.sampling.batch import takes_of
from melnet_music.sampling.cpu.engine import CpuEngine
from melnet_music.sampling.engine import Chunk, EngineFailedError, Forced, Generated, Noise, SamplerState
from melnet_music.sampling.failover import FailoverEngine

__all__ = [
    "CALLS",
    "FACTORY",
    "FATAL_TEMPERATURE",
    "GOOD_CHUNKS",
    "GO_ON",
    "HALTED",
    "HALTING_TEMPERATURE",
    "MOST_TAKES",
    "TakeRequest",
    "make_instrument",
]

FACTORY = "batching_card:make_instrument"
MOST_TAKES = 3
GOOD_CHUNKS, FATAL_TEMPERATURE = 8, 0.75
"""So many chunks are made of takes of this temperature before the card fails."""
HALTING_TEMPERATURE, CHUNKS_BEFORE_HALT = 0.875, 2
"""So many chunks are made of takes of this temperature; then it waits for a file."""
HALTED, GO_ON = ".halted", ".go_on"
"""Suffixes of the file that says that it waits, and of the one that it waits for, instead of that of `CALLS`."""
CALLS = "BATCHING_CARD_CALLS"
"""Names a file that gets a line for every call: how many takes, and how many chunks were made."""


class BatchingCard(CpuEngine):
    """Every row by itself: the numbers of the CPU's engine, so that takes can be compared to the sample."""

    most_takes = MOST_TAKES

    def sampling(self, state: SamplerState, chunks: Iterable[Chunk]) -> Generator[Generated | None, None, None]:
        takes, made = len(state[0].previous), 0
        try:
            for chunk in chunks:
                assert chunk.takes == takes
                if chunk.sharpness.temperature == FATAL_TEMPERATURE and made == GOOD_CHUNKS:
                    raise EngineFailedError("the card failed: it is not there any more")
                if chunk.sharpness.temperature == HALTING_TEMPERATURE and made == CHUNKS_BEFORE_HALT:
                    yield from _waiting(Path(os.environ[CALLS]))
                rows: list[Generated] = []
                for row in range(takes):
                    for step in super().sampling(takes_of(state, row, row + 1), [_of_one(chunk, row)]):
                        if step is None:
                            yield None
                        else:
                            rows.append(step)
                state = _joined([each.state for each in rows])
                made += 1
                yield Generated(np.concatenate([each.frames for each in rows]), state)
        finally:
            if CALLS in os.environ:
                with Path(os.environ[CALLS]).open("a", encoding="utf-8") as calls:
                    calls.write(f"{takes} {made}\n")


def _waiting(calls: Path) -> Iterator[None]:
    calls.with_suffix(HALTED).touch()
    while not calls.with_suffix(GO_ON).exists():
        yield None


def _of_one(chunk: Chunk, row: int) -> Chunk:
    here, sharpness = slice(row, row + 1), (chunk.sharpness, *chunk.others)
    future, mask, notes = chunk.known.future, chunk.known.future_mask, chunk.known.notes
    return Chunk(
        Noise(*(part[here] for part in chunk.noise)),
        sharpness[row if chunk.others else 0],
        Conditioning(*(None if part is None else part[here] for part in (future, mask, notes))),
        None if chunk.forced is None else Forced(chunk.forced.values[here], chunk.forced.mask),
    )


def _joined(states: list[SamplerState]) -> SamplerState:
    """States of single takes as one of all."""

    def join(parts: tuple[NDArray[Any], ...], axis: int) -> NDArray[Any]:
        return np.concatenate(parts, axis)

    tiers = []
    for rows in zip(*states, strict=True):
        extractors = tuple(row.extractor for row in rows if row.extractor is not None)
        tiers.append(
            TierState(
                join(tuple(row.previous for row in rows), 0),
                join(extractors, 1) if extractors else None,
                tuple(join(parts, 1) for parts in zip(*(row.time_delayed for row in rows), strict=True)),
                tuple(join(parts, 1) for parts in zip(*(row.centralized for row in rows), strict=True)),
            )
        )
    return tuple(tiers)


def make_instrument(preset: str | Path, *, engine: str, threads: int | None) -> Instrument:
    """Called by the player in its process."""
    hearing = hearing_piano.load(str(preset), engine="cpu", threads=threads)
    card = FailoverEngine(BatchingCard(hearing.preset, threads), hearing.engine)
    instrument = Instrument(hearing.preset, card)
    instrument.use_ear(hearing._prompt.ear)
    return instrument
