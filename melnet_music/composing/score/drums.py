"""Drum parts: a pattern of sixteenths for each groove and meter, with fills where phrases end.

Pitches are General MIDI's percussion keys.
"""

from __future__ import annotations

import numpy as np

from melnet_music.composing.score.accompaniment import ScoreNote
from melnet_music.composing.score.compose import Draft
from melnet_music.composing.score.melody import PHRASE_BARS

# Bass drum, snare drum, hats (closed, by pedal, open), cowbell, low and high conga.
_BD, _RIM, _SD, _CLAP = 36, 37, 38, 39
_CH, _PH, _OH = 42, 44, 46
_CRASH, _RIDE, _TAMBOURINE, _CB = 49, 51, 54, 56
_LC, _HC, _MUTED_CONGA, _SHAKER = 64, 63, 62, 70
_TOMS = (50, 48, 45, 43)

# Groove -> alternatives; each maps keys to one bar of sixteenths.
_FOURS: dict[str, tuple[dict[int, str], ...]] = {
    "rock": (
        {_BD: "x.......x.x.....", _SD: "....x.......x...", _CH: "x.x.x.x.x.x.x.x."},
        {_BD: "x..x....x.......", _SD: "....x.......x...", _CH: "x.x.x.x.x.x.x.x."},
        {_BD: "x.....x.x.......", _SD: "....x.......x...", _RIDE: "x...x...x...x..."},
        {_BD: "x.x.....x.x...x.", _SD: "....x.......x...", _CH: "x.x.x.x.x.x.x...", _OH: "..............x."},
    ),
    "half time": (
        {_BD: "x.........x.....", _SD: "........x.......", _CH: "x.x.x.x.x.x.x.x."},
        {_BD: "x.....x.........", _SD: "........x.......", _RIDE: "x...x...x...x..."},
    ),
    "swing": (
        {_RIDE: "x...x.x.x...x.x.", _PH: "....x.......x..."},
        {_RIDE: "x...x.x.x...x.x.", _PH: "....x.......x...", _BD: "x.............x.", _SD: "......x........."},
        {_RIDE: "x...x.x.x...x...", _PH: "....x.......x...", _SD: "..............x."},
    ),
    "brushes": (
        {_SD: "x...x.x.x...x.x.", _PH: "....x.......x..."},
        {_RIDE: "x...x...x...x...", _PH: "....x.......x...", _BD: "x.......x......."},
    ),
    "shuffle": (
        {_BD: "x.......x.......", _SD: "....x.......x...", _CH: "x.x.x.x.x.x.x.x."},
        {_BD: "x.....x.x.......", _SD: "....x.......x...", _RIDE: "x.x.x.x.x.x.x.x."},
    ),
    "bossa": (
        {_BD: "x.....x.x.....x.", _RIM: "x.....x.....x...", _CH: "x.x.x.x.x.x.x.x."},
        {_BD: "x.....x.x.....x.", _RIM: "....x.....x.....", _SHAKER: "xxxxxxxxxxxxxxxx"},
    ),
    "disco": (
        {_BD: "x...x...x...x...", _SD: "....x.......x...", _OH: "..x...x...x...x.", _CH: "x...x...x...x..."},
        {_BD: "x...x...x...x...", _CLAP: "....x.......x...", _CH: "x.xxx.xxx.xxx.xx"},
    ),
    "electro": (
        {_BD: "x...x...x...x...", _CLAP: "....x.......x...", _OH: "..x...x...x...x."},
        {_BD: "x.....x...x.....", _SD: "....x.......x...", _CH: "x.x.x.x.x.x.xxxx"},
    ),
    "funk": (
        {_BD: "x.x....x..x.....", _SD: "....x..x.x..x...", _CH: "x.xxx.xxx.xxx.xx"},
        {_BD: "x..x......x..x..", _SD: "....x.......x..x", _CH: "xxxxxxxxxxxxxxxx"},
    ),
    "march": (
        {_BD: "x.......x.......", _SD: "x...x.xxx...x.x."},
        {_BD: "x.......x.......", _SD: "....x.......xxx."},
    ),
    "folk": ({_BD: "x.......x.......", _TAMBOURINE: "....x.......x..."},),
    "latin": (
        {_CB: "x...x...x...x...", _HC: "x.....x.....x.x.", _LC: "......x.......x.", _BD: "x.....x.x......."},
        {_MUTED_CONGA: "..x.......x.....", _LC: "............x.x.", _SHAKER: "x.x.x.x.x.x.x.x."},
    ),
}  # fmt: skip
# In three beats, 3/4 and 6/8: twelve sixteenths.
_THREES: dict[str, dict[int, str]] = {
    "3/4": {_BD: "x...........", _CH: "....x...x..."},
    "3/4 swung": {_RIDE: "x...x.x.x...", _PH: "....x...x..."},
    "6/8": {_BD: "x...........", _SD: "......x.....", _CH: "x.x.x.x.x.x."},
}
KEYS = tuple(
    sorted({_CRASH, _SD, *_TOMS}.union(*(_THREES.values()), *(bar for bars in _FOURS.values() for bar in bars)))
)
"""All keys that are ever struck."""


def drum_part(rng: np.random.Generator, draft: Draft, groove: str, part: int) -> list[ScoreNote]:
    """The drums of a work: one pattern for each letter of the form, a crash where sections begin, and fills."""
    patterns = {label: _draw_pattern(rng, draft, groove) for label in "ABC"}
    notes: list[ScoreNote] = []
    for section in draft.sections:
        for bar in range(section.bars):
            start_beat = (section.start_bar + bar) * draft.bar_beats
            last_of_section = bar == section.bars - 1
            fills = last_of_section or (bar % PHRASE_BARS == PHRASE_BARS - 1 and rng.random() < 0.4)
            filled_from = draft.bar_beats - float(rng.choice((1.0, 1.0, 2.0))) if fills else draft.bar_beats
            for key, pattern in patterns[section.label].items():
                for step, mark in enumerate(pattern):
                    if mark == "x" and step / 4 < filled_from:
                        notes.append(ScoreNote(start_beat + step / 4, 0.25, key, "drums", part))
            if fills:
                notes += _fill(rng, start_beat + filled_from, draft.bar_beats - filled_from, draft.swing, part)
            if bar == 0 and rng.random() < 0.6:
                notes.append(ScoreNote(start_beat, 0.25, _CRASH, "drums", part))
    last_beat = (draft.bars - 1) * draft.bar_beats
    return [*notes, *(ScoreNote(last_beat, 0.25, key, "drums", part) for key in (_BD, _CRASH))]


def _draw_pattern(rng: np.random.Generator, draft: Draft, groove: str) -> dict[int, str]:
    if draft.meter == "4/4":
        choices = _FOURS.get(groove, _FOURS["rock"])
        return choices[int(rng.integers(len(choices)))]
    return _THREES["6/8" if draft.meter == "6/8" else "3/4 swung" if draft.swing > 0.5 else "3/4"]


def _fill(rng: np.random.Generator, start_beat: float, beats: float, swing: float, part: int) -> list[ScoreNote]:
    """Sixteenths (eighths where they swing) down the toms, with gaps."""
    step_beats = 0.5 if swing > 0.55 else 0.25
    steps = round(beats / step_beats)
    keys = (_SD, *_TOMS)
    return [
        ScoreNote(start_beat + step * step_beats, step_beats, keys[min(step * len(keys) // steps, 4)], "drums", part)
        for step in range(steps)
        if rng.random() < 0.75
    ]
