"""Where the music is: beats, bars and seconds, in pure arithmetic. Knows no clock: whoever asks brings the time.

A beat is a quarter note in every meter. Seconds are of any one clock, that of the sound device, say. Bars count from 0
and start at whole lines of their meter.

A `Timeline` is a value: a change of tempo or meter makes another one, equal to the first up to the change.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, TypeVar

SLOWEST_BPM, FASTEST_BPM = 10.0, 400.0
_TEMPOS_KEPT = 4096
"""Of a timeline that is steered without end: the newest."""
_BEAT_SLACK = 1e-9
"""A beat so little before a line is on it: what was rounded on the way to seconds and back must not cost a bar."""

Grid: TypeAlias = Literal["none", "beat", "bar", "2bar", "4bar"]
GRIDS: tuple[Grid, ...] = ("none", "beat", "bar", "2bar", "4bar")
GRID_BARS: dict[Grid, int] = {"bar": 1, "2bar": 2, "4bar": 4}
"""How many bars apart the lines of a grid are; the others' are no whole bars."""


@dataclass(frozen=True)
class Meter:
    """``beats / unit``: 6/8 has six eighths, and so three beats, in a bar."""

    count: int = 4
    unit: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 64 or self.unit not in (1, 2, 4, 8, 16, 32):
            raise ValueError(f"no meter {self.count}/{self.unit}: want 1 to 64 over 1, 2, 4, 8, 16 or 32")

    @property
    def bar_beats(self) -> float:
        """Length of a bar in quarter notes."""
        return self.count * 4.0 / self.unit

    def __str__(self) -> str:
        return f"{self.count}/{self.unit}"


def read_meter(text: str) -> Meter:
    """``6/8`` as a meter. Raises ValueError."""
    count, _, unit = text.partition("/")
    if not (count.isascii() and count.isdigit() and unit.isascii() and unit.isdigit()):
        raise ValueError(f"no meter {text!r}: want one such as 4/4 or 6/8")
    return Meter(int(count), int(unit))


@dataclass(frozen=True)
class Tempo:
    """From a place on: so many beats a minute."""

    beat: float
    seconds: float
    bpm: float

    def __post_init__(self) -> None:
        if not SLOWEST_BPM <= self.bpm <= FASTEST_BPM:
            raise ValueError(f"tempo is {self.bpm:g} bpm, want {SLOWEST_BPM:g} to {FASTEST_BPM:g}")


@dataclass(frozen=True)
class MeterStart:
    """From a bar line on: bars of a meter."""

    beat: float
    bar: int
    meter: Meter


@dataclass(frozen=True)
class Place:
    """A place in the music: a bar from 0, and quarter notes since its line."""

    bar: int
    beat: float


@dataclass(frozen=True)
class Timeline:
    """Which beat is when, and in which bar. Before the first tempo and the first meter these go on backwards."""

    tempos: tuple[Tempo, ...]
    meters: tuple[MeterStart, ...]

    @classmethod
    def steady(cls, bpm: float, meter: Meter, seconds: float = 0.0) -> Timeline:
        """One tempo and one meter, with beat 0 at ``seconds``. Raises ValueError for a tempo out of range."""
        return cls((Tempo(0.0, seconds, bpm),), (MeterStart(0.0, 0, meter),))

    # --- beats and seconds ------------------------------------------------------------------------------

    def beat_at(self, seconds: float) -> float:
        """The beat at a time; the inverse of `seconds_at`."""
        tempo = _in_force(self.tempos, seconds, lambda each: each.seconds)
        return tempo.beat + (seconds - tempo.seconds) * tempo.bpm / 60.0

    def seconds_at(self, beat: float) -> float:
        """The time of a beat."""
        tempo = _in_force(self.tempos, beat, lambda each: each.beat)
        return tempo.seconds + (beat - tempo.beat) * 60.0 / tempo.bpm

    def bpm_at(self, seconds: float) -> float:
        """The tempo at a time."""
        return _in_force(self.tempos, seconds, lambda each: each.seconds).bpm

    # --- beats and bars ---------------------------------------------------------------------------------

    def place_at(self, beat: float) -> Place:
        """The bar that a beat lies in; the inverse of `beat_of`."""
        start = _in_force(self.meters, beat + _BEAT_SLACK, lambda each: each.beat)
        bars = math.floor((beat + _BEAT_SLACK - start.beat) / start.meter.bar_beats)
        return Place(start.bar + bars, max(0.0, beat - start.beat - bars * start.meter.bar_beats))

    def beat_of(self, bar: int, beat_in_bar: float = 0.0) -> float:
        """The beat of a bar's line, and of a place after it."""
        start = _in_force(self.meters, bar, lambda each: each.bar)
        return start.beat + (bar - start.bar) * start.meter.bar_beats + beat_in_bar

    def meter_at(self, beat: float) -> Meter:
        """The meter at a beat."""
        return _in_force(self.meters, beat + _BEAT_SLACK, lambda each: each.beat).meter

    def line_at_or_after(self, beat: float, grid: Grid) -> float:
        """The first line of a grid that is not before a beat; ``none``: the beat itself.

        Lines of several bars are those of bars 0, 2, 4, ... or 0, 4, 8, ...
        """
        if grid == "none":
            return beat
        if grid == "beat":
            return float(math.ceil(beat - _BEAT_SLACK))
        every = GRID_BARS[grid]
        place = self.place_at(beat)
        bar = place.bar if place.beat <= _BEAT_SLACK else place.bar + 1
        return self.beat_of(-(-bar // every) * every)

    # --- changes ----------------------------------------------------------------------------------------

    def with_tempo(self, bpm: float, seconds: float) -> Timeline:
        """Another tempo from a time on; the beat then goes on without a jump. Raises ValueError: out of range."""
        beat = self.beat_at(seconds)
        kept = tuple(each for each in self.tempos if each.seconds <= seconds)
        before = kept or (Tempo(beat, seconds, self.bpm_at(seconds)),)
        return replace(self, tempos=(*before, Tempo(beat, seconds, bpm)))

    def steered(self, to: Tempo, seconds: float, over_seconds: float) -> Timeline:
        """From a time on, go over to another line of beats, and follow it when ``over_seconds`` are past.

        Until then the tempo is what it takes; the beat jumps nowhere, unless that takes a tempo out of range.
        """
        beat, joined_at = self.beat_at(seconds), seconds + over_seconds
        joined = to.beat + (joined_at - to.seconds) * to.bpm / 60.0
        bpm = min(max((joined - beat) * 60.0 / over_seconds, SLOWEST_BPM), FASTEST_BPM)
        kept = tuple(each for each in self.tempos if each.seconds < seconds)[-_TEMPOS_KEPT:]
        before = kept or (Tempo(beat, seconds, self.bpm_at(seconds)),)
        return replace(self, tempos=(*before, Tempo(beat, seconds, bpm), Tempo(joined, joined_at, to.bpm)))

    def since(self, seconds: float) -> Timeline:
        """The same from a time on; before it the tempo that is in force there."""
        first = max(0, bisect_right(self.tempos, seconds, key=lambda each: each.seconds) - 1)
        return replace(self, tempos=self.tempos[first:])

    def in_one_meter(self, meter: Meter) -> Timeline:
        """The same beats, in bars of one meter that are counted from beat 0."""
        return replace(self, meters=(MeterStart(0.0, 0, meter),))

    def with_meter(self, meter: Meter, beat: float) -> Timeline:
        """Another meter from the first bar line that is not before a beat."""
        line = self.line_at_or_after(beat, "bar")
        bar = self.place_at(line).bar
        kept = tuple(each for each in self.meters if each.beat < line + _BEAT_SLACK)
        before = kept or (MeterStart(line, bar, self.meter_at(line)),)
        return replace(self, meters=(*before, MeterStart(line, bar, meter)))

    def located(self, beat: float, seconds: float, bpm: float) -> Timeline:
        """The same bars, but with ``beat`` at ``seconds`` and one tempo. Raises ValueError: it is out of range."""
        return replace(self, tempos=(Tempo(beat, seconds, bpm),))


_Change = TypeVar("_Change")


def _in_force(changes: Sequence[_Change], place: float, key: Callable[[_Change], float]) -> _Change:
    """The last change not after a place; before the first one it is the first."""
    return changes[max(0, bisect_right(changes, place, key=key) - 1)]
