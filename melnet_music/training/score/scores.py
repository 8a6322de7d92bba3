"""Scores to train on: composed works, and score files, as notes on the grid."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melnet_music.composing.collection import Split, split_of, work_name
from melnet_music.composing.perform import played_velocities
from melnet_music.composing.rendering.render import DRUM_CHANNEL
from melnet_music.composing.score.compose import compose
from melnet_music.composing.score.orchestrate import compose_music
from melnet_music.notes.score.grid import LOWEST_PITCH, PITCHES, STEPS_PER_QUARTER, Bars, GridNote, Meter
from melnet_music.notes.score.tokens import HORIZON, LENGTHS, length_class, velocity_class

log = logging.getLogger(__name__)

_COMPOSERS = {"piano": compose, "music": compose_music}
_FEWEST_NOTES = 64
_MOST_STEPS = 200_000
_UNNAMED_METER = (4, 4)


@dataclass(frozen=True, eq=False)
class Score:
    """Notes on the grid, ordered by onset, then pitch; no two of one onset and pitch."""

    name: str
    onsets: NDArray[np.int32]
    pitches: NDArray[np.int16]
    """Places on the keyboard, 0 to 87."""
    lengths: NDArray[np.uint8]
    """Classes."""
    velocities: NDArray[np.uint8]
    """Classes."""
    bars: Bars
    """Written out beyond the last note."""
    quarters_per_minute: float

    def __len__(self) -> int:
        return len(self.onsets)

    def notes(self) -> list[GridNote]:
        """Its notes, with lengths and velocities as the model knows them."""
        return [
            GridNote(int(onset), int(pitch) + LOWEST_PITCH, int(LENGTHS[length]), 16 * int(v) + 8 if v < 8 else None)
            for onset, pitch, length, v in zip(self.onsets, self.pitches, self.lengths, self.velocities, strict=True)
        ]


def score_of(name: str, notes: Sequence[GridNote], bars: Bars, quarters_per_minute: float) -> Score:
    """Of notes that strike one key together the longest stays; those beyond the keyboard are left out."""
    longest: dict[tuple[int, int], GridNote] = {}
    for note in notes:
        place = note.pitch - LOWEST_PITCH
        if 0 <= place < PITCHES and note.onset >= 0:
            kept = longest.get((note.onset, place))
            if kept is None or note.steps > kept.steps:
                longest[note.onset, place] = note
    ordered = sorted(longest.items())
    end = ordered[-1][0][0] if ordered else 0
    bars.reach(end + 2 * HORIZON)
    return Score(
        name,
        np.array([onset for (onset, _), _ in ordered], np.int32),
        np.array([place for (_, place), _ in ordered], np.int16),
        np.array([length_class(note.steps) for _, note in ordered], np.uint8),
        np.array([velocity_class(note.velocity) for _, note in ordered], np.uint8),
        bars,
        quarters_per_minute,
    )


def compose_score(kind: str, seed: int, number: int, *, shorten_bars: bool = False) -> Score:
    """A composed work of a collection.

    Args:
        shorten_bars: cut the last eighth from every bar of 4/4, which makes it 7/8: no composed work has that meter.
    """
    work = _COMPOSERS[kind](seed, number)
    velocities = played_velocities(work)
    notes = [
        GridNote(
            round(note.onset_beat * STEPS_PER_QUARTER),
            note.pitch,
            max(round(note.duration_beats * STEPS_PER_QUARTER), 1),
            velocity,
        )
        for note, velocity in zip(work.notes, velocities, strict=True)
        if work.instruments[note.part].channel != DRUM_CHANNEL
    ]
    numerator, denominator = (int(number) for number in work.meter.split("/"))
    meter = Meter(numerator, denominator)
    if shorten_bars and meter == Meter(4, 4):
        notes, meter = _without_last_eighths(notes), Meter(7, 8)
    return score_of(work_name(kind, seed, number), notes, Bars.of(meter, work.bars), work.tempo_bpm)


def split_of_composed(kind: str, seed: int, number: int) -> Split:
    """Of which part a composed work is."""
    return split_of(work_name(kind, seed, number))


def read_scores(path: Path) -> Iterator[Score]:
    """The scores of a file of gzipped JSON lines; those with few notes, or that are parts of another, are left out.

    Raises:
        ValueError: the file cannot be read, or a line is not a score.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            entries = [json.loads(line) for line in lines]
        names = {entry["path"].rpartition(".")[0] for entry in entries}
        for entry in entries:
            name = entry["path"].rpartition(".")[0]
            if name.rpartition("-")[0] in names:  # one player's part of a work that is there as a whole
                continue
            score = _score_of_entry(entry)
            if score is not None:
                yield score
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{path} is no file of scores ({error}): want gzipped JSON lines, one score a line") from None


def split_of_score(name: str) -> Split:
    """Of which part a score of a file is: by the hash of its composer, or of its opus where the name begins with it."""
    parts = name.split("/")
    work = parts[-1].split("-")[0].split("_")[0] if parts[0] == "kern" else "/".join(parts[:2])
    percentile = int.from_bytes(hashlib.sha256(work.encode()).digest()[:4], "little") % 100
    return "train" if percentile < 88 else "valid" if percentile < 94 else "test"


def _score_of_entry(entry: dict[str, Any]) -> Score | None:
    if len(entry["notes"]) < _FEWEST_NOTES:
        return None
    starts: list[int] = []
    meters: list[Meter] = []
    signature = _UNNAMED_METER
    for start, *changed in entry["bars"]:
        if changed:
            signature = (int(changed[0]), int(changed[1]))
        step = round(start * STEPS_PER_QUARTER)
        if starts and step <= starts[-1]:
            continue
        try:
            meters.append(Meter(*signature))
        except ValueError:
            return None
        starts.append(step)
    if not starts or starts[0] != 0 or starts[-1] > _MOST_STEPS:
        return None
    notes = [
        GridNote(round(onset * STEPS_PER_QUARTER), pitch, max(round(length * STEPS_PER_QUARTER), 1))
        for onset, length, pitch, _ in entry["notes"]
    ]
    bpm = [tempo for tempo in entry["bpm"] if 20 <= tempo <= 400]
    score = score_of(entry["path"], notes, Bars(starts, meters), float(bpm[0]) if bpm else 100.0)
    return score if len(score) >= _FEWEST_NOTES else None


def _without_last_eighths(notes: Sequence[GridNote]) -> list[GridNote]:
    bar, cut = 4 * STEPS_PER_QUARTER, STEPS_PER_QUARTER // 2
    kept = []
    for note in notes:
        number, offset = divmod(note.onset, bar)
        if offset < bar - cut:
            onset = number * (bar - cut) + offset
            last, end_offset = divmod(note.onset + note.steps, bar)
            end = last * (bar - cut) + min(end_offset, bar - cut)
            kept.append(GridNote(onset, note.pitch, max(end - onset, 1), note.velocity))
    return kept
