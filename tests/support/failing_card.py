"""An instrument whose engine fails in the middle of a take, as a lost card does, with the CPU behind it."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.take_request import TakeRequest  # the player looks for it here
from melnet_music.model.preset import load_preset
from melnet_music.sampling.cpu.engine import CpuEngine
from melnet_music.sampling.engine import Chunk, EngineFailedError, Generated, SamplerState
from melnet_music.sampling.failover import FailoverEngine

__all__ = ["FACTORY", "FATAL_TEMPERATURE", "GOOD_CHUNKS", "TakeRequest", "make_instrument"]

FACTORY = "failing_card:make_instrument"
GOOD_CHUNKS, FATAL_TEMPERATURE = 8, 0.75
"""So many chunks are made of a take of this temperature before the card fails."""


class FailingCard(CpuEngine):
    """Its numbers are those of a CPU, so that what follows can be told to the sample."""

    def sampling(self, state: SamplerState, chunks: Iterable[Chunk]) -> Generator[Generated | None, None, None]:
        made, fails = 0, False

        def noted() -> Iterator[Chunk]:
            nonlocal fails
            for chunk in chunks:
                fails = chunk.sharpness.temperature == FATAL_TEMPERATURE
                yield chunk

        for each in super().sampling(state, noted()):
            if each is not None and fails and made == GOOD_CHUNKS:
                raise EngineFailedError("the card failed: it is not there any more")
            made += each is not None
            yield each


def make_instrument(preset: str | Path, *, engine: str, threads: int | None) -> Instrument:
    """Called by the player in its process."""
    loaded = load_preset(preset)
    instrument = Instrument(loaded, FailoverEngine(FailingCard(loaded, threads), CpuEngine(loaded, threads)))
    instrument._compile()
    return instrument
