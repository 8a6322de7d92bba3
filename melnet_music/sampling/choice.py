"""Which engine is the fastest here, by measuring: a card's where there is one, else the CPU's."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

import numpy as np

from melnet_music.model.preset import Preset
from melnet_music.sampling.cuda.available import why_not
from melnet_music.sampling.engine import Chunk, Engine, Generated, Sharpness, take_noise
from melnet_music.sampling.failover import FailoverEngine

_LOG = logging.getLogger(__name__)
_WARM_UP_CHUNKS, _TIMED_CHUNKS = 2, 3
_MOST_APART = 0.1
"""So far, in normalised units, at most half of the bins of a take's first chunk may be from the CPU's. Two engines that
round weights in their own ways differ by less than a hundredth in most; a card that computes wrongly by more."""


class _Tried(NamedTuple):
    """What a few chunks on an engine showed."""

    chunk_seconds: float
    """Mean of a take under way."""
    first: Generated


class Choice(NamedTuple):
    """An engine, and why it is that one."""

    engine: Engine
    why: str


def choose(preset: Preset, cpu: Callable[[], Engine], card: Callable[[], Engine]) -> Choice:
    """Try a few chunks on each, where there is a card; without one, the CPU's at once.

    A card that makes other frames of the same noise is not taken, however fast. Of a card's engine that was chosen the
    CPU's is the second (`FailoverEngine`).
    """
    on_cpu = cpu()
    if reason := why_not():
        return _told(Choice(on_cpu, reason))
    try:
        on_card = card()
        of_card = _try(on_card, preset)
    except ValueError as error:
        return _told(Choice(on_cpu, f"the card cannot be used: {error}"))
    of_cpu = _try(on_cpu, preset)
    apart = float(np.median(np.abs(of_card.first.frames - of_cpu.first.frames)))
    if not apart <= _MOST_APART:  # nor where it is no number
        on_card.close()
        why = f"{on_card.name} makes other frames than {on_cpu.name}: half are {apart:.2f} apart"
        return _told(Choice(on_cpu, why))
    card_seconds, cpu_seconds = of_card.chunk_seconds, of_cpu.chunk_seconds
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


def _try(engine: Engine, preset: Preset) -> _Tried:
    with closing(engine.sampling(engine.init_state(), _chunks(preset))) as making:
        made = (each for each in making if each is not None)
        first = next(made)
        _pass_over(made, _WARM_UP_CHUNKS - 1)
        began = time.perf_counter()
        _pass_over(made, _TIMED_CHUNKS)
        return _Tried((time.perf_counter() - began) / _TIMED_CHUNKS, first)


def _chunks(preset: Preset) -> Iterator[Chunk]:
    frames = preset.config.sampling.chunk_frames
    for place in itertools.count(0, frames):
        yield Chunk(take_noise(0, place, frames, preset.mel_bins), Sharpness.of(preset.config.sampling))


def _pass_over(made: Iterator[object], count: int) -> None:
    for _ in itertools.islice(made, count):
        pass
