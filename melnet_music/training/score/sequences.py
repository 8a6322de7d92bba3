"""Scores as rows to train on: a stretch of notes in order, what the heads see before each, and what follows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melnet_music.kernel_cache import njit
from melnet_music.notes.score.features import look_at_pitches, look_at_times, place_of
from melnet_music.notes.score.tokens import (
    CHROMA_DECAY,
    HORIZON,
    LENGTHS,
    MOST_FUTURE_NOTES,
    NEVER,
    NO_LENGTH,
    NO_PITCH,
    UNKNOWN_VELOCITY,
)
from melnet_music.training.score.scores import Score

_SHORTEST_FUTURE_NOTES = 4


@dataclass(frozen=True, eq=False)
class Rows:
    """Sequences of tokens ``[B, T, ...]`` and the targets after each; a target of -1 does not count."""

    kind: NDArray[Any]
    pitch: NDArray[Any]
    length: NDArray[Any]
    velocity: NDArray[Any]
    places: NDArray[Any]
    """``[B, T, 4]``."""
    since: NDArray[Any]
    """Steps since the token before, at most `HORIZON`."""
    copied: NDArray[Any]
    """Look-back pattern of the note itself: where it was a bar ago."""
    chord: NDArray[Any]
    """Notes of the same onset before it, at most 7."""
    bars_left: NDArray[Any]
    """Of the part that is being filled, 1 to 8; 0: nothing is being filled."""
    times: NDArray[Any]
    """``[B, T, 2]``, float32: bars and quarters since the sequence's start."""

    time_back: NDArray[Any]
    """``[B, T, HORIZON]``, with the three that follow: see `look_at_times`."""
    time_ahead: NDArray[Any]
    time_places: NDArray[Any]
    time_bars: NDArray[Any]
    time_limit: NDArray[Any]
    """Steps of the horizon that are asked about; the part that is being filled may end sooner."""

    target_places: NDArray[Any]
    """``[B, T, 4]``, where the next note begins."""
    pitch_back: NDArray[Any]
    """``[B, T, 88]``, with the three that follow: see `look_at_pitches`."""
    pitch_soon: NDArray[Any]
    pitch_ahead: NDArray[Any]
    pitch_sounds: NDArray[Any]
    chroma: NDArray[Any]
    """``[B, T, 12]``, float32: how often each pitch class came of late."""
    lowest: NDArray[Any]
    """The first key that the next note may have: chords are told from below."""
    last_pitch: NDArray[Any]
    """Of the token's note, or of the last one before it; 88: none."""
    last_bass: NDArray[Any]
    """The first note of the last onset; 88: none."""
    lengths: NDArray[Any]
    """``[B, T, 9]``: what the roll holds for the next note's key."""

    next_time: NDArray[Any]
    """0 to `HORIZON`."""
    next_pitch: NDArray[Any]
    next_length: NDArray[Any]
    next_velocity: NDArray[Any]


def empty_rows(batch: int, steps: int) -> Rows:
    """Rows to be filled by `write_rows`."""
    shapes: dict[str, tuple[int, ...]] = {
        "places": (4,), "times": (2,), "time_back": (HORIZON,), "time_ahead": (HORIZON,), "time_places": (HORIZON, 4),
        "time_bars": (HORIZON,), "target_places": (4,), "pitch_back": (88,), "pitch_soon": (88,), "pitch_ahead": (88,),
        "pitch_sounds": (88,), "chroma": (12,), "lengths": (9,),
    }  # fmt: skip
    arrays: dict[str, NDArray[Any]] = {}
    for field in fields(Rows):
        dtype: Any = np.uint8
        if field.name in ("times", "chroma"):
            dtype = np.float32
        elif field.name.startswith("next_"):
            dtype = np.int64
        arrays[field.name] = np.zeros((batch, steps, *shapes.get(field.name, ())), dtype)
    for name in ("next_time", "next_pitch", "next_length", "next_velocity"):
        arrays[name].fill(-1)
    return Rows(**arrays)


@dataclass(frozen=True)
class Stretch:
    """Which part of a score a sequence tells, and how."""

    first_bar: int
    transpose: int = 0
    forget: bool = False
    """Whether nothing is known of what was before the first bar."""
    fill: tuple[int, int] | None = None
    """Bars (first, after the last) to be filled from what is before and after them."""
    future_notes: int = MOST_FUTURE_NOTES
    drop_velocities: bool = False


def draw_stretch(rng: np.random.Generator, score: Score, steps: int, fill_share: float = 0.35) -> Stretch:
    """A stretch of about ``steps`` tokens that begins at a bar line; some with bars to be filled."""
    last = max(len(score) - steps // 2, 1)
    note = int(rng.integers(last)) if rng.random() < 0.85 else 0
    bars = score.bars
    first = bars.bar_at(int(score.onsets[note]))
    lowest, highest = int(score.pitches.min()), int(score.pitches.max())
    shift = int(rng.integers(max(-6, -lowest), min(6, 87 - highest) + 1))
    fill = None
    if rng.random() < fill_share:
        end = bars.bar_at(int(score.onsets[min(note + steps, len(score) - 1)]))
        if end - first >= 3:
            length = int(min(rng.choice((1, 1, 2, 2, 4, 4, 8)), end - first - 1))
            begin = int(rng.integers(first, end - length + 1))
            fill = (begin, begin + length)
    return Stretch(
        first,
        shift,
        bool(first > 0 and rng.random() < 0.3),
        fill,
        int(rng.integers(_SHORTEST_FUTURE_NOTES, MOST_FUTURE_NOTES + 1)),
        bool(rng.random() < 0.1),
    )


def write_rows(rows: Rows, index: int, score: Score, stretch: Stretch) -> int:
    """Write a stretch as sequence ``index`` of the rows; returns its notes that are targets."""
    bars = score.bars
    start = int(bars.starts[stretch.first_bar])
    pitches = score.pitches.astype(np.int64) + stretch.transpose
    velocities = np.where(stretch.drop_velocities, UNKNOWN_VELOCITY, score.velocities).astype(np.int64)
    roll = np.zeros((int(bars.starts[-1]) + 1, 88), np.uint8)
    known = score.onsets >= (start if stretch.forget else 0)
    roll[score.onsets[known], pitches[known]] = score.lengths[known] + 1
    first = int(np.searchsorted(score.onsets, start))
    count = rows.kind.shape[1]
    gap_start = gap_end = future_end = 0
    order = np.arange(first, len(score))
    kinds = np.zeros(len(order), np.int64)
    if stretch.fill is not None:
        gap_start, gap_end = (int(bars.starts[bar]) for bar in stretch.fill)
        begin, end = (int(np.searchsorted(score.onsets, step)) for step in (gap_start, gap_end))
        future = np.arange(end, min(end + stretch.future_notes, len(score)))
        # chords are not cut: what of the future is known ends between two onsets
        future_end = int(score.onsets[future[-1]]) if len(future) else gap_end
        future = future[score.onsets[future] < future_end]
        order = np.concatenate((np.arange(first, begin), future, [-1], np.arange(begin, end)))
        kinds = np.concatenate((np.zeros(begin - first), np.ones(len(future)), [2], np.zeros(end - begin))).astype(int)
    row = {field.name: getattr(rows, field.name)[index] for field in fields(Rows)}
    return int(
        _write(
            count, start, order, kinds, score.onsets.astype(np.int64), pitches, score.lengths.astype(np.int64),
            velocities, roll, roll.any(1).astype(np.uint8), bars.starts, bars.compound, bars.upbeat, gap_start,
            gap_end, future_end, *row.values(),
        )
    )  # fmt: skip


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _write(  # type: ignore[no-untyped-def]
    count, start, order, kinds, onsets, note_pitches, note_lengths, note_velocities, roll, roll_any, starts, compound,
    upbeat, gap_start, gap_end, future_end,
    kind, pitch, length, velocity, places, since, copied, chord, bars_left, times, time_back, time_ahead, time_places,
    time_bars, time_limit, target_places, pitch_back, pitch_soon, pitch_ahead, pitch_sounds, chroma, lowest,
    last_pitch, last_bass, lengths, next_time, next_pitch, next_length, next_velocity,
):  # fmt: skip
    ends = np.full(88, NEVER, np.int32)
    counts = np.zeros(12, np.float32)
    all_lengths = np.zeros((88, 9), np.uint8)
    bar = 0
    while bar + 2 < len(starts) and start >= starts[bar + 1]:
        bar += 1
    first_bar = bar
    at, known_from, known_until = start, 0, 0
    now_pitch, now_bass, chord_size, filling = NO_PITCH, NO_PITCH, 0, False
    # what is filled must not be seen before it is written
    hidden = roll[gap_start:gap_end].copy()
    if gap_end > gap_start:
        roll_any = roll_any.copy()
        for step in range(gap_start, gap_end):
            roll_any[step] = 0
        roll[gap_start:gap_end] = 0
    position, notes, index = -1, 0, 0
    rest = False
    while index < count:
        # the token: a start, a rest, or the next note in order
        if position < 0 and not rest and index == 0:
            kind[index] = 2
            pitch[index], length[index], velocity[index] = NO_PITCH, NO_LENGTH, UNKNOWN_VELOCITY
            since[index] = 0
        elif rest:
            kind[index] = 3
            pitch[index], length[index], velocity[index] = NO_PITCH, NO_LENGTH, UNKNOWN_VELOCITY
            at += HORIZON
            since[index] = HORIZON
            chord_size = 0
        elif kinds[position] == 2:
            kind[index] = 2
            pitch[index], length[index], velocity[index] = NO_PITCH, NO_LENGTH, UNKNOWN_VELOCITY
            at = gap_start
            since[index] = HORIZON
            filling, known_from, known_until, chord_size = True, gap_end, future_end, 0
        else:
            note = order[position]
            step = onsets[note]
            key = note_pitches[note]
            kind[index] = kinds[position]
            pitch[index], length[index], velocity[index] = key, note_lengths[note], note_velocities[note]
            moved = abs(step - at)
            since[index] = min(moved, HORIZON)
            if moved or chord_size == 0:
                chord_size = 0
            chord[index] = min(chord_size, 7)
            at = step
            if kinds[position] == 0:
                if chord_size == 0:
                    now_bass = key
                now_pitch = key
                ends[key] = step + LENGTHS[note_lengths[note]]
                for pitch_class in range(12):
                    counts[pitch_class] *= CHROMA_DECAY
                counts[(key + 9) % 12] += 1
                if filling:
                    roll[step, key] = hidden[step - gap_start, key]
                    roll_any[step] = 1
            chord_size += 1
        bar = first_bar
        while bar + 2 < len(starts) and at >= starts[bar + 1]:
            bar += 1
        phase, quarter, compound_phase, left = place_of(at, bar, starts, compound, upbeat)
        places[index, 0], places[index, 1], places[index, 2], places[index, 3] = phase, quarter, compound_phase, left
        times[index, 0] = bar - first_bar + (at - starts[bar]) / (starts[bar + 1] - starts[bar])
        times[index, 1] = (at - start) / 12
        if filling:
            left_bars = 1
            while bar + left_bars < len(starts) - 1 and starts[bar + left_bars] < gap_end:
                left_bars += 1
            bars_left[index] = min(left_bars, 8)
        if kind[index] < 2:
            look_at_pitches(
                at, bar, roll, starts, upbeat, 0, 0, ends, pitch_back[index], pitch_soon[index], pitch_ahead[index],
                all_lengths, pitch_sounds[index],
            )  # fmt: skip
            copied[index] = pitch_back[index, pitch[index]]
        last_pitch[index], last_bass[index] = now_pitch, now_bass
        # what follows it
        following = position + 1
        ended = following >= len(order)
        limit = HORIZON
        if filling:
            limit = min(limit, gap_end - at)
        time_limit[index] = limit
        look_at_times(
            at, bar, roll_any, starts, compound, upbeat, known_from, known_until, time_back[index], time_ahead[index],
            time_places[index], time_bars[index],
        )  # fmt: skip
        target = -1
        if not ended and kinds[following] == 0 and kind[index] != 1:
            target = order[following]
        elif not ended and kinds[following] > 0 and kind[index] != 1:
            # where the fill begins: as if nothing were known of what follows
            target = -1
        if target < 0:
            if filling and ended:
                next_time[index] = HORIZON  # nothing more within what is to be filled
                break
            if ended:
                break
            position = following
            rest = False
            index += 1
            continue
        delta = onsets[target] - at
        if delta >= limit:
            next_time[index] = HORIZON
            rest = True
            index += 1
            continue
        rest = False
        next_time[index] = delta
        step = onsets[target]
        there = bar
        while there + 2 < len(starts) and step >= starts[there + 1]:
            there += 1
        key = note_pitches[target]
        phase, quarter, compound_phase, left = place_of(step, there, starts, compound, upbeat)
        target_places[index, 0], target_places[index, 1] = phase, quarter
        target_places[index, 2], target_places[index, 3] = compound_phase, left
        look_at_pitches(
            step, there, roll, starts, upbeat, known_from, known_until, ends, pitch_back[index], pitch_soon[index],
            pitch_ahead[index], all_lengths, pitch_sounds[index],
        )  # fmt: skip
        for number in range(9):
            lengths[index, number] = all_lengths[key, number]
        for pitch_class in range(12):
            chroma[index, pitch_class] = counts[pitch_class]
        if delta == 0 and kind[index] == 0:
            lowest[index] = pitch[index] + 1
        next_pitch[index] = key
        next_length[index] = note_lengths[target]
        if note_velocities[target] < UNKNOWN_VELOCITY:
            next_velocity[index] = note_velocities[target]
        notes += 1
        position = following
        index += 1
    return notes
