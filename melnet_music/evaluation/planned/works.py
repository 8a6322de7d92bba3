"""Held-out composed works as they sound, with their notes, and with exact beats and bars."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import count, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melnet_music.composing.collection import check_collection, performance_of, play_work, split_of, work_name
from melnet_music.composing.instruments import choose_instruments
from melnet_music.composing.perform import played_beats
from melnet_music.composing.rendering.render import DRUM_CHANNEL
from melnet_music.model.config import SoundConfig
from melnet_music.notes.beat_times import BeatTimes
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.grid import STEPS_PER_QUARTER, Bars, Meter
from melnet_music.notes.score.planned_notes import TakeGrid
from melnet_music.sound.resample import resample

_RENDERED_RATE_HZ = 44100
_TEMPO_BEATS = 16
"""The tempo of a take is that of so many beats before it."""


@dataclass(frozen=True)
class WorkNumber:
    """A work of the collections of ``make-data``."""

    kind: str
    seed: int
    number: int

    @property
    def name(self) -> str:
        return work_name(self.kind, self.seed, self.number)


def held_out_works(kind: str, seed: int, works: int, seconds: float) -> list[WorkNumber]:
    """The first works of the split ``test`` whose notes begin over more than so many seconds.

    Raises:
        ValueError: no such kind or seed.
    """
    check_collection(kind, seed)
    held_out = (number for number in count() if split_of(work_name(kind, seed, number)) == "test")
    long = (number for number in held_out if performance_of(kind, seed, number).notes[-1].onset_s > seconds)
    return [WorkNumber(kind, seed, number) for number in islice(long, works)]


@dataclass(frozen=True, eq=False)
class SoundingWork:
    """One work."""

    name: str
    audio: NDArray[np.float32]
    """``[n]`` at the sound's rate."""
    notes: list[Note]
    """Without drums."""
    times: BeatTimes
    """Quarters from the start of its first bar."""
    bars: Bars


@lru_cache(maxsize=1)
def sounding_work(work: WorkNumber, sound: SoundConfig, soundfonts: tuple[Path, ...] = ()) -> SoundingWork:
    """A work rendered by FluidSynth, as ``make-data`` does.

    Raises:
        ValueError: a soundfont is missing.
    """
    instruments = choose_instruments(work.kind, soundfonts, None)
    played = play_work(work.kind, work.seed, work.number, instruments.names)
    audio = resample(instruments.render(played.to_render), _RENDERED_RATE_HZ, sound.sample_rate_hz)
    notes = [
        Note(note.onset_s, note.sounding_end_s, note.pitch, note.velocity)
        for note in played.performance.notes
        if note.channel != DRUM_CHANNEL
    ]
    seconds = played_beats(played.work)
    numerator, denominator = (int(number) for number in played.work.meter.split("/"))
    times = BeatTimes(np.arange(len(seconds), dtype=float), seconds)
    return SoundingWork(work.name, audio, notes, times, Bars.of(Meter(numerator, denominator), played.work.bars))


@dataclass(frozen=True, eq=False)
class Join:
    """A bar line of a work at which takes begin: they keep the tempo that it has there."""

    second: float
    tempo_bpm: float
    """Quarters a minute."""
    times: BeatTimes
    """The work's up to there, steady from there on."""
    bars: Bars

    @classmethod
    def after(cls, work: SoundingWork, seconds: float) -> Join:
        """At the first bar line that comes so many seconds after the start, or later."""
        step = int(np.ceil(float(work.times.beats_at(seconds)) * STEPS_PER_QUARTER))
        bars = work.bars.copy()
        bar = bars.bar_at(step)
        beat = bars.start(bar if bars.start(bar) == step else bar + 1) / STEPS_PER_QUARTER
        begin, second = (float(at) for at in work.times.seconds_at([max(beat - _TEMPO_BEATS, 0.0), beat]))
        quarter_s = (second - begin) / min(_TEMPO_BEATS, beat)
        before = work.times.beats < beat - 1e-6
        times = BeatTimes(
            np.append(work.times.beats[before], (beat, beat + 1.0)),
            np.append(work.times.seconds[before], (second, second + quarter_s)),
        )
        return cls(second, 60.0 / quarter_s, times, bars)

    @property
    def grid(self) -> TakeGrid:
        """For a plan that begins there."""
        return TakeGrid(BeatTimes(self.times.beats, self.times.seconds - self.second), self.bars)
