"""The notes of a take, planned on the beat grid while it is made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from melnet_music.notes.beat_times import BeatTimes
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.grid import STEPS_PER_QUARTER, Bars, Meter
from melnet_music.notes.score.live import HeardAhead, LivePlanner
from melnet_music.notes.score.network import ScoreModel
from melnet_music.notes.score.settings import PlanSettings

MOST_HEARD_NOTES = 256
"""So many of the last notes that were heard are read before a plan: what the model sees of them at once."""
_WINDOW_S, _WINDOW_STEP_S = 60.0, 17.0
"""Notes are known so long, and what is read of them moves on by as many bars as last so long at most."""
_SHORTEST_S = 0.03
_EARLY_S = 0.05
"""No planned note is played so much before its place on the grid."""
_ON_THE_STEP = 1e-3
_SAME_BEAT = 1e-6
_BARS_TO_MEET = 3
"""Grids that part meet again within so many bars."""
_LEAST_WAY_BEATS = 0.25
"""They do so no sooner: on a short way the tempo would be another for a moment."""
_NO_DETOUR = 1e-4
"""Ways whose tempos are so alike are the same, and the shortest of them is taken."""


@dataclass(frozen=True, eq=False)
class TakeGrid:
    """Beats and bars around the place where a take's new sound begins."""

    times: BeatTimes
    """Quarters from the start of the first bar, in seconds from that place; before it they are below 0."""
    bars: Bars
    """The first of them begins before all that is to be read."""

    @classmethod
    def steady(cls, tempo_bpm: float, meter: Meter, before_s: float = 60.0) -> TakeGrid:
        """One tempo and one meter, a bar line where the new sound begins.

        Args:
            before_s: the first bar begins at least so long before that.
        """
        bar_s = 60 / tempo_bpm * meter.steps / STEPS_PER_QUARTER
        return cls(BeatTimes.steady(tempo_bpm, -math.ceil(before_s / bar_s) * bar_s), Bars.of(meter))

    @property
    def start(self) -> int:
        """The first step that is not before the new sound."""
        return self.step_at(0.0)

    def step_at(self, seconds: float) -> int:
        """The first step that is not before a time."""
        return max(0, math.ceil(float(self.times.beats_at(seconds)) * STEPS_PER_QUARTER - _ON_THE_STEP))

    def gone_over(self, to: TakeGrid, from_s: float) -> TakeGrid:
        """The same up to a time, and from there on the tempo and the bars of another grid.

        Its beats are counted on without a jump. Where the other grid's beats are elsewhere at that time, the tempo
        between is such that one of the next bar lines falls on one of the other's, that of the least detour.
        """
        here, there = float(self.times.beats_at(from_s)), float(to.times.beats_at(from_s))
        line = _meeting_line(self.bars, here, to.bars, there)
        slope, shift = (line.there - there) / (line.here - here), line.here - line.there
        kept = self.times.beats < here - _SAME_BEAT
        knots = list(zip(self.times.beats[kept].tolist(), self.times.seconds[kept].tolist(), strict=True))
        if not knots:
            knots.append((here - 1.0, float(self.times.seconds_at(here - 1.0))))
        knots.append((here, from_s))
        last = max(float(to.times.beats[-1]), line.there) + 1.0
        others = sorted({line.there, last, *to.times.beats[to.times.beats > there].tolist()})
        for beat in others:
            beat_here = here + (beat - there) / slope if beat < line.there else beat + shift
            if beat_here > knots[-1][0] + _SAME_BEAT:
                knots.append((beat_here, float(to.times.seconds_at(beat))))
        bars = self.bars.copy()
        bars.start(line.bar_here + 1)
        to_bars = to.bars.copy()
        to_bars.start(line.bar_there + 1)
        before: Meter | None = None
        for number, meter in enumerate(to_bars.meters[line.bar_there :]):
            if meter != before:
                bars.change(line.bar_here + number, meter)
            before = meter
        return TakeGrid(BeatTimes.of(knots), bars)


@dataclass(frozen=True)
class _Line:
    """A bar line of a grid and one of another, on which it falls."""

    here: float
    there: float
    """In quarters of either grid."""
    bar_here: int
    bar_there: int


def _meeting_line(here: Bars, here_beat: float, there: Bars, there_beat: float) -> _Line:
    """Of the next bar lines that pair between which the tempo of the one grid is nearest to that of the other."""

    def next_lines(bars: Bars, beat: float) -> list[tuple[int, float]]:
        first = bars.bar_at(max(0, math.floor(beat * STEPS_PER_QUARTER + _ON_THE_STEP))) + 1
        lines = [(bar, bars.start(bar) / STEPS_PER_QUARTER) for bar in range(first, first + _BARS_TO_MEET)]
        return [(bar, line) for bar, line in lines if line - beat >= _LEAST_WAY_BEATS]

    pairs = [
        (abs(math.log((there_line - there_beat) / (here_line - here_beat))), here_line, there_line, bar, other)
        for bar, here_line in next_lines(here.copy(), here_beat)
        for other, there_line in next_lines(there.copy(), there_beat)
    ]
    least = min(pairs)[0]
    shortest = min((pair for pair in pairs if pair[0] <= least + _NO_DETOUR), key=lambda pair: pair[1])
    _, here_line, there_line, bar, other = shortest
    return _Line(here_line, there_line, bar, other)


def read_ahead(ahead: HeardAhead, model: ScoreModel, heard: Sequence[Note], grid: TakeGrid, most: int) -> None:
    """Read what was heard before a take that may come, so that its plan begins at once.

    Args:
        heard, grid: as for `PlannedNotes`.
        most: so many notes of those that are not read yet.
    """
    _hearing(model, heard, grid, ahead, most)


def _hearing(
    model: ScoreModel, heard: Sequence[Note], grid: TakeGrid, ahead: HeardAhead | None, most: int | None = None
) -> LivePlanner:
    bars = grid.bars.copy()
    first_s = float(grid.times.seconds_at(0.0))
    known = sorted((note for note in heard if note.onset_s >= first_s), key=lambda note: note.onset_s)
    begin_bars = [bars.bar_at(math.floor(beat * STEPS_PER_QUARTER)) for beat in _beats(grid, known)]
    first_bar = _first_bar(grid, begin_bars) if known else bars.bar_at(grid.start)
    planner = LivePlanner(model, bars, first_bar, ahead)
    lately = [note for note, bar in zip(known, begin_bars, strict=True) if bar >= first_bar]
    planner.hear(lately[-MOST_HEARD_NOTES:], grid.times, most)
    return planner


def _beats(grid: TakeGrid, notes: Sequence[Note]) -> list[float]:
    beats: list[float] = grid.times.beats_at([note.onset_s for note in notes]).tolist()
    return beats


def _first_bar(grid: TakeGrid, begin_bars: Sequence[int]) -> int:
    """The bar from which on notes are read, which begin in these bars, in order.

    While music goes on it stays the same for some bars, so that what was read ahead still counts.
    """
    bars = grid.bars.copy()
    here = bars.bar_at(grid.start)
    start, end = (float(bars.start(bar)) / STEPS_PER_QUARTER for bar in (here, here + 1))
    bar_s = float(grid.times.seconds_at(end) - grid.times.seconds_at(start))
    every = next((bars for bars in (8, 4, 2) if bars * bar_s <= _WINDOW_STEP_S), 1)
    oldest = bars.bar_at(math.ceil(max(0.0, float(grid.times.beats_at(-_WINDOW_S))) * STEPS_PER_QUARTER))
    first = -(-oldest // every) * every  # what begins before it is about to be forgotten
    if begin_bars[0] >= first or begin_bars[-1] < first:
        first = begin_bars[0]
    while sum(bar >= first for bar in begin_bars) > MOST_HEARD_NOTES and first // every < here // every:
        first = (first // every + 1) * every
    return first if begin_bars[-1] >= first else begin_bars[max(0, len(begin_bars) - MOST_HEARD_NOTES)]


class PlannedNotes:
    """A source of notes for one take, see `LiveNotes`: planned as far as they are asked for, and remembered.

    The same from the same seed, however the take is cut into chunks. Belongs to one thread.
    """

    known_ahead = True

    def __init__(
        self,
        model: ScoreModel,
        heard: Sequence[Note],
        grid: TakeGrid,
        settings: PlanSettings,
        seed: int,
        part_s: float | None = None,
        after: Sequence[Note] = (),
        ahead: HeardAhead | None = None,
    ) -> None:
        """
        Args:
            heard: before the take, in seconds from where its new sound begins, so below 0; none: out of nothing.
            part_s: the length of a part that is filled; None: the take goes on without an end.
            after: what follows such a part, in the same seconds, so not below ``part_s``.
            ahead: may have read ``heard``, or some of it, see `read_ahead`.

        Raises:
            ValueError: the part is shorter than a step of the grid.
        """
        self._planner = _hearing(model, heard, grid, ahead)
        if part_s is None:
            self._planner.begin(grid.start, settings, seed, grid.times)
        else:
            self._planner.fill(grid.start, grid.step_at(part_s), after, settings, seed, grid.times)
        self._grid, self._fills = grid, part_s is not None
        self._planned: list[Note] = []
        self._until_s = 0.0
        self._planned_step = grid.start

    def until_now(self, start_s: float, frames: int, frame_s: float) -> list[Note]:
        """See `melnet_music.instrument.take_request.LiveNotes`."""
        self._until_s = start_s + (frames + 1) * frame_s
        self._plan_until(self._until_s)
        return [note for note in self._planned if note.end_s > start_s - frame_s and note.onset_s < self._until_s]

    @property
    def grid(self) -> TakeGrid:
        """Beats and bars that it has followed, and follows from here on."""
        return self._grid

    def go_over(self, to: TakeGrid) -> None:
        """Follow another grid from where no note was given yet, see `TakeGrid.gone_over`; a filled part stays.

        What was given stays as it is. Notes that were planned beyond that keep their beats, and so are moved.
        """
        if self._fills:
            return
        before, self._grid = self._grid, self._grid.gone_over(to, self._until_s)
        self._planned = [self._moved(note, before) if note.onset_s >= self._until_s else note for note in self._planned]
        self._planner.use_bars(self._grid.bars)

    def answer(self, played: Sequence[Note]) -> None:
        """Go on from notes that somebody else played meanwhile too, in the seconds of the take; a filled part does not.

        What is planned already stays. Those of a beat are told at once, and beats one after the other.
        """
        if not self._fills:
            self._planner.follow(played, self._planned_step, self._grid.times)

    def go_on_in(self, tempo_bpm: float, meter: Meter) -> None:
        """As `go_over`, in bars of its own: the tempo changes here, the meter on the next bar line."""
        here, bars = float(self._grid.times.beats_at(self._until_s)), self._grid.bars.copy()
        bars.change(bars.bar_at(max(0, math.ceil(here * STEPS_PER_QUARTER - _ON_THE_STEP) - 1)) + 1, meter)
        times = BeatTimes.of([(here - 1.0, self._until_s - 60.0 / tempo_bpm), (here, self._until_s)])
        self.go_over(TakeGrid(times, bars))

    def _moved(self, note: Note, before: TakeGrid) -> Note:
        onset_s, end_s = self._grid.times.seconds_at(before.times.beats_at((note.onset_s, note.end_s))).tolist()
        onset_s = max(onset_s, self._until_s)
        return replace(note, onset_s=onset_s, end_s=max(end_s, onset_s + _SHORTEST_S))

    @property
    def given(self) -> tuple[Note, ...]:
        """The notes that the take was given so far, by onset, then pitch."""
        given = [note for note in self._planned if note.onset_s < self._until_s]
        return tuple(sorted(given, key=lambda note: (note.onset_s, note.pitch)))

    def _plan_until(self, stop_s: float) -> None:
        beat = float(self._grid.times.beats_at(stop_s + _EARLY_S))
        self._planned_step = max(self._planned_step, math.ceil(beat * STEPS_PER_QUARTER))
        _, played = self._planner.extend(self._planned_step, self._grid.times)
        self._planned += [replace(note, onset_s=max(0.0, note.onset_s)) for note in played]
