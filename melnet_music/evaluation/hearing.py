"""How well the ear hears: its notes against those that were played, how late they come, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from melnet_music.evaluation.measures.detection import Hits
from melnet_music.evaluation.measures.note_pairs import Rows, distinct_rows, note_pairs, note_rows
from melnet_music.notes.ear.ear import Ear, as_notes
from melnet_music.notes.ear.layout import HIGHEST_PITCH, LOWEST_PITCH
from melnet_music.notes.ear.tracker import HeardNote
from melnet_music.training.ear.works import EarWork

_END_TOLERANCE_SECONDS, _END_TOLERANCE_SHARE = 0.05, 0.2


@dataclass(frozen=True)
class HearingScore:
    """Of some works together."""

    works: int
    seconds: float
    onsets: Hits
    """Pitch is right, and onset within 50 ms. Notes of one pitch that begin together count as one."""
    with_ends: Hits
    """And the end, see `end_hits`."""
    sure: Hits
    """As ``onsets``, of the surer half of the notes found."""
    late_ms: float
    """Mean of onsets found over true ones."""
    spread_ms: float
    """Mean distance from that mean."""
    velocity_error: float
    """Mean distance, in steps of MIDI."""
    told_after_ms: float
    """Mean time from an onset to the sample that its note is told with."""
    told_latest_ms: float
    """95th percentile of the same."""
    cpu_share: float
    """Seconds of one core for a second of sound, without making the frames."""


@dataclass(frozen=True)
class _Heard:
    notes: list[HeardNote]
    told_s: dict[tuple[int, float], float]
    """When enough had been heard to tell of a pitch and onset."""
    cpu_s: float


def measure_hearing(
    ear: Ear, works: Sequence[EarWork], progress: Callable[[str], None] = lambda name: None
) -> HearingScore:
    """The ear on works, frame by frame as it hears them live.

    Args:
        progress: called with the name of each work that was heard.
    """
    onsets = with_ends = sure = Hits(0, 0, 0)
    late, velocity, told = list[float](), list[float](), list[float]()
    heard = [_listen(ear, work, progress) for work in works]
    confidences = [note.confidence for one in heard for note in one.notes]
    middling = float(np.median(confidences)) if confidences else 0.0
    for one, work in zip(heard, works, strict=True):
        true, found = true_rows(work), note_rows(as_notes(one.notes))
        certain = note_rows(as_notes(note for note in one.notes if note.confidence >= middling))
        sure += Hits(len(note_pairs(certain, true)), len(certain), len(true))
        pairs = note_pairs(found, true)
        for a, b in pairs:
            late.append(found[a, 0] - true[b, 0])
            velocity.append(abs(found[a, 3] - true[b, 3]))
            told.append(one.told_s[int(found[a, 2]), found[a, 0]] - true[b, 0])
        onsets += Hits(len(pairs), len(found), len(true))
        with_ends += Hits(end_hits(found, true, pairs), len(found), len(true))
    seconds = sum(len(work.log_mel) for work in works) / ear.config.sound.frames_per_second
    late_ms, told_ms = 1e3 * np.array(late or [np.nan]), 1e3 * np.array(told or [np.nan])
    return HearingScore(
        works=len(works),
        seconds=seconds,
        onsets=onsets,
        with_ends=with_ends,
        sure=sure,
        late_ms=float(late_ms.mean()),
        spread_ms=float(np.abs(late_ms - late_ms.mean()).mean()),
        velocity_error=float(np.mean(velocity or [np.nan])),
        told_after_ms=float(told_ms.mean()),
        told_latest_ms=float(np.percentile(told_ms, 95)),
        cpu_share=sum(one.cpu_s for one in heard) / seconds,
    )


def true_rows(work: EarWork) -> Rows:
    """The notes of a work that can be heard apart."""
    return distinct_rows(work.notes.rows, LOWEST_PITCH, HIGHEST_PITCH)


def end_hits(found: Rows, true: Rows, pairs: Sequence[tuple[int, int]]) -> int:
    """Of how many pairs the end is right too, within 50 ms or a fifth of the note."""
    places = np.array(pairs, np.int64).reshape(-1, 2)
    heard, played = found[places[:, 0]], true[places[:, 1]]
    allowed = np.maximum(_END_TOLERANCE_SECONDS, _END_TOLERANCE_SHARE * (played[:, 1] - played[:, 0]))
    return int(np.count_nonzero(np.abs(heard[:, 1] - played[:, 1]) <= allowed))


def _listen(ear: Ear, work: EarWork, progress: Callable[[str], None]) -> _Heard:
    sound = ear.config.sound
    window_s = (sound.window_samples - sound.window_samples // 2) / sound.sample_rate_hz
    state, told, told_s = ear.start(), list[HeardNote](), dict[tuple[int, float], float]()
    frames = work.log_mel.astype(np.float32)
    begun = time.process_time()
    for number in range(len(frames)):
        now, state = ear.hear(state, frames[number : number + 1])
        for note in now:
            told_s.setdefault((note.pitch, note.onset_s), number / sound.frames_per_second + window_s)
        told += now
    told += ear.finish(state)
    cpu_s = time.process_time() - begun
    for note in told:
        told_s.setdefault((note.pitch, note.onset_s), len(frames) / sound.frames_per_second + window_s)
    progress(work.name)
    return _Heard(ear.believed(told), told_s, cpu_s)
