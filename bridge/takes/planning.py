"""Planning the notes of takes: the ear and the score model of the player, and the transport's bars around a take."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from bridge.clock.transport import Meter, MeterStart, Tempo, Timeline
from bridge.processes.job import Job, Planning

if TYPE_CHECKING:
    from melnet_music.instrument.instrument import Instrument
    from melnet_music.notes.ear.ear import Ear
    from melnet_music.notes.note_map import Note
    from melnet_music.notes.score.live import HeardAhead
    from melnet_music.notes.score.network import ScoreModel
    from melnet_music.notes.score.planned_notes import PlannedNotes, TakeGrid

_LOG = logging.getLogger(__name__)

_BEFORE_SECONDS = 62.0
"""Bars are known so long before a take."""
_READ_AT_ONCE = 24
"""Notes, which take some milliseconds: whatever else is to be done must not wait longer."""
_BARS_ALIKE = 32
"""Bars of a plan are counted from one whose number is a multiple of this, so that what was read ahead still counts."""
_WARMED_UP_FRAMES, _FRAME_SECONDS = 200, 0.02
_SAME_BEAT = 1e-6


class TakePlanner:
    """Belongs to the player's one thread; weights are read, and their kernels compiled, in another."""

    def __init__(self, ear: Ear | None = None, model: ScoreModel | None = None) -> None:
        """None: those that come with the program, read when they are first needed."""
        self._ear, self._model = ear, model
        self._problem = ""
        self._preparing: threading.Thread | None = None
        self._ahead: HeardAhead | None = None
        self._told = ""
        self._told_of_presets_plan = False

    def give_ear(self, instrument: Instrument) -> None:
        """Have an instrument hear notes, if there is an ear for its sound."""
        from melnet_music.notes.ear.ear import bundled_ear, load_ear

        try:
            if self._ear is None and bundled_ear() is not None:
                self._ear = load_ear()
        except ValueError as error:
            _LOG.warning("notes are not heard: %s", error)
        if self._ear is not None and self._ear.config.sound == instrument.sound:
            instrument.use_ear(self._ear)

    def prepare(self) -> None:
        """Begin to make the score model ready, if it is not: seconds on a first start, which compiles."""
        if self._preparing is None:
            self._preparing = threading.Thread(target=self._prepare, name="planner", daemon=True)
            self._preparing.start()

    @property
    def prepares(self) -> bool:
        """Whether the score model is on its way."""
        return self._preparing is not None and self._preparing.is_alive()

    @property
    def is_ready(self) -> bool:
        """Whether the score model is there, and compiled."""
        return self._preparing is not None and not self.prepares and self._model is not None

    def _prepare(self) -> None:
        from melnet_music.notes.score.grid import Meter
        from melnet_music.notes.score.network import ScoreModel
        from melnet_music.notes.score.planned_notes import PlannedNotes, TakeGrid
        from melnet_music.notes.score.settings import PlanSettings

        try:
            model = self._model or ScoreModel.load()
            tried = PlannedNotes(model, (), TakeGrid.steady(120.0, Meter(4, 4)), PlanSettings(), 0)
            tried.until_now(0.0, _WARMED_UP_FRAMES, _FRAME_SECONDS)
            self._model = model
        except Exception as error:
            self._problem = f"the score model cannot be used ({error})"

    def plan(self, instrument: Instrument, job: Job, known: Sequence[Note] | None = None) -> PlannedNotes:
        """A plan that begins where the job's new sound does: its planning is placed, see `placed`.

        Args:
            known: the notes that were heard, in the instrument's seconds; None: those that its ear told.

        Raises:
            ValueError: the preset plays no notes, too few were heard, there are no weights, or no grid for the meter.
        """
        from melnet_music.instrument.planning.take_plan import check_plannable, plan_part, plan_take
        from melnet_music.notes.score.settings import PlanSettings

        planning, continues = job.planning, job.kind == "continue"
        assert planning is not None
        assert planning.begins_at is not None
        check_plannable(instrument, from_heard=continues, known=known)
        if self._model is None:
            raise ValueError(self._problem or "the score model is not ready")
        settings = PlanSettings(
            temperature=planning.temperature,
            density=planning.density,
            scale=planning.scale,
            register=planning.register,
        )
        grid = grid_of(planning.timeline, planning.begins_at)
        if job.kind == "inpaint":
            part = job.start_seconds, job.stop_seconds
            plan = plan_part(instrument, self._model, grid, settings, job.seed, *part, known)
        else:
            plan = plan_take(
                instrument, self._model, grid, settings, job.seed, from_heard=continues, known=known, ahead=self._ahead
            )
        self._told = ""
        return plan

    def read_ahead(self, instrument: Instrument, planning: Planning, known: Sequence[Note] | None = None) -> None:
        """Read some of what was heard since the last call, as for a continuation that begins where it ends.

        Args:
            planning: with the bars around that place, see `placed`.
            known: see `plan`.
        """
        from melnet_music.instrument.planning.take_plan import heard_before
        from melnet_music.notes.score.live import HeardAhead
        from melnet_music.notes.score.planned_notes import read_ahead

        if self._model is None or planning.begins_at is None or not instrument.follows_notes:
            return
        heard = heard_before(instrument, known)
        if not heard:
            return
        try:
            grid = grid_of(planning.timeline, planning.begins_at)
        except ValueError:  # which is told when a take is to be planned
            return
        self._ahead = self._ahead or HeardAhead()
        read_ahead(self._ahead, self._model, heard, grid, _READ_AT_ONCE)

    def is_news(self, problem: str, *, by_preset: bool = False) -> bool:
        """Whether this was not the last problem already; a plan that is made ends it.

        Args:
            by_preset: nobody asked for the plan; of all such problems the first is news, and no other.
        """
        if by_preset:
            news, self._told_of_presets_plan = not self._told_of_presets_plan, True
        else:
            news, self._told = problem != self._told, problem
        return news


def as_the_preset_plans(job: Job, instrument: Instrument) -> Job:
    """The job without a plan that nobody asked for and its preset does not make; a take that was planned stays so."""
    left_to_preset = job.planning and job.planning.by_preset and not job.was_planned
    return replace(job, planning=None) if left_to_preset and not instrument.plans_notes else job


def placed(planning: Planning, begins_at: float | None) -> Planning:
    """With the bars around the take's new sound, and no others.

    Args:
        begins_at: time of the timeline at which that begins; None: on a bar line, in the last tempo and meter.
    """
    timeline = planning.timeline
    if begins_at is None:
        steady = Timeline.steady(timeline.tempos[-1].bpm, timeline.meters[-1].meter)
        return replace(planning, timeline=steady, begins_at=0.0, in_own_bars=True)
    return replace(planning, timeline=timeline.since(begins_at - _BEFORE_SECONDS), begins_at=begins_at)


def go_over(plan: PlannedNotes, planning: Planning, timeline: Timeline) -> None:
    """Have a plan follow the transport's bars as they are now, where it has given no notes yet.

    Args:
        planning: how the plan was made, with the place where its take's new sound begins now.
        timeline: the transport's, in seconds of the same device time.
    """
    from melnet_music.notes.score.grid import Meter as PlanMeter

    assert planning.begins_at is not None
    tempo_bpm, meter = timeline.tempos[-1].bpm, timeline.meters[-1].meter
    try:
        if planning.in_own_bars:
            plan.go_on_in(tempo_bpm, PlanMeter(meter.count, meter.unit))
        else:
            plan.go_over(grid_of(timeline, planning.begins_at))
    except ValueError as error:  # no grid for the meter
        _LOG.info("a planned take goes on in its old bars: %s", error)


def followed(planning: Planning, grid: TakeGrid) -> Planning:
    """With the bars of a grid that its plan went over to, in place of those in which it began."""
    from melnet_music.notes.score.grid import STEPS_PER_QUARTER

    assert planning.begins_at is not None
    pairs = list(zip(grid.times.beats.tolist(), (grid.times.seconds + planning.begins_at).tolist(), strict=True))
    meters, starts = grid.bars.meters, grid.bars.starts
    changes = [bar for bar, meter in enumerate(meters) if bar == 0 or meter != meters[bar - 1]]
    try:
        timeline = Timeline(
            tuple(
                Tempo(beat, at, 60.0 * (later - beat) / (then - at)) for (beat, at), (later, then) in pairwise(pairs)
            ),
            tuple(
                MeterStart(
                    int(starts[bar]) / STEPS_PER_QUARTER, bar, Meter(meters[bar].numerator, meters[bar].denominator)
                )
                for bar in changes
            ),
        )
    except ValueError:  # it met the transport's bars in a tempo that no transport may have
        return planning
    return replace(planning, timeline=timeline)


def grid_of(timeline: Timeline, join_seconds: float) -> TakeGrid:
    """Beats and bars around a take, whose new sound begins at a time of the timeline.

    Raises:
        ValueError: the grid does not hold the meter.
    """
    from melnet_music.notes.beat_times import BeatTimes
    from melnet_music.notes.score.grid import Bars, Meter
    from melnet_music.notes.score.planned_notes import TakeGrid

    first_bar = timeline.place_at(timeline.beat_at(join_seconds - _BEFORE_SECONDS)).bar
    first_bar -= first_bar % _BARS_ALIKE
    first = timeline.beat_of(first_bar)
    beats = [first]
    for tempo in timeline.tempos:
        if tempo.beat > beats[-1] + _SAME_BEAT:
            beats.append(tempo.beat)
    beats.append(beats[-1] + 1.0)
    meter = timeline.meter_at(first)
    bars = Bars.of(Meter(meter.count, meter.unit))
    for start in timeline.meters:
        if start.bar > first_bar:
            bars.change(start.bar - first_bar, Meter(start.meter.count, start.meter.unit))
    return TakeGrid(BeatTimes.of([(beat - first, timeline.seconds_at(beat) - join_seconds) for beat in beats]), bars)
