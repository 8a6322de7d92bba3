"""Melodies grown from motives: a motive is stated, answered, fragmented, and rounded off at a cadence.

Pitches are first written as *degrees*: steps up a seven-note ladder counted from the lowest tonic, so that a
motive can be moved along the scale and re-fitted to each chord (``Chord.scale``) before it becomes pitches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melnet_music.composing.score.harmony import Chord

# Meter -> rhythms of one bar in beats (quarter notes); a negative one is a rest. 6/8 is written as three beats in
# two dotted pulses.
_RHYTHMS: dict[str, dict[str, tuple[tuple[float, ...], ...]]] = {
    "4/4": {
        "calm": ((2, 2), (2, 1, 1), (3, 1), (1, 1, 2), (1.5, 0.5, 2), (1, 1, 1, 1)),
        "singing": (
            (1.5, 0.5, 1, 1),
            (1, 0.5, 0.5, 2),
            (2, 1, 0.5, 0.5),
            (1, 1, 1.5, 0.5),
            (0.5, 0.5, 1, 1.5, 0.5),
            (2, 0.5, 0.5, 1),
        ),
        "flowing": (
            (0.5, 0.5, 0.5, 0.5, 1, 1),
            (1, 0.5, 0.5, 0.5, 0.5, 1),
            (0.75, 0.25, 1, 0.5, 0.5, 1),
            (0.5,) * 8,
            (1, 0.25, 0.25, 0.5, 1, 1),
            (0.5, 1, 0.5, 1, 1),
        ),
        "running": (
            (0.5,) * 8,
            (0.5, 0.25, 0.25, 0.5, 0.25, 0.25, 0.5, 0.5, 0.5, 0.5),
            (0.25,) * 8 + (0.5,) * 4,
            (0.5,) * 4 + (0.25,) * 8,
            (0.5, 0.25, 0.25) * 4,
        ),
        "syncopated": (
            (0.5, 1, 0.5, 1, 1),
            (0.5, 1, 1, 1, 0.5),
            (1.5, 1.5, 1),
            (0.5, 0.5, 0.5, 1, 0.5, 1),
            (0.5, 1, 0.5, 0.5, 0.5, 0.5, 0.5),
            (1, 0.5, 1, 0.5, -0.5, 0.5),
            (-0.5, 0.5, 0.5, 1, 0.5, 1),
        ),
        "swung": (
            (-0.5, 0.5, 0.5, 0.5, 1, -0.5, 0.5),
            (0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1),
            (1, 0.5, 1, 0.5, 1),
            (-1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5),
            (0.5,) * 8,
            (1.5, 0.5, -0.5, 0.5, 0.5, 0.5),
            (0.5, 1, 0.5, -1, 0.5, 0.5),
        ),
        "sparse": ((4,), (3, -1), (-1, 3), (2, -2), (-2, 2), (1.5, 2.5)),
    },
    "3/4": {
        "calm": ((3,), (2, 1), (1, 2), (1, 1, 1)),
        "singing": ((2, 0.5, 0.5), (1.5, 0.5, 1), (1, 1, 0.5, 0.5), (2, 1), (1, 1, 1)),
        "flowing": (
            (0.5,) * 6,
            (1, 0.5, 0.5, 0.5, 0.5),
            (1.5, 0.5, 0.5, 0.5),
            (0.75, 0.25, 1, 1),
            (1, 1, 0.5, 0.5),
        ),
        "running": ((0.5,) * 6, (0.5, 0.25, 0.25) * 3, (0.25,) * 8 + (0.5, 0.5), (0.5,) * 4 + (0.25,) * 4),
        "grave": ((1, 1.5, 0.5), (1, 2), (1, 1.25, 0.25, 0.5), (0.75, 0.25, 1.5, 0.5), (1.5, 0.5, 1)),
        "swung": ((-0.5, 0.5, 0.5, 0.5, 1), (0.5, 1, 0.5, 1), (1, 0.5, 0.5, 0.5, 0.5), (1.5, 0.5, -0.5, 0.5)),
        "syncopated": ((1.5, 1.5), (0.5, 1, 1, 0.5), (0.5, 1, 0.5, 1), (-0.5, 1, 0.5, 1), (1, 0.5, 1, 0.5)),
        "sparse": ((3,), (2, -1), (-1, 2)),
    },
    "6/8": {
        "calm": ((3,), (1.5, 1.5), (1, 0.5, 1.5)),
        "singing": ((1, 0.5, 1, 0.5), (1.5, 1, 0.5), (1, 0.5, 1.5), (1.5, 0.5, 0.5, 0.5)),
        "flowing": ((0.5,) * 6, (1, 0.5, 0.5, 0.5, 0.5), (0.75, 0.25, 0.5, 1, 0.5), (0.5, 0.5, 0.5, 1.5)),
        "running": ((0.5,) * 6, (0.25,) * 6 + (0.5,) * 3, (0.5,) * 3 + (0.25,) * 6),
        "sparse": ((3,), (1.5, -1.5), (-1.5, 1.5)),
    },
    "5/4": {
        "calm": ((3, 2), (2, 1, 2), (1, 2, 1, 1)),
        "flowing": ((0.5,) * 6 + (1, 1), (1, 0.5, 0.5, 1, 1, 1), (1.5, 1.5, 1, 1), (1, 1, 1, 0.5, 0.5, 1)),
        "sparse": ((5,), (3, 2), (-3, 2), (3, -2)),
    },
}
_CLOSES: dict[str, tuple[tuple[float, ...], ...]] = {
    "4/4": ((4,), (3, 1), (2, 2), (1, 3)),
    "3/4": ((3,), (2, 1), (1, 2)),
    "6/8": ((3,), (1.5, 1.5), (1, 2)),
    "5/4": ((5,), (3, 2), (2, 3)),
}
# What the first three bars of a phrase hold: the motive, its contrast, or its second half, twice (a fragment).
_PLANS = ("mcm", "mmf", "mcf", "mmc")
PHRASE_BARS = 4
_STEPS = (-4, -3, -2, -1, 0, 1, 2, 3, 4)
_STEP_WEIGHTS = (0.02, 0.04, 0.13, 0.3, 0.05, 0.3, 0.1, 0.04, 0.02)
_PULSE_BEATS = {"4/4": 2.0, "3/4": 3.0, "6/8": 1.5, "5/4": 3.0}


@dataclass(frozen=True)
class Motive:
    """One bar of melody: durations in beats (negative: a rest), and each note's degree above the first note's."""

    rhythm: tuple[float, ...]
    contour: tuple[int, ...]

    def fragment(self, bar_beats: float) -> Motive:
        """The second half of the bar, stated twice, the second time a step lower."""
        onsets = _onsets(self.rhythm)
        half = [i for i, onset in enumerate(onsets) if onset >= bar_beats / 2]
        if not half or onsets[half[0]] != bar_beats / 2:
            return self
        rhythm = tuple(self.rhythm[i] for i in half)
        contour = tuple(self.contour[i] - self.contour[half[0]] for i in half)
        return Motive(rhythm * 2, contour + tuple(c - 1 for c in contour))


@dataclass(frozen=True)
class MelodyNote:
    """One note of a melody, in beats from the start of the section, at a MIDI pitch."""

    onset_beat: float
    duration_beats: float
    pitch: int


def draw_motive(rng: np.random.Generator, meter: str, motion: str) -> Motive:
    """A new motive in a meter (``4/4``, ``3/4``, ``6/8``) and motion (``calm`` to ``running``)."""
    rhythms = _RHYTHMS[meter][motion]
    rhythm = rhythms[int(rng.integers(len(rhythms)))]
    other = rhythms[int(rng.integers(len(rhythms)))]
    half_beats = sum(map(abs, rhythm)) / 2
    here, there = _split(rhythm, half_beats), _split(other, half_beats)
    if here and there and rng.random() < 0.6:
        rhythm = here[0] + there[1]
    contour = [0]
    for _ in rhythm[1:]:
        step = int(rng.choice(_STEPS, p=_STEP_WEIGHTS))
        contour.append(int(np.clip(contour[-1] + step, -5, 5)))
    return Motive(rhythm, tuple(contour))


def _onsets(rhythm: Sequence[float]) -> NDArray[np.float64]:
    """Where each duration (or rest) of a rhythm begins, in beats."""
    onsets: NDArray[np.float64] = np.cumsum(np.abs((0.0, *rhythm[:-1])))
    return onsets


def _split(rhythm: tuple[float, ...], beats: float) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """The rhythm before and after ``beats``; None where a note lies across."""
    for index, onset in enumerate(_onsets(rhythm)):
        if index and onset == beats:
            return rhythm[:index], rhythm[index:]
    return None


class Melodist:
    """Writes one voice's melody, phrase by phrase, inside a register; it remembers where the voice stands."""

    def __init__(self, rng: np.random.Generator, meter: str, bar_beats: float, lowest: int, highest: int) -> None:
        self._rng = rng
        self._meter = meter
        self._bar_beats = bar_beats
        self._lowest = lowest
        self._highest = highest
        self._last_pitch = (lowest + highest) // 2

    def phrase(
        self,
        motive: Motive,
        contrast: Motive,
        chords: Sequence[Chord],
        start_bar: int,
        final: bool,
    ) -> list[MelodyNote]:
        """A phrase of four bars over ``chords``; ``final`` closes it on the tonic."""
        rng = self._rng
        plan = _PLANS[int(rng.integers(len(_PLANS)))]
        parts = {"m": motive, "c": contrast, "f": motive.fragment(self._bar_beats)}
        middle = (self._lowest + self._highest) / 2
        arch = rng.uniform(2.0, 6.0)
        peak = rng.uniform(0.35, 0.75)
        notes: list[MelodyNote] = []
        for bar, part in enumerate(plan):
            place = bar / PHRASE_BARS
            height = place / peak if place < peak else (1.0 - place) / (1.0 - peak)
            target = middle - 2.0 + arch * height
            notes += self.state(parts[part], chords, (start_bar + bar) * self._bar_beats, target)
        closes = _CLOSES[self._meter]
        rhythm = closes[int(rng.integers(len(closes)))]
        close = Motive(rhythm, tuple(range(0, -len(rhythm), -1)))
        ending = self.state(close, chords, (start_bar + PHRASE_BARS - 1) * self._bar_beats, self._last_pitch - 2.0)
        if final:
            last = ending[-1]
            tonic = chord_at(chords, last.onset_beat).key.tonic
            pitch = min(
                (p for p in range(self._lowest - 5, self._highest + 6) if p % 12 == tonic),
                key=lambda p: abs(p - last.pitch),
            )
            ending[-1] = MelodyNote(last.onset_beat, last.duration_beats, pitch)
            self._last_pitch = pitch
        return notes + ending

    def state(
        self, motive: Motive, chords: Sequence[Chord], start_beat: float, target_pitch: float
    ) -> list[MelodyNote]:
        """The motive at ``start_beat``, begun on a chord tone near ``target_pitch`` and fitted to the chords.

        Strong and long notes move to the nearest chord tone, but for a rare suspension; a weak note foreign
        to the chord stays only where a step leads to it.
        """
        onsets = start_beat + _onsets(motive.rhythm)
        first_chord = chord_at(chords, float(onsets[0]))
        wish = 0.5 * target_pitch + 0.5 * self._last_pitch
        start = _nearest_chord_tone(wish, first_chord)
        if pitch_of(start, first_chord) == self._last_pitch and self._rng.random() < 0.5:
            start = _nearest_chord_tone(wish, first_chord, stale=start)
        # Degrees count from the key's tonic, which changes only between sections.
        notes: list[MelodyNote] = []
        before = start
        for index, (onset, beats, rise) in enumerate(zip(onsets, motive.rhythm, motive.contour, strict=True)):
            if beats < 0:
                continue
            here = chord_at(chords, float(onset))
            degree = start + rise
            strong = float(onset - start_beat) % _PULSE_BEATS[self._meter] == 0.0 or beats >= 1.5
            foreign = pitch_of(degree, here) % 12 not in here.pitch_classes
            suspended = index > 0 and degree == before and self._rng.random() < 0.3
            if foreign and ((strong and not suspended) or abs(degree - before) > 1):
                stale = before if index and rise != motive.contour[index - 1] else None
                degree = _nearest_chord_tone(float(pitch_of(degree, here)), here, stale)
            while degree - before > 5:
                degree -= 7
            while before - degree > 5:
                degree += 7
            pitch = pitch_of(degree, here)
            if pitch > self._highest:
                degree, pitch = degree - 7, pitch_of(degree - 7, here)
            elif pitch < self._lowest:
                degree, pitch = degree + 7, pitch_of(degree + 7, here)
            notes.append(MelodyNote(float(onset), float(beats), pitch))
            before = degree
        if notes:
            self._last_pitch = notes[-1].pitch
        return notes


def figuration(
    rng: np.random.Generator, notes: Sequence[MelodyNote], chords: Sequence[Chord], lowest: int, highest: int
) -> list[MelodyNote]:
    """Sixteenths around a slow tune: each beat begins on the tune's chord tone and runs, breaks or turns from there.

    One figure of four or eight degrees is drawn for each pair of bars, and kept inside ``lowest`` to ``highest``.
    """
    figured: list[MelodyNote] = []
    figure, broken = _draw_figure(rng)
    for index, note in enumerate(notes):
        if rng.random() < 0.12:
            figure, broken = _draw_figure(rng)
        after = notes[index + 1].onset_beat if index + 1 < len(notes) else note.onset_beat + note.duration_beats
        steps = round((after - note.onset_beat) * 4)
        for step in range(steps):
            onset = note.onset_beat + step / 4
            here = chord_at(chords, onset)
            tones = _ladder(here, lowest, highest, broken)
            base = min(range(len(tones)), key=lambda k, tones=tones: abs(tones[k] - note.pitch))  # type: ignore[misc]
            place = base + figure[step % len(figure)]
            place = -place if place < 0 else min(place, 2 * (len(tones) - 1) - place)
            figured.append(MelodyNote(onset, 0.25, tones[place]))
    return figured


def _draw_figure(rng: np.random.Generator) -> tuple[tuple[int, ...], bool]:
    """Steps from the tune's note, and whether they are steps of the chord (True) or of the scale."""
    broken = bool(rng.random() < 0.55)
    places = [0]
    length = int(rng.choice((4, 8, 8)))
    while len(places) < length:
        step = int(rng.choice((-2, -1, 1, 2), p=(0.15, 0.35, 0.35, 0.15)))
        if abs(places[-1] + step) <= (3 if broken else 5):
            places.append(places[-1] + step)
    return tuple(places), broken


def _ladder(here: Chord, lowest: int, highest: int, broken: bool) -> list[int]:
    """The pitches of the chord (``broken``) or of its scale inside a range, upwards."""
    tones = here.pitch_classes if broken else here.scale()
    return [pitch for pitch in range(lowest, highest + 1) if pitch % 12 in tones]


def crushed(rng: np.random.Generator, notes: Sequence[MelodyNote], chance: float) -> list[MelodyNote]:
    """Blue notes: a short semitone below some longer notes, struck just before them."""
    bent: list[MelodyNote] = []
    for note in notes:
        if note.duration_beats >= 0.5 and rng.random() < chance:
            grace = 0.125
            bent.append(MelodyNote(note.onset_beat, grace, note.pitch - 1))
            bent.append(MelodyNote(note.onset_beat + grace, note.duration_beats - grace, note.pitch))
        else:
            bent.append(note)
    return bent


def ornament(rng: np.random.Generator, notes: Sequence[MelodyNote], chords: Sequence[Chord]) -> list[MelodyNote]:
    """A varied repeat: neighbours on long notes, passing notes in thirds, dotted pairs, echoes."""
    varied: list[MelodyNote] = []
    for index, note in enumerate(notes):
        after = notes[index + 1] if index + 1 < len(notes) else None
        here = chord_at(chords, note.onset_beat)
        degree = _nearest_degree(note.pitch, here)
        beats = note.duration_beats
        chance = rng.random()
        if beats >= 1.0 and chance < 0.14:
            neighbour = pitch_of(degree + int(rng.choice((-1, 1))), here)
            varied += [
                MelodyNote(note.onset_beat, beats / 2, note.pitch),
                MelodyNote(note.onset_beat + beats / 2, beats / 4, neighbour),
                MelodyNote(note.onset_beat + 0.75 * beats, beats / 4, note.pitch),
            ]
        elif beats >= 0.5 and after is not None and abs(after.pitch - note.pitch) in (3, 4) and chance < 0.55:
            passing = pitch_of(degree + (1 if after.pitch > note.pitch else -1), here)
            varied += [
                MelodyNote(note.onset_beat, beats / 2, note.pitch),
                MelodyNote(note.onset_beat + beats / 2, beats / 2, passing),
            ]
        elif beats == 1.0 and chance > 0.9:
            varied += [
                MelodyNote(note.onset_beat, 0.75, note.pitch),
                MelodyNote(note.onset_beat + 0.75, 0.25, note.pitch),
            ]
        else:
            varied.append(note)
    return varied


def chord_at(chords: Sequence[Chord], beat: float) -> Chord:
    """The chord that sounds at a beat; ``chords`` are in order and the first starts at or before it."""
    sounding = chords[0]
    for c in chords:
        if c.onset_beat > beat + 1e-6:
            break
        sounding = c
    return sounding


def pitch_of(degree: int, here: Chord) -> int:
    """The MIDI pitch of a degree of the chord's ladder."""
    octave, step = divmod(degree, 7)
    scale = here.scale()
    return here.key.tonic + 12 * octave + (scale[step] - here.key.tonic) % 12


def _nearest_degree(pitch: float, here: Chord) -> int:
    return min(_degrees_around(pitch, here), key=lambda d: abs(pitch_of(d, here) - pitch))


def _nearest_chord_tone(pitch: float, here: Chord, stale: int | None = None) -> int:
    """The degree of the chord tone nearest to a pitch; ``stale`` only if all others are a fourth farther."""
    fitting = [d for d in _degrees_around(pitch, here) if pitch_of(d, here) % 12 in here.pitch_classes]
    return min(fitting, key=lambda d: abs(pitch_of(d, here) - pitch) + 5.0 * (d == stale))


def _degrees_around(pitch: float, here: Chord) -> range:
    around = round((pitch - here.key.tonic) * 7 / 12)
    return range(around - 6, around + 7)
