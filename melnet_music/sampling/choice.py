"""Which engine is the fastest here, by measuring: a card's where there is one, else the CPU's."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

from melnet_music.model.preset import Preset
from melnet_music.sampling.cuda.available import why_not
from melnet_music.sampling.engine import Chunk, Engine, Sharpness, take_noise
from melnet_music.sampling.failover import FailoverEngine

_LOG = logging.getLogger(__name__)
_WARM_UP_CHUNKS, _TIMED_CHUNKS = 2, 3


class Choice(NamedTuple):
    """An engine, and why it is that one."""

    engine: Engine
    why: str


def choose(preset: Preset, cpu: Callable[[], Engine], card: Callable[[], Engine]) -> Choice:
    """Measure a few chunks on each, where there is a card; without one, the CPU's at once.

    Of a card's engine that was chosen the CPU's is the second (`FailoverEngine`).
    """
    on_cpu = cpu()
    if reason := why_not():
        return _told(Choice(on_cpu, reason))
    try:
        on_card = card()
        card_seconds = _chunk_seconds(on_card, preset)
    except ValueError as error:
        return _told(Choice(on_cpu, f"the card cannot be used: {error}"))
    cpu_seconds = _chunk_seconds(on_cpu, preset)
    why = (
        f"a chunk of {preset.config.sampling.chunk_frames} frames takes {on_card.name} {1e3 * card_seconds:.1f} ms, "
        f"{on_cpu.name} {1e3 * cpu_seconds:.1f} ms"
    )
    if card_seconds < cpu_seconds:
        return _told(Choice(FailoverEngine(on_card, on_cpu), why))
    on_card.close()
    return _told(Choice(on_cpu, why))


def _told(choice: Choice) -> Choice:
    _LOG.info("engine %s: %s", choice.engine.name, choice.why)
    return choice


def _chunk_seconds(engine: Engine, preset: Preset) -> float:
    """Mean of a few chunks of a take under way."""
    with closing(engine.sampling(engine.init_state(), _chunks(preset))) as making:
        made = (each for each in making if each is not None)
        _pass_over(made, _WARM_UP_CHUNKS)
        began = time.perf_counter()
        _pass_over(made, _TIMED_CHUNKS)
        return (time.perf_counter() - began) / _TIMED_CHUNKS


def _chunks(preset: Preset) -> Iterator[Chunk]:
    frames = preset.config.sampling.chunk_frames
    for place in itertools.count(0, frames):
        yield Chunk(take_noise(0, place, frames, preset.mel_bins), Sharpness.of(preset.config.sampling))


def _pass_over(made: Iterator[object], count: int) -> None:
    for _ in itertools.islice(made, count):
        pass
