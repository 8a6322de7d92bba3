"""What the score model's heads see of the notes round a place: what lay there 1, 2, 4, 8 and 16 bars ago, and sounds.

One compiled function for training and playing, which therefore cannot differ. All positions are steps or places on
the keyboard (0 to 87). A *roll* holds in every step what begins there: 1 + the class of its length, or 0.

A look-back pattern is a number of five bits: bit i says whether something begins at the same place of the bar
`BACK_BARS[i]` ago; a look-ahead pattern has four bits, for the known bars after a part that is to be filled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from melnet_music.kernel_cache import njit
from melnet_music.notes.score.tokens import HORIZON

BACK_BARS: NDArray[np.int32] = np.array((1, 2, 4, 8, 16), np.int32)
AHEAD_BARS: NDArray[np.int32] = np.array((1, 2, 4, 8), np.int32)
BACK_PATTERNS, AHEAD_PATTERNS = 32, 16
QUARTERS = 16
"""Quarters of a bar that are told apart; later ones count as the last."""
PHASES, COMPOUND_PHASES = 12, 19
"""Places in a quarter; in a pulse of three eighths, and one more where the meter has none."""
BAR_ENDS = 5
"""What is left of the bar after a place: 0 a quarter or less, ... 4 more than a whole bar of four."""
PLACES = 4
"""Numbers that say where a step lies: phase, quarter of the bar, phase of a compound pulse, quarters left."""
SOUNDS = 5
"""What a key did: nothing of late, sounds, ended just here, ended within half a bar of four, or within two."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled(function: _Function) -> _Function:
    return njit(cache=True, nogil=True)(function)  # type: ignore[no-any-return]


@_compiled
def place_of(step: int, bar: int, starts: NDArray[np.int32], compound: NDArray[np.int8], upbeat: int) -> Any:
    """The numbers of `PLACES` of a step in a bar."""
    offset = step - starts[bar]
    if bar == 0:
        offset += upbeat
    left = (starts[bar + 1] - step - 1) // 12
    return (
        offset % 12,
        min(offset // 12, 15),
        offset % 18 if compound[bar] else 18,
        min(left, 4),
    )


@_compiled
def _same_place(step: int, bar: int, bars: int, starts: NDArray[np.int32], upbeat: int) -> int:
    """The step at the same place, ``bars`` later (earlier where negative); -1 where there is none."""
    other = bar + bars
    if other < 0 or other >= len(starts) - 1:
        return -1
    offset = step - starts[bar]
    if bar == 0:
        offset += upbeat
    if other == 0:
        offset -= upbeat
    if offset < 0 or offset >= starts[other + 1] - starts[other]:
        return -1
    return int(starts[other] + offset)


@_compiled
def look_at_times(
    cursor: int,
    bar: int,
    roll_any: NDArray[np.uint8],
    starts: NDArray[np.int32],
    compound: NDArray[np.int8],
    upbeat: int,
    known_from: int,
    known_until: int,
    back: NDArray[np.uint8],
    ahead: NDArray[np.uint8],
    places: NDArray[np.uint8],
    bars_on: NDArray[np.uint8],
) -> None:
    """Look at each of the `HORIZON` steps from ``cursor``, where the next note may begin.

    Args:
        bar: that of the cursor.
        roll_any: ``[steps]``, whether anything begins; read before the cursor and from ``known_from`` to
            ``known_until``, the future that is known.
        back, ahead: become ``[HORIZON]`` patterns.
        places: becomes ``[HORIZON, PLACES]``.
        bars_on: becomes ``[HORIZON]``, bar lines between the cursor and the step, at most 3.
    """
    here = bar
    for index in range(HORIZON):
        step = cursor + index
        while here + 2 < len(starts) and step >= starts[here + 1]:
            here += 1
        pattern = 0
        for bit in range(len(BACK_BARS)):
            there = _same_place(step, here, -BACK_BARS[bit], starts, upbeat)
            if 0 <= there < cursor and roll_any[there]:
                pattern |= 1 << bit
        back[index] = pattern
        pattern = 0
        if known_until > known_from:
            for bit in range(len(AHEAD_BARS)):
                there = _same_place(step, here, AHEAD_BARS[bit], starts, upbeat)
                if known_from <= there < known_until and roll_any[there]:
                    pattern |= 1 << bit
        ahead[index] = pattern
        phase, quarter, compound_phase, left = place_of(step, here, starts, compound, upbeat)
        places[index, 0] = phase
        places[index, 1] = quarter
        places[index, 2] = compound_phase
        places[index, 3] = left
        bars_on[index] = min(here - bar, 3)


@_compiled
def look_at_pitches(
    step: int,
    bar: int,
    roll: NDArray[np.uint8],
    starts: NDArray[np.int32],
    upbeat: int,
    known_from: int,
    known_until: int,
    ends: NDArray[np.int32],
    back: NDArray[np.uint8],
    soon: NDArray[np.uint8],
    ahead: NDArray[np.uint8],
    lengths: NDArray[np.uint8],
    sounds: NDArray[np.uint8],
) -> None:
    """Look at each key for a note that begins at ``step``.

    Args:
        bar: that of the step.
        roll: ``[steps, 88]``; read before ``step`` and where the future is known.
        ends: ``[88]``, the step at which each key's last note ended or will end; far below 0 where it had none.
        back, ahead: become ``[88]`` patterns.
        soon: becomes ``[88]``: as ``back`` without the 16 bars, of what began within the quarter after that place.
        lengths: becomes ``[88, 9]``: what `roll` holds there, for all bars back and ahead.
        sounds: becomes ``[88]``, see `SOUNDS`.
    """
    for pitch in range(88):
        back[pitch] = 0
        soon[pitch] = 0
        ahead[pitch] = 0
        since = step - ends[pitch]
        sounds[pitch] = 1 if since < 0 else 2 if since == 0 else 3 if since <= 24 else 4 if since <= 96 else 0
    for bit in range(len(BACK_BARS)):
        there = _same_place(step, bar, -BACK_BARS[bit], starts, upbeat)
        known = 0 <= there < step
        for pitch in range(88):
            began = roll[there, pitch] if known else 0
            lengths[pitch, bit] = began
            if began:
                back[pitch] |= 1 << bit
        if known and bit < 4:
            for later in range(there + 1, min(there + 13, step)):
                for pitch in range(88):
                    if roll[later, pitch]:
                        soon[pitch] |= 1 << bit
    for bit in range(len(AHEAD_BARS)):
        there = _same_place(step, bar, AHEAD_BARS[bit], starts, upbeat)
        known = known_from <= there < known_until
        for pitch in range(88):
            began = roll[there, pitch] if known else 0
            lengths[pitch, len(BACK_BARS) + bit] = began
            if began:
                ahead[pitch] |= 1 << bit
