"""How notes are played: swing and spread measured from what was heard, and planned notes played so, from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melnet_music.notes.beat_times import BeatTimes
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.grid import STEPS_PER_QUARTER, GridNote
from melnet_music.notes.score.quantise import EVEN, measure_swing, quantise, swung

_USUAL_SPREAD_S, _LEAST_SPREAD_S, _MOST_SPREAD_S = 0.006, 0.0, 0.012
_USUAL_VELOCITY = 72
_VELOCITY_SPREAD = 2.0
_SHORTEST_S, _GAP_S = 0.03, 0.01
_FEWEST_NOTES = 8


@dataclass(frozen=True)
class Feel:
    """How somebody plays."""

    swing: float = EVEN
    """See `swung`."""
    spread_s: float = _USUAL_SPREAD_S
    """Standard deviation of onsets."""
    velocity: int = _USUAL_VELOCITY
    """Of notes whose velocity is not known."""


def measure_feel(notes: Sequence[Note], times: BeatTimes) -> Feel:
    """That of notes that were heard; the usual one where there are few."""
    if len(notes) < _FEWEST_NOTES:
        return Feel()
    beats = times.beats_at([note.onset_s for note in notes])
    swing = measure_swing(beats)
    placed = quantise(notes, times, swing)
    planned = times.seconds_at(swung(np.array([note.onset for note in placed]) / STEPS_PER_QUARTER, swing))
    heard = np.sort([note.onset_s for note in notes])
    nearest = heard[np.abs(heard[:, None] - planned[None, :]).argmin(0)] if len(planned) else heard[:0]
    astray = nearest - planned
    spread_s = float(1.4826 * np.median(np.abs(astray - np.median(astray)))) if len(astray) else _USUAL_SPREAD_S
    velocity = round(float(np.mean([note.velocity for note in notes])))
    return Feel(swing, min(max(spread_s, _LEAST_SPREAD_S), _MOST_SPREAD_S), min(max(velocity, 1), 127))


def play(notes: Sequence[GridNote], times: BeatTimes, feel: Feel, rng: np.random.Generator) -> list[Note]:
    """Grid notes in seconds, with small differences of time and loudness; in the order given.

    Three numbers are drawn for each note, so that parts played one after the other are as the whole.
    """
    played = []
    for note in notes:
        late, louder, longer = rng.normal(size=3)
        beats = np.array((note.onset, note.onset + note.steps)) / STEPS_PER_QUARTER
        onset_s, end_s = (float(at_s) for at_s in times.seconds_at(swung(beats, feel.swing)))
        onset_s += feel.spread_s * float(np.clip(late, -2, 2))
        end_s = max(end_s - _GAP_S + 0.5 * feel.spread_s * float(np.clip(longer, -2, 2)), onset_s + _SHORTEST_S)
        velocity = feel.velocity if note.velocity is None else note.velocity
        velocity = round(velocity + _VELOCITY_SPREAD * float(np.clip(louder, -2, 2)))
        played.append(Note(onset_s, end_s, note.pitch, min(max(velocity, 1), 127)))
    return played
