"""Harmony: phrases of chords in one of four languages, and voicings that move little.

``functional`` and ``jazz`` phrases walk to a cadence, ``blues`` fills twelve bars, ``loop`` goes round four chords.
A walking phrase is a Markov chain over Roman numerals sampled *conditioned on its end*: the backward messages of the
chain (Rabiner 1989, eq. 24) weigh every step by the chance of still reaching the cadence, so that no
phrase has to be thrown away or patched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Cadence = Literal["half", "authentic", "deceptive", "plagal"]
Language = Literal["functional", "jazz", "blues", "loop"]

MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)
MINOR_SCALE = (0, 2, 3, 5, 7, 8, 10)

_MAJOR_TRIAD, _MINOR_TRIAD, _DIMINISHED = (0, 4, 7), (0, 3, 7), (0, 3, 6)
_DOMINANT_SEVENTH, _MINOR_SEVENTH, _MAJOR_SEVENTH = (0, 4, 7, 10), (0, 3, 7, 10), (0, 4, 7, 11)

# Roman numeral -> (root in semitones above the tonic, intervals above the root).
_CHORDS: dict[bool, dict[str, tuple[int, tuple[int, ...]]]] = {
    False: {
        "I": (0, _MAJOR_TRIAD),
        "ii": (2, _MINOR_TRIAD),
        "ii7": (2, _MINOR_SEVENTH),
        "iii": (4, _MINOR_TRIAD),
        "IV": (5, _MAJOR_TRIAD),
        "IVmaj7": (5, _MAJOR_SEVENTH),
        "iv": (5, _MINOR_TRIAD),
        "V": (7, _MAJOR_TRIAD),
        "V7": (7, _DOMINANT_SEVENTH),
        "vi": (9, _MINOR_TRIAD),
        "vii": (11, _DIMINISHED),
        "V7/ii": (9, _DOMINANT_SEVENTH),
        "V7/IV": (0, _DOMINANT_SEVENTH),
        "V7/V": (2, _DOMINANT_SEVENTH),
        "V7/vi": (4, _DOMINANT_SEVENTH),
        "Imaj7": (0, _MAJOR_SEVENTH),
        "iii7": (4, _MINOR_SEVENTH),
        "vi7": (9, _MINOR_SEVENTH),
        "bVII": (10, _MAJOR_TRIAD),
        "I7": (0, _DOMINANT_SEVENTH),
        "IV7": (5, _DOMINANT_SEVENTH),
    },
    True: {
        "i": (0, _MINOR_TRIAD),
        "iio": (2, _DIMINISHED),
        "iio7": (2, (0, 3, 6, 10)),
        "III": (3, _MAJOR_TRIAD),
        "iv": (5, _MINOR_TRIAD),
        "V": (7, _MAJOR_TRIAD),
        "V7": (7, _DOMINANT_SEVENTH),
        "VI": (8, _MAJOR_TRIAD),
        "VII": (10, _MAJOR_TRIAD),
        "viio7": (11, (0, 3, 6, 9)),
        "N": (1, _MAJOR_TRIAD),
        "V7/iv": (0, _DOMINANT_SEVENTH),
        "V7/III": (10, _DOMINANT_SEVENTH),
        "i7": (0, _MINOR_SEVENTH),
        "IIImaj7": (3, _MAJOR_SEVENTH),
        "iv7": (5, _MINOR_SEVENTH),
        "v": (7, _MINOR_TRIAD),
        "VImaj7": (8, _MAJOR_SEVENTH),
    },
}

# Numeral -> numerals it may move to, with weights.
MOVES: dict[bool, dict[str, dict[str, float]]] = {
    False: {
        "I": {"IV": 3, "vi": 3, "V": 2, "ii": 2, "V7": 1, "iii": 1, "IVmaj7": 0.7, "V7/IV": 0.5, "V7/ii": 0.4}
        | {"V7/vi": 0.3, "vii": 0.3},
        "ii": {"V": 3, "V7": 3, "vii": 0.4},
        "ii7": {"V7": 4, "V": 2},
        "iii": {"vi": 3, "IV": 3, "ii7": 0.7},
        "IV": {"V": 2.5, "V7": 2, "I": 2, "ii": 1.5, "V7/V": 0.5, "iv": 0.4},
        "IVmaj7": {"V7": 2, "ii7": 2, "iii": 1.5, "I": 1},
        "iv": {"I": 2, "V7": 2},
        "V": {"I": 4, "vi": 1.2, "IV": 0.3},
        "V7": {"I": 5, "vi": 1.2},
        "vi": {"IV": 3, "ii": 2.5, "ii7": 1, "V": 1, "iii": 1, "V7/V": 0.7},
        "vii": {"I": 4, "V7/vi": 0.5},
        "V7/ii": {"ii": 4, "ii7": 1},
        "V7/IV": {"IV": 4},
        "V7/V": {"V": 3, "V7": 3},
        "V7/vi": {"vi": 4, "IV": 0.5},
    },
    True: {
        "i": {"iv": 3, "VI": 3, "V": 2, "V7": 1.5, "VII": 1.5, "III": 1.2, "iio": 1, "V7/iv": 0.5, "N": 0.2},
        "iio": {"V": 3, "V7": 3},
        "iio7": {"V": 2, "V7": 4},
        "III": {"VI": 3, "iv": 2, "VII": 1.5, "iio7": 0.5},
        "iv": {"V": 3, "V7": 2, "i": 1.5, "VII": 1.5, "iio7": 1, "viio7": 0.5},
        "V": {"i": 4, "VI": 1},
        "V7": {"i": 5, "VI": 1},
        "VI": {"iv": 2, "iio7": 1.5, "III": 1.5, "VII": 1.5, "iio": 1, "V": 0.8, "N": 0.3},
        "VII": {"III": 3, "i": 1.2, "VI": 1, "V7/III": 0.5},
        "viio7": {"i": 4},
        "N": {"V": 3, "V7": 2},
        "V7/iv": {"iv": 4},
        "V7/III": {"III": 4},
    },
}

# Cadence -> its last numerals, each of one slot.
_CADENCES: dict[bool, dict[Cadence, tuple[tuple[str, ...], ...]]] = {
    False: {
        "half": (("ii", "V"), ("IV", "V"), ("V7/V", "V"), ("vi", "V")),
        "authentic": (("ii", "V7", "I"), ("IV", "V7", "I"), ("ii7", "V7", "I"), ("IV", "V", "I")),
        "deceptive": (("ii", "V7", "vi"), ("IV", "V", "vi")),
        "plagal": (("IV", "I"), ("iv", "I")),
    },
    True: {
        "half": (("iv", "V"), ("iio", "V"), ("VI", "V"), ("N", "V")),
        "authentic": (("iio", "V7", "i"), ("iv", "V7", "i"), ("iio7", "V7", "i"), ("iv", "V", "i")),
        "deceptive": (("iv", "V7", "VI"), ("iio", "V", "VI")),
        "plagal": (("iv", "i"), ("iv", "i")),
    },
}

# What jazz plays for a triad.
_SEVENTHS = {
    "I": "Imaj7",
    "ii": "ii7",
    "iii": "iii7",
    "IV": "IVmaj7",
    "V": "V7",
    "vi": "vi7",
    "i": "i7",
    "iio": "iio7",
    "III": "IIImaj7",
    "VI": "VImaj7",
}
_JAZZ_MINOR = {"iv": "iv7"}

# Four chords that go round: what may stand in the first, second, third and fourth place.
_LOOPS: dict[bool, tuple[tuple[str, ...], ...]] = {
    False: (
        ("I", "vi", "IV", "I", "ii7"),
        ("V", "iii", "vi", "IV", "ii", "bVII", "IVmaj7"),
        ("vi", "IV", "ii", "I", "iii", "IVmaj7"),
        ("IV", "V", "bVII", "ii", "iv", "vi"),
    ),
    True: (
        ("i", "VI", "i7", "iv"),
        ("VI", "VII", "iv", "v", "III", "i"),
        ("III", "iv", "VI", "VII", "i7", "IIImaj7"),
        ("VII", "V", "v", "iv", "VI", "III"),
    ),
}

# Twelve bars of blues, a numeral a bar; each work draws one of them.
_BLUES: dict[bool, tuple[tuple[str, ...], ...]] = {
    False: (
        ("I7", "I7", "I7", "I7", "IV7", "IV7", "I7", "I7", "V7", "IV7", "I7", "V7"),
        ("I7", "IV7", "I7", "I7", "IV7", "IV7", "I7", "I7", "V7", "IV7", "I7", "V7"),
        ("I7", "IV7", "I7", "I7", "IV7", "IV7", "I7", "V7/ii", "ii7", "V7", "I7", "V7"),
        ("I7", "I7", "I7", "I7", "IV7", "IV7", "I7", "I7", "V7", "V7", "I7", "I7"),
    ),
    True: (
        ("i7", "i7", "i7", "i7", "iv7", "iv7", "i7", "i7", "V7", "iv7", "i7", "V7"),
        ("i7", "iv7", "i7", "i7", "iv7", "iv7", "i7", "i7", "VI", "V7", "i7", "V7"),
        ("i7", "i7", "i7", "V7/iv", "iv7", "iv7", "i7", "i7", "iio7", "V7", "i7", "i7"),
    ),
}

_BASS_LOWEST, _BASS_CENTRE, _BASS_HIGHEST = 36, 43, 53
_UPPER_LOWEST, _UPPER_CENTRE, _UPPER_HIGHEST = 52, 60, 70


@dataclass(frozen=True)
class Key:
    """A key: the tonic's pitch class (0 is C) and the mode."""

    tonic: int
    minor: bool

    @property
    def tonic_numeral(self) -> str:
        return "i" if self.minor else "I"


@dataclass(frozen=True)
class Chord:
    """One chord of a work: pitch classes from the root upwards, and the one in the bass."""

    onset_beat: float
    duration_beats: float
    numeral: str
    key: Key
    pitch_classes: tuple[int, ...]
    bass: int

    def scale(self) -> tuple[int, ...]:
        """The key's seven pitch classes by degree, bent to the chord's own chromatic tones.

        A leading tone (the third of a major chord, the root of a diminished one) raises the degree below it;
        any other chromatic tone lowers the degree above it.
        """
        degrees = [(self.key.tonic + step) % 12 for step in (MINOR_SCALE if self.key.minor else MAJOR_SCALE)]
        root, third, fifth = self.pitch_classes[:3]
        leading = third if (third - root) % 12 == 4 else root if (fifth - root) % 12 == 6 else None
        for tone in self.pitch_classes:
            if tone not in degrees:
                diatonic = (tone - 1) % 12 if tone == leading else (tone + 1) % 12
                degrees[degrees.index(diatonic)] = tone
        return tuple(degrees)


@dataclass(frozen=True)
class Voicing:
    """A chord's pitches (MIDI): the bass, and three upper voices from low to high."""

    bass: int
    upper: tuple[int, int, int]


def chord(numeral: str, key: Key, onset_beat: float, duration_beats: float) -> Chord:
    """The chord of a Roman numeral in root position; the Neapolitan stands on its third."""
    root, intervals = _CHORDS[key.minor][numeral]
    pitch_classes = tuple((key.tonic + root + interval) % 12 for interval in intervals)
    bass = pitch_classes[1] if numeral == "N" else pitch_classes[0]
    return Chord(onset_beat, duration_beats, numeral, key, pitch_classes, bass)


def walk(rng: np.random.Generator, key: Key, slots: int, cadence: Cadence) -> list[str]:
    """``slots`` numerals from the tonic on, the last two or three the cadence they lead to; at least five."""
    moves = MOVES[key.minor]
    names = list(moves)
    transition = np.array([[moves[a].get(b, 0.0) for b in names] for a in names])
    transition /= transition.sum(axis=1, keepdims=True)
    endings = _CADENCES[key.minor][cadence]
    ending = endings[int(rng.integers(len(endings)))]
    free_slots = slots - len(ending)
    reach = np.zeros((free_slots + 1, len(names)))
    reach[free_slots, names.index(ending[0])] = 1.0
    for slot in range(free_slots - 1, -1, -1):
        reach[slot] = transition @ reach[slot + 1]
    numerals = [key.tonic_numeral]
    for slot in range(1, free_slots):
        weight = transition[names.index(numerals[-1])] * reach[slot]
        numerals.append(names[int(rng.choice(len(names), p=weight / weight.sum()))])
    return [*numerals, *ending]


def enriched(numeral: str, key: Key) -> str:
    """The seventh chord that jazz plays for a numeral; the numeral itself where it has one already."""
    return _SEVENTHS.get(numeral, _JAZZ_MINOR.get(numeral, numeral) if key.minor else numeral)


def draw_loop(rng: np.random.Generator, key: Key) -> tuple[str, ...]:
    """Four different numerals to go round, none next to itself."""
    while True:
        loop = tuple(place[int(rng.integers(len(place)))] for place in _LOOPS[key.minor])
        if len(set(loop)) == len(loop):
            return loop


def draw_blues(rng: np.random.Generator, key: Key) -> tuple[str, ...]:
    """Twelve numerals, one a bar."""
    choruses = _BLUES[key.minor]
    return choruses[int(rng.integers(len(choruses)))]


def choose_inversions(rng: np.random.Generator, chords: Sequence[Chord]) -> list[Chord]:
    """Puts the third in the bass where that makes the bass line walk; first and last chords keep the root."""
    chosen = list(chords)
    for index in range(1, len(chosen) - 1):
        here = chosen[index]
        if here.numeral == "N" or here.numeral.startswith("V7/") or rng.random() < 0.35:
            continue
        before, after = chosen[index - 1].bass, chosen[index + 1].bass

        def leap(bass: int, before: int = before, after: int = after) -> int:
            return sum(min((bass - other) % 12, (other - bass) % 12) for other in (before, after))

        third = here.pitch_classes[1]
        if leap(third) + 2 < leap(here.bass) and third not in (before, after):
            chosen[index] = Chord(
                here.onset_beat, here.duration_beats, here.numeral, here.key, here.pitch_classes, third
            )
    return chosen


def voice(chords: Sequence[Chord]) -> list[Voicing]:
    """The voicings of least motion (Viterbi), with parallel fifths and octaves made dear."""
    bass = _bass_line(chords)
    candidates = [_upper_voices(c) for c in chords]
    cost = np.abs(candidates[0].mean(axis=1) - _UPPER_CENTRE)
    best_before: list[NDArray[np.intp]] = []
    for index in range(1, len(chords)):
        step = _motion(candidates[index - 1], candidates[index], bass[index - 1], bass[index])
        total = cost[:, None] + step
        best_before.append(total.argmin(axis=0))
        cost = total.min(axis=0) + 0.3 * np.abs(candidates[index].mean(axis=1) - _UPPER_CENTRE)
    path = [int(cost.argmin())]
    for pointers in reversed(best_before):
        path.append(int(pointers[path[-1]]))
    path.reverse()
    return [
        Voicing(b, (int(c[p][0]), int(c[p][1]), int(c[p][2]))) for b, c, p in zip(bass, candidates, path, strict=True)
    ]


def _bass_line(chords: Sequence[Chord]) -> list[int]:
    line: list[int] = []
    for c in chords:
        pitches = [p for p in range(_BASS_LOWEST, _BASS_HIGHEST + 1) if p % 12 == c.bass]
        before = line[-1] if line else _BASS_CENTRE
        line.append(min(pitches, key=lambda p: abs(p - before) + 0.4 * abs(p - _BASS_CENTRE)))
    return line


def _upper_voices(c: Chord) -> NDArray[np.int64]:
    """All triples [n, 3] in range that, with the bass, hold the chord's root, third and seventh."""
    tones = [p for p in range(_UPPER_LOWEST, _UPPER_HIGHEST + 1) if p % 12 in c.pitch_classes]
    needed = {c.pitch_classes[0], c.pitch_classes[1], *c.pitch_classes[3:]}
    triples = [
        t
        for t in combinations(tones, 3)
        if t[2] - t[0] <= 14
        and len({p % 12 for p in t}) == 3
        and needed <= {c.bass, *(p % 12 for p in t)}
        and t[1] - t[0] >= 3
    ]
    return np.array(triples, dtype=np.int64)


def _motion(
    before: NDArray[np.int64], after: NDArray[np.int64], bass_before: int, bass_after: int
) -> NDArray[np.float64]:
    """Cost [n, m] of moving from each triple of ``before`` [n, 3] to each of ``after`` [m, 3]."""
    moved = after[None, :, :] - before[:, None, :]
    cost: NDArray[np.float64] = np.abs(moved).sum(axis=2).astype(np.float64)
    bass_moved = bass_after - bass_before
    for low, high in ((0, 1), (0, 2), (1, 2)):
        perfect = np.isin((after[:, high] - after[:, low]) % 12, (0, 7))[None, :]
        parallel = (moved[:, :, low] == moved[:, :, high]) & (moved[:, :, low] != 0) & perfect
        cost += 6.0 * parallel
    if bass_moved:
        for voice_index in range(3):
            perfect = np.isin((after[:, voice_index] - bass_after) % 12, (0, 7))[None, :]
            cost += 6.0 * ((moved[:, :, voice_index] == bass_moved) & perfect)
    return cost
