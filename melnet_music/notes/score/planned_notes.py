"""The notes of a take, planned on the beat grid while it is made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from melnet_music.notes.beat_times import BeatTimes
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.grid import STEPS_PER_QUARTER, Bars, Meter
from melnet_music.notes.score.live import LivePlanner
from melnet_music.notes.score.network import ScoreModel
from melnet_music.notes.score.settings import PlanSettings

MOST_HEARD_NOTES = 256
"""So many of the last notes that were heard are read before a plan: what the model sees of them at once."""
_EARLY_S = 0.05
"""No planned note is played so much before its place on the grid."""
_ON_THE_STEP = 1e-3


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
    ) -> None:
        """
        Args:
            heard: before the take, in seconds from where its new sound begins, so below 0; none: out of nothing.
            part_s: the length of a part that is filled; None: the take goes on without an end.
            after: what follows such a part, in the same seconds, so not below ``part_s``.

        Raises:
            ValueError: the part is shorter than a step of the grid.
        """
        first_s = float(grid.times.seconds_at(0.0))
        lately = sorted((n for n in heard if n.onset_s >= first_s), key=lambda note: note.onset_s)[-MOST_HEARD_NOTES:]
        bars = grid.bars.copy()
        first_step = int(float(grid.times.beats_at(lately[0].onset_s if lately else 0.0)) * STEPS_PER_QUARTER)
        self._planner = LivePlanner(model, bars, bars.bar_at(first_step))
        self._planner.hear(lately, grid.times)
        if part_s is None:
            self._planner.begin(grid.start, settings, seed, grid.times)
        else:
            self._planner.fill(grid.start, grid.step_at(part_s), after, settings, seed, grid.times)
        self._times = grid.times
        self._planned: list[Note] = []
        self._until_s = 0.0

    def until_now(self, start_s: float, frames: int, frame_s: float) -> list[Note]:
        """See `melnet_music.instrument.take_request.LiveNotes`."""
        self._until_s = start_s + (frames + 1) * frame_s
        self._plan_until(self._until_s)
        return [note for note in self._planned if note.end_s > start_s - frame_s and note.onset_s < self._until_s]

    @property
    def given(self) -> tuple[Note, ...]:
        """The notes that the take was given so far, by onset, then pitch."""
        given = [note for note in self._planned if note.onset_s < self._until_s]
        return tuple(sorted(given, key=lambda note: (note.onset_s, note.pitch)))

    def _plan_until(self, stop_s: float) -> None:
        beat = float(self._times.beats_at(stop_s + _EARLY_S))
        _, played = self._planner.extend(math.ceil(beat * STEPS_PER_QUARTER), self._times)
        self._planned += [replace(note, onset_s=max(0.0, note.onset_s)) for note in played]
