"""The live path of the score model: heard notes in seconds in, planned notes in seconds out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from melnet_music.notes.beat_times import BeatTimes
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.feel import Feel, measure_feel, play
from melnet_music.notes.score.grid import Bars, GridNote, Meter
from melnet_music.notes.score.network import ScoreModel
from melnet_music.notes.score.planner import Plan
from melnet_music.notes.score.quantise import EVEN, measure_swing, quantise
from melnet_music.notes.score.settings import PlanSettings
from melnet_music.notes.score.state import ScoreState

_FEEL_NOTES = 256
"""Of what was heard last, for its feel."""


class HeardAhead:
    """What the score model made of the notes that were heard, kept: the next time only what has changed is read.

    The same to the bit as if all were read anew. Belongs to one thread.
    """

    def __init__(self) -> None:
        self._state: ScoreState | None = None
        self._bars = Bars.of(Meter(4, 4))
        self._start = 0
        self._notes: list[GridNote] = []

    def read(
        self, model: ScoreModel, bars: Bars, start: int, notes: Sequence[GridNote], most: int | None = None
    ) -> ScoreState:
        """The state after these notes, in order; to be copied, not changed.

        Args:
            start: step of a bar line before which nothing is known, see `ScoreState`.
            most: so many notes are read in this call; None: all.
        """
        state = self._state
        if state is None or state.model is not model or start != self._start or bars.differs_from(self._bars):
            state = ScoreState(model, bars, start)
            self._state, self._bars, self._start, self._notes = state, bars.copy(), start, []
        same = next((at for at, pair in enumerate(zip(self._notes, notes, strict=False)) if pair[0] != pair[1]), None)
        same = min(len(self._notes), len(notes)) if same is None else same
        changed = [each[same].onset for each in (self._notes, notes) if same < len(each)]
        if same < len(self._notes):
            state.rewind(min(changed))
            self._notes = [note for note in self._notes[:same] if note.onset < min(changed)]
        unread = notes[len(self._notes) :][:most]
        state.add(unread)
        self._notes += unread
        return state


class LivePlanner:
    """Listens, and plans from there. No clock: the times of beats are told with every call, and may change.

    Beats are quarters from the start of the first bar; steps are those of the grid, 12 a quarter.
    """

    def __init__(self, model: ScoreModel, bars: Bars, first_bar: int = 0, ahead: HeardAhead | None = None) -> None:
        """
        Args:
            first_bar: before it nothing is heard.
            ahead: may have read what is heard first, or some of it.
        """
        self.heard = ScoreState(model, bars, bars.copy().start(first_bar))
        self._ahead = ahead
        self._last: list[Note] = []
        self._plan: Plan | None = None
        self._rng = np.random.default_rng(0)
        self._feel = Feel()

    def hear(self, notes: Sequence[Note], times: BeatTimes, most: int | None = None) -> None:
        """Tell of notes, best in order of onset, a beat's worth at a time.

        One that sounds still is told with the end that it has so far, and may be told again: the same onset and key
        replace each other.

        Args:
            most: so many of the first notes are read ahead, and this planner is not to be used; None: all.
        """
        told = sorted(notes, key=lambda note: note.onset_s)
        self._last = [*self._last, *told][-_FEEL_NOTES:]
        placed = quantise(told, times, self.swing(times))
        ahead, self._ahead = self._ahead, None
        if ahead:
            self.heard = ahead.read(self.heard.model, self.heard.bars, self.heard.cursor, placed, most).copy()
        else:
            self.heard.add(placed)

    def swing(self, times: BeatTimes) -> float:
        """Of what was heard last, see `swung`."""
        return measure_swing(times.beats_at([note.onset_s for note in self._last])) if self._last else EVEN

    def begin(self, start: int, settings: PlanSettings, seed: int, times: BeatTimes) -> None:
        """Plan from a step on, usually that of a bar line; a plan that was there is dropped."""
        self._feel = measure_feel(self._last, times)
        self._plan = Plan.begin(self.heard, start, settings, np.random.default_rng((seed, 0)))
        self._rng = np.random.default_rng((seed, 1))

    def fill(
        self, start: int, end: int, after: Sequence[Note], settings: PlanSettings, seed: int, times: BeatTimes
    ) -> None:
        """Plan what lies from step ``start`` to ``end``, between what was heard and what comes ``after``.

        Raises:
            ValueError: the part is empty.
        """
        self._feel = measure_feel(self._last or list(after), times)
        future = quantise(after, times, self._feel.swing)
        rng = np.random.default_rng((seed, 0))
        self._plan = Plan.fill(self.heard, start, end, settings, rng, [note for note in future if note.onset >= end])
        self._rng = np.random.default_rng((seed, 1))

    def extend(self, until: int, times: BeatTimes) -> tuple[list[GridNote], list[Note]]:
        """The planned notes that begin before a step and were not given yet: on the grid, and as they are played.

        Raises:
            ValueError: nothing was begun.
        """
        if self._plan is None:
            raise ValueError("no plan was begun: call begin first")
        planned = self._plan.extend(until)
        return planned, play(planned, times, self._feel, self._rng)

    def follow(self, notes: Sequence[Note], replan_from: int, times: BeatTimes) -> None:
        """What was played since the plan began; what is planned from ``replan_from`` on is planned anew."""
        self.hear(notes, times)
        if self._plan is not None:
            self._plan.follow(quantise(notes, times, self._feel.swing), replan_from)

    def use_bars(self, bars: Bars) -> None:
        """Plan in other bars from here on; those up to what was planned have to be the same."""
        if self._plan is not None:
            self._plan.use_bars(bars)

    def change(self, settings: PlanSettings) -> None:
        """For what is planned from now on."""
        if self._plan is not None:
            self._plan.change(settings)
