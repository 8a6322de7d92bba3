"""Plans for MIDI files: goes on with one, or fills bars of it, on its own bars and beats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melnet_music.notes.midi_file import MidiTiming, read_midi_notes, read_midi_timing, write_midi_notes
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.feel import Feel, measure_feel, play
from melnet_music.notes.score.grid import LOWEST_PITCH, PITCHES, STEPS_PER_QUARTER, Bars, GridNote, Meter
from melnet_music.notes.score.network import ScoreModel
from melnet_music.notes.score.planner import Plan
from melnet_music.notes.score.quantise import quantise
from melnet_music.notes.score.settings import PlanSettings
from melnet_music.notes.score.state import ScoreState

_HEARD_NOTES = 1000
"""More of what lies before a plan is not read."""
_EARLY_S = 0.03
"""So early a note may begin, and belong to the bar that follows."""


@dataclass(frozen=True, eq=False)
class MidiScore:
    """A MIDI file on the grid."""

    notes: list[GridNote]
    bars: Bars
    timing: MidiTiming
    feel: Feel
    """How it is played."""
    played: list[Note]
    """Its notes in seconds, in order of onset."""

    @property
    def whole_bars(self) -> int:
        """Up to and with the last one in which a note begins."""
        return self.bars.copy().bar_at(self.notes[-1].onset) + 1


@dataclass(frozen=True, eq=False)
class PlannedFile:
    """What a plan made of a file; bars are counted from 0."""

    first_bar: int
    bars: int
    notes: list[GridNote]


def read_midi_score(path: Path) -> MidiScore:
    """
    Raises:
        ValueError: it is no MIDI file, has no note of a piano's range, or a meter that no grid of 12 steps holds.
    """
    played = [note for note in read_midi_notes(path) if 0 <= note.pitch - LOWEST_PITCH < PITCHES]
    timing = read_midi_timing(path)
    if not played:
        raise ValueError(f"{path} holds no notes to go on from (drums do not count): give a file with some")
    feel = measure_feel(played[-_HEARD_NOTES:], timing.times)
    notes = quantise(played, timing.times, feel.swing)
    return MidiScore(notes, bars_of(timing.meters), timing, feel, played)


def bars_of(meters: Sequence[tuple[float, int, int]]) -> Bars:
    """The bars of meters that begin at beats; a change within a bar holds from the next one on.

    Raises:
        ValueError: a meter that the grid does not hold.
    """
    bars = Bars.of(Meter(*meters[0][1:]))
    for beat, numerator, denominator in meters[1:]:
        step = math.ceil(beat * STEPS_PER_QUARTER - 1e-6)
        bar = bars.bar_at(step)
        if bars.start(bar) < step:
            bar += 1
        bars.change(bar, Meter(numerator, denominator))
    return bars


def plan_file(
    model: ScoreModel,
    source: Path,
    out: Path,
    *,
    bars: int | None = None,
    fill: tuple[int, int] | None = None,
    settings: PlanSettings | None = None,
    seed: int = 0,
    plan_only: bool = False,
) -> PlannedFile:
    """Write a MIDI file with what was there, and with the plan.

    Args:
        bars: so many are added after the last one.
        fill: bars (first, after the last; counted from 0) whose notes are planned anew, in place of those there.
        plan_only: leave out what was there.

    Raises:
        ValueError: the file cannot be read or written, or there are no such bars.
    """
    score = read_midi_score(source)
    first, last = fill or (score.whole_bars, score.whole_bars + (bars or 0))
    if not 0 <= first < last or (fill and first >= score.whole_bars):
        raise ValueError(
            f"bars {first + 1} to {last} cannot be planned: {source} has {score.whole_bars}, and at least one is wanted"
        )
    start, end = score.bars.start(first), score.bars.start(last)
    before = [note for note in score.notes if note.onset < start][-_HEARD_NOTES:]
    after = [note for note in score.notes if note.onset >= end] if fill else []
    heard_from = score.bars.start(score.bars.bar_at(before[0].onset)) if before else 0
    state = ScoreState(model, score.bars, heard_from)
    state.add(before)
    rng = np.random.default_rng((seed, 0))
    plan = Plan.fill(state, start, end, settings, rng, after) if after else Plan.begin(state, start, settings, rng)
    planned = plan.extend(end)
    played = play(planned, score.timing.times, score.feel, np.random.default_rng((seed, 1)))
    start_s, end_s = (float(s) for s in score.timing.times.seconds_at(np.array((start, end)) / STEPS_PER_QUARTER))
    if not plan_only:
        kept = [note for note in score.played if not start_s - _EARLY_S <= note.onset_s < end_s - _EARLY_S]
        played = sorted([*kept, *played], key=lambda note: (note.onset_s, note.pitch))
    write_midi_notes(out, played, score.timing)
    return PlannedFile(first, last - first, planned)
