"""Plays a score as a pianist might: rubato, asynchrony, dynamics, articulation and pedal.

The shapes are the usual ones of the performance literature: tempo and loudness rise and fall with the
phrase (Todd 1992, "The dynamics of dynamics"), a last ritardando (Friberg & Sundberg 1999), the melody some
20 ms ahead of the chord under it (Goebl 2001).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from melnet_music.composing.score.accompaniment import Role
from melnet_music.composing.score.compose import HIGHEST_PITCH, LOWEST_PITCH, Work

LEAD_IN_SECONDS = 0.25
_GRID_PER_BEAT = 8
_CHARACTERS = ((34.0, 50.0), (50.0, 70.0), (70.0, 92.0))
"""Velocity levels of soft, middling and loud works."""
_SHORTEST_NOTE_SECONDS = 0.04
_REPEAT_GAP_SECONDS = 0.012
"""A key must come up before it is struck again."""
_SOFTEST, _LOUDEST = 16, 124


@dataclass(frozen=True)
class _Manner:
    """How a style is played: depth of rubato, timing spread, share of a note held, pedal, spread chords."""

    rubato: float
    spread_s: float
    melody_lead_s: float
    legato: dict[Role, float]
    pedal: bool
    rolled: float = 0.0
    """Chance that a chord is rolled from below, some 25 ms a note."""


_SONG = _Manner(0.07, 0.006, 0.020, {"melody": 1.02, "inner": 0.95, "bass": 0.98}, pedal=True, rolled=0.08)
_DANCE = _Manner(0.02, 0.005, 0.006, {"melody": 0.9, "inner": 0.6, "bass": 0.85}, pedal=False)
_MANNERS = {
    "chorale": _Manner(0.05, 0.006, 0.012, {"melody": 1.0, "inner": 0.98, "bass": 0.98}, pedal=True),
    "alberti": _Manner(0.03, 0.004, 0.008, {"melody": 0.92, "inner": 0.9, "bass": 0.95}, pedal=False),
    "nocturne": _Manner(0.09, 0.008, 0.024, {"melody": 1.03, "inner": 0.95, "bass": 0.98}, pedal=True),
    "waltz": _Manner(0.06, 0.006, 0.014, {"melody": 0.98, "inner": 0.7, "bass": 0.9}, pedal=True),
    "prelude": _Manner(0.06, 0.005, 0.010, {"melody": 1.02, "inner": 0.98, "bass": 0.98}, pedal=True),
    "invention": _Manner(0.02, 0.004, 0.004, {"melody": 0.86, "inner": 0.86, "bass": 0.84}, pedal=False),
    "stride": _DANCE,
    "barcarolle": _SONG,
    "ballad": _SONG,
    "hymn": _Manner(0.04, 0.005, 0.006, {"melody": 0.98, "inner": 0.96, "bass": 0.97}, pedal=False),
    "sarabande": _Manner(0.06, 0.006, 0.010, {"melody": 1.0, "inner": 0.94, "bass": 0.95}, pedal=True, rolled=0.3),
    "ragtime": _DANCE,
    "boogie": _Manner(0.008, 0.005, 0.0, {"melody": 0.8, "inner": 0.7, "bass": 0.85}, pedal=False),
    "blues": _Manner(0.02, 0.008, -0.006, {"melody": 0.95, "inner": 0.8, "bass": 0.95}, pedal=False, rolled=0.05),
    "jazz": _Manner(0.015, 0.007, -0.008, {"melody": 0.92, "inner": 0.85, "bass": 0.95}, pedal=False),
    "etude": _Manner(0.03, 0.003, 0.004, {"melody": 0.95, "inner": 0.7, "bass": 0.95}, pedal=True),
    "minimal": _Manner(0.01, 0.003, 0.004, {"melody": 1.0, "inner": 0.95, "bass": 0.95}, pedal=True),
    "tango": _Manner(0.05, 0.005, 0.012, {"melody": 0.96, "inner": 0.5, "bass": 0.75}, pedal=False, rolled=0.05),
    "pop": _Manner(0.015, 0.005, 0.008, {"melody": 0.98, "inner": 0.9, "bass": 0.95}, pedal=True),
}
_TOGETHER: dict[Role, float] = {"melody": 0.97, "inner": 0.94, "bass": 0.94, "drums": 1.0}
_CLASSICAL = _Manner(0.035, 0.006, 0.006, _TOGETHER, pedal=False)
_SLOW = _Manner(0.06, 0.008, 0.008, _TOGETHER, pedal=False)
_BAND = _Manner(0.006, 0.006, 0.0, _TOGETHER, pedal=False)
_MANNERS |= dict.fromkeys(("allegro", "minuet", "pastorale", "counterpoint", "processional"), _CLASSICAL)
_MANNERS |= dict.fromkeys(("adagio", "jazz ballad"), _SLOW)
_BALANCE: dict[Role, float] = {"melody": 12.0, "inner": -11.0, "bass": -3.0}
_FIGURED_BALANCE: dict[Role, float] = {"melody": 3.0, "inner": -6.0, "bass": 2.0}
_EVEN_BALANCE: dict[Role, float] = {"melody": 8.0, "inner": -2.0, "bass": 0.0}
_BALANCES = {"etude": _FIGURED_BALANCE, "minimal": _EVEN_BALANCE, "hymn": _EVEN_BALANCE, "boogie": _FIGURED_BALANCE}
_ENSEMBLE_BALANCE: dict[Role, float] = {"melody": 9.0, "inner": -6.0, "bass": 0.0, "drums": 4.0}
"""Smaller: the renderer balances the instruments themselves."""


@dataclass(frozen=True)
class PerformedNote:
    """One note as played: the key goes down and up; with the pedal down the sound may end later."""

    onset_s: float
    release_s: float
    sounding_end_s: float
    pitch: int
    velocity: int
    channel: int
    program: int


@dataclass(frozen=True)
class Performance:
    """A played work. Notes are ordered by onset, channel, pitch; no two of one channel and pitch sound at once."""

    notes: tuple[PerformedNote, ...]
    phrase_start_s: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """From the start to the last note's end, without the tail the renderer adds."""
        return max(note.sounding_end_s for note in self.notes)


def perform(work: Work) -> Performance:
    """The performance of a work; it depends on the work alone. Times are whole tenths of a millisecond."""
    notes, seconds_at = _play(work)
    phrase_start_s = tuple(round(seconds_at(beat), 4) for beat in work.phrase_start_beats)
    return Performance(tuple(_free_keys(notes)), phrase_start_s)


def played_velocities(work: Work) -> list[int]:
    """The velocities that `perform` gives a work's notes, in their order in the work."""
    return [note.velocity for note in _play(work)[0]]


def played_beats(work: Work) -> NDArray[np.float64]:
    """When `perform` plays the beats of a work: seconds ``[beats + 1]``, swing aside, from the first bar on."""
    rng = np.random.default_rng((work.seed, work.number, 1))
    return _tempo_map(rng, work, _MANNERS.get(work.style, _BAND))[::_GRID_PER_BEAT]


def _play(work: Work) -> tuple[list[PerformedNote], Callable[[float], float]]:
    """The notes in the work's order, keys not yet freed for each other; and the seconds of every beat."""
    rng = np.random.default_rng((work.seed, work.number, 1))
    manner = _MANNERS.get(work.style, _BAND)
    balance = _BALANCES.get(work.style, _BALANCE if len(work.instruments) == 1 else _ENSEMBLE_BALANCE)
    grid_s = _tempo_map(rng, work, manner)

    def seconds_at(beat: float) -> float:
        return float(np.interp(_swung(beat, work.swing) * _GRID_PER_BEAT, np.arange(len(grid_s)), grid_s))

    loudness = _loudness(rng, work)
    pedal_up_s = _pedal_changes(rng, work, seconds_at) if manner.pedal else []
    rolled_s = _rolls(rng, work, manner.rolled)
    notes: list[PerformedNote] = []
    for note in work.notes:
        onset_s = seconds_at(note.onset_beat) + float(np.clip(rng.normal(0, manner.spread_s), -0.02, 0.02))
        onset_s += rolled_s.get((note.onset_beat, note.pitch), 0.0)
        if note.role == "melody":
            onset_s -= manner.melody_lead_s
        held_beats = note.duration_beats * manner.legato[note.role]
        release_s = seconds_at(note.onset_beat + held_beats) + float(rng.normal(0, 0.008))
        release_s = max(release_s, onset_s + _SHORTEST_NOTE_SECONDS)
        level = loudness[min(int(note.onset_beat * _GRID_PER_BEAT), len(loudness) - 1)]
        velocity = level + _accent(note.onset_beat, work) + balance[note.role]
        velocity += (0.15 * (note.pitch - 64) if note.role != "drums" else 0.0) + float(rng.normal(0, 3.0))
        instrument = work.instruments[note.part]
        notes.append(
            PerformedNote(
                onset_s=max(onset_s, 0.0),
                release_s=release_s,
                sounding_end_s=_damped_at(release_s, onset_s, pedal_up_s),
                pitch=min(max(note.pitch, LOWEST_PITCH), HIGHEST_PITCH),
                velocity=int(np.clip(velocity, _SOFTEST, _LOUDEST)),
                channel=instrument.channel,
                program=instrument.program,
            )
        )
    return notes, seconds_at


def _swung(beat: float, swing: float) -> float:
    """The beat at which a swung note falls: the second half of every beat begins at ``swing`` of it."""
    whole, part = divmod(beat, 1.0)
    return whole + (part * 2 * swing if part < 0.5 else swing + (part - 0.5) * 2 * (1.0 - swing))


def _rolls(rng: np.random.Generator, work: Work, chance: float) -> dict[tuple[float, int], float]:
    """Seconds by which the notes (onset beat, pitch) of rolled chords come late, lowest first; the tune waits last."""
    if not chance:
        return {}
    together: dict[float, list[int]] = {}
    for note in work.notes:
        together.setdefault(note.onset_beat, []).append(note.pitch)
    late_s: dict[tuple[float, int], float] = {}
    for beat, pitches in together.items():
        if len(pitches) >= 4 and rng.random() < chance:
            step_s = float(rng.uniform(0.015, 0.035))
            late_s |= {(beat, pitch): index * step_s for index, pitch in enumerate(sorted(pitches))}
    return late_s


def _tempo_map(rng: np.random.Generator, work: Work, manner: _Manner) -> NDArray[np.float64]:
    """Seconds [8 * beats + 1] at every eighth of a beat."""
    beat = np.arange(round(work.beats * _GRID_PER_BEAT) + 1) / _GRID_PER_BEAT
    place = _phrase_place(beat, work)
    depth = manner.rubato * rng.uniform(0.6, 1.3)
    speed = 1.0 + depth * (np.sin(np.pi * place) - 0.5)
    speed -= depth * rng.uniform(0.5, 1.5) * np.clip((place - 0.85) / 0.15, 0.0, 1.0)
    knots = np.arange(0.0, work.beats + work.bar_beats, work.bar_beats)
    speed += np.interp(beat, knots, rng.normal(0, 0.25 * manner.rubato, len(knots)))
    ritardando_beats = 1.5 * work.bar_beats
    into_end = np.clip((beat - (work.beats - ritardando_beats - 1.0)) / ritardando_beats, 0.0, 1.0)
    speed *= 1.0 - rng.uniform(0.25, 0.45) * into_end**1.5
    step_s = 60.0 / (work.tempo_bpm * _GRID_PER_BEAT) / speed[:-1]
    return LEAD_IN_SECONDS + np.concatenate(([0.0], np.cumsum(step_s)))


def _phrase_place(beat: NDArray[np.float64], work: Work) -> NDArray[np.float64]:
    """Where each beat lies in its phrase, 0 to 1; the introduction and the last bar are phrases too."""
    edges = np.unique(np.array((0.0, *work.phrase_start_beats, work.beats - work.bar_beats, work.beats)))
    index = np.clip(np.searchsorted(edges, beat, side="right") - 1, 0, len(edges) - 2)
    place: NDArray[np.float64] = (beat - edges[index]) / (edges[index + 1] - edges[index])
    return np.clip(place, 0.0, 1.0)


def _loudness(rng: np.random.Generator, work: Work) -> NDArray[np.float64]:
    """Velocity level [8 * beats + 1] at every eighth of a beat: sections, phrase arches, a last diminuendo."""
    beat = np.arange(round(work.beats * _GRID_PER_BEAT) + 1) / _GRID_PER_BEAT
    softest, loudest = _CHARACTERS[int(rng.choice(len(_CHARACTERS), p=(0.25, 0.5, 0.25)))]
    level = np.full(len(beat), rng.uniform(softest, loudest))
    for section in work.sections:
        from_here = beat >= section.start_bar * work.bar_beats
        level[from_here] += rng.normal(0, 6.0)
        if rng.random() < 0.25:
            place = np.clip((beat - section.start_bar * work.bar_beats) / (section.bars * work.bar_beats), 0.0, 1.0)
            level[from_here] += rng.choice((-10.0, 14.0)) * place[from_here]
    level = np.clip(level, softest - 8.0, loudest + 10.0)
    level += rng.uniform(6.0, 16.0) * (np.sin(np.pi * _phrase_place(beat, work)) - 0.5)
    return level - 12.0 * np.clip((beat - (work.beats - 2 * work.bar_beats)) / (2 * work.bar_beats), 0.0, 1.0)


def _accent(beat: float, work: Work) -> float:
    """Velocity added for the place in the bar: the downbeat most, then the pulse, off-beats least (not if swung)."""
    in_bar = beat % work.bar_beats
    if work.swing > 0.55:
        return (1.0, 3.0)[int(in_bar % 1.0 >= 0.5)]
    if work.style == "sarabande" and in_bar == 1.0:
        return 6.0
    if in_bar < 1e-6:
        return 4.0
    pulse_beats = 1.5 if work.meter == "6/8" else 1.0
    return 0.0 if in_bar % pulse_beats < 1e-6 else -3.0


def _pedal_changes(
    rng: np.random.Generator, work: Work, seconds_at: Callable[[float], float]
) -> list[tuple[float, float]]:
    """(up, down) seconds of every pedal change: up as a chord comes in, down again just after; ends with up."""
    changes: list[tuple[float, float]] = []
    for chord in work.chords:
        up_s = seconds_at(chord.onset_beat) + 0.01
        changes.append((up_s, up_s + 0.06 + abs(float(rng.normal(0, 0.02)))))
    end_s = seconds_at(work.beats)
    return [*changes, (end_s, float("inf"))]


def _damped_at(release_s: float, onset_s: float, changes: Sequence[tuple[float, float]]) -> float:
    """When the damper falls: at the release if the pedal is up then, else when the pedal next comes up."""
    for up_s, down_s in changes:
        if up_s <= onset_s:
            continue
        if release_s < up_s:
            return up_s
        if release_s < down_s:
            return release_s
    return release_s


def _free_keys(notes: Sequence[PerformedNote]) -> list[PerformedNote]:
    """Ends each note before its key is struck again; a strike that leaves no time for the one before is dropped."""
    freed: list[PerformedNote] = []
    next_onset: dict[tuple[int, int], float] = {}
    for note in sorted(notes, key=lambda n: (n.onset_s, n.channel, n.pitch), reverse=True):
        limit = next_onset.get((note.channel, note.pitch), float("inf")) - _REPEAT_GAP_SECONDS
        release_s, end_s = min(note.release_s, limit), min(note.sounding_end_s, limit)
        if release_s - note.onset_s < _SHORTEST_NOTE_SECONDS / 2:
            continue
        next_onset[note.channel, note.pitch] = note.onset_s
        freed.append(
            replace(note, onset_s=round(note.onset_s, 4), release_s=round(release_s, 4), sounding_end_s=round(end_s, 4))
        )
    return sorted(freed, key=lambda n: (n.onset_s, n.channel, n.pitch))
