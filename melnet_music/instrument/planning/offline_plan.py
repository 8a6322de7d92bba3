"""Plans for takes on files: what is asked for, the plan once the instrument has heard, and the plan as a MIDI file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.planning.sound_grid import grid_of_sound
from melnet_music.instrument.planning.take_plan import check_plannable, plan_part, plan_take
from melnet_music.notes.beat_times import BeatTimes
from melnet_music.notes.midi_file import MidiTiming, write_midi_notes
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.grid import STEPS_PER_QUARTER, Meter
from melnet_music.notes.score.network import ScoreModel
from melnet_music.notes.score.planned_notes import PlannedNotes, TakeGrid
from melnet_music.notes.score.settings import PlanSettings

USUAL_TEMPO_BPM = 120.0
"""Of music out of nothing."""
BEFORE_SECONDS, AFTER_SECONDS = 30.0, 6.0
"""So much is listened to on both sides of a part that is repainted."""


@dataclass(frozen=True)
class PlanOrder:
    """What is asked of a plan."""

    settings: PlanSettings
    meter: Meter
    tempo_bpm: float | None
    """Quarters a minute; None: that of the sound, or the usual one out of nothing."""
    seed: int


@dataclass(frozen=True, eq=False)
class TakePlan:
    """A plan and its grid."""

    notes: PlannedNotes
    grid: TakeGrid

    def write(self, path: Path) -> None:
        """Write the notes that the take was given, in their tempo and meter, from the bar line at or before it.

        Raises:
            ValueError: the file cannot be written.
        """
        bars, times = self.grid.bars.copy(), self.grid.times
        bar = bars.bar_at(self.grid.start)
        beat = bars.start(bar) / STEPS_PER_QUARTER
        begin_s = float(times.seconds_at(beat))
        later = times.beats > beat + 1e-6
        pairs = [(beat, begin_s), *zip(times.beats[later].tolist(), times.seconds[later].tolist(), strict=True)]
        if len(pairs) < 2:
            pairs.append((beat + 1.0, float(times.seconds_at(beat + 1.0))))
        meter = bars.meters[bar]
        timing = MidiTiming(
            BeatTimes.of([(at - beat, second - begin_s) for at, second in pairs]),
            ((0.0, meter.numerator, meter.denominator),),
        )
        notes = (Note(n.onset_s - begin_s, n.end_s - begin_s, n.pitch, n.velocity) for n in self.notes.given)
        write_midi_notes(path, notes, timing)


def plan_after(instrument: Instrument, heard: NDArray[np.float32], order: PlanOrder) -> TakePlan:
    """A plan that goes on from mono sound ``[n]``, all that the instrument has heard.

    Raises:
        NotPlannableError: the preset plays no notes, there is no ear or it heard too few, or no beat was found.
        ValueError: the score model that comes with the program cannot be read.
    """
    check_plannable(instrument, from_heard=True)
    grid = grid_of_sound(heard, instrument.sample_rate_hz, order.meter, order.tempo_bpm)
    return TakePlan(plan_take(instrument, ScoreModel.load(), grid, order.settings, order.seed, from_heard=True), grid)


def plan_within(
    instrument: Instrument, heard: NDArray[np.float32], order: PlanOrder, start_seconds: float, stop_seconds: float
) -> TakePlan:
    """A plan for a part of mono sound ``[n]``, all that the instrument has heard.

    Raises:
        NotPlannableError: the preset plays no notes, there is no ear or it heard too few, or no beat was found.
        ValueError: the score model that comes with the program cannot be read.
    """
    check_plannable(instrument, from_heard=False)
    rate_hz = instrument.sample_rate_hz
    first, stop = (
        max(0, round((start_seconds - BEFORE_SECONDS) * rate_hz)),
        round((stop_seconds + AFTER_SECONDS) * rate_hz),
    )
    around = instrument.beside(heard[first:stop])
    for _ in around.listen_again():
        pass
    start_s = start_seconds - first / rate_hz
    grid = grid_of_sound(heard[first:stop], rate_hz, order.meter, order.tempo_bpm)
    grid = replace(grid, times=BeatTimes(grid.times.beats, grid.times.seconds + around.heard_seconds - start_s))
    stop_s = start_s + stop_seconds - start_seconds
    notes = plan_part(around, ScoreModel.load(), grid, order.settings, order.seed, start_s, stop_s)
    return TakePlan(notes, grid)


def plan_from_nothing(instrument: Instrument, order: PlanOrder) -> TakePlan:
    """A plan that begins with a bar.

    Raises:
        NotPlannableError: the preset plays no notes.
        ValueError: the score model that comes with the program cannot be read.
    """
    check_plannable(instrument, from_heard=False)
    grid = TakeGrid.steady(order.tempo_bpm or USUAL_TEMPO_BPM, order.meter)
    return TakePlan(plan_take(instrument, ScoreModel.load(), grid, order.settings, order.seed, from_heard=False), grid)
