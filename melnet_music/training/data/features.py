"""Recordings as training examples: log-mel frames, notes and sound."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import parent_process
from pathlib import Path

import numpy as np
import numpy.typing as npt

from melnet_music.model.config import SoundConfig
from melnet_music.notes.note_map import Note
from melnet_music.training.data.feature_cache import SHORTEST_SECONDS, Features, load_features
from melnet_music.training.data.mono_audio import AudioPart
from melnet_music.training.data.note_table import NoteTable
from melnet_music.training.data.recordings import (
    SPLITS,
    Recording,
    Split,
    can_be_split_whole,
    find_recordings,
    splits_by_hash,
    splits_in_time,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Work:
    """One recording, or the part of it that belongs to a split. Times count from its start."""

    name: str
    log_mel: npt.NDArray[np.float32]
    """``[T, M]``, memory-mapped. Frame t is centred on second ``t / frames_per_second``."""
    notes: Sequence[Note]
    """In order of onset; empty where unknown."""
    audio: AudioPart | None = None
    """None for frames that come from no file."""

    def notes_between(self, start_s: float, stop_s: float) -> list[Note]:
        """Notes that sound anywhere in the span."""
        if isinstance(self.notes, NoteTable):
            return list(self.notes.between(start_s, stop_s))
        return [note for note in self.notes if note.end_s > start_s and note.onset_s < stop_s]

    def read_audio(self, start_s: float, stop_s: float) -> npt.NDArray[np.float32]:
        """That part of its sound, or up to its end: mono float32[n] at the rate of the sound settings.

        Raises:
            ValueError: the span is not in the work, the work has no sound, or its file cannot be read any more.
        """
        if self.audio is None:
            raise ValueError(f"{self.name} has frames only, no sound to read")
        return self.audio.read(start_s, stop_s)


def load_works(
    data: Path,
    split: Split,
    sound: SoundConfig,
    progress: Callable[[int, int], None] | None = None,
    *,
    processes: int = 1,
) -> list[Work]:
    """The recordings of one split of a folder, ordered by name.

    The folder may be one from ``make-data``, MAESTRO, or any folder with recordings: see `find_recordings`. Where it
    says nothing of splits, three recordings or more are split by a hash of their names (`splits_by_hash`); fewer are
    cut in time (`splits_in_time`). What cannot be used is named in a warning and left out: unreadable, empty,
    shorter than a second, silent, or with samples that are no numbers. Of a damaged file all is used that can be read.

    Args:
        progress: called with (recordings read, all).
        processes: so many read side by side what is not in the cache yet.

    Raises:
        ValueError: no such split, no recordings for it, or nowhere to keep the features.
    """
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}, expected one of {', '.join(SPLITS)}")
    found = find_recordings(data)
    wanted = [recording for recording in found.recordings if recording.split in (split, None)]
    if not wanted:
        raise ValueError(f"no recordings for {split!r}: looked for {found.looked_for}; {found.remedy}")
    loaded = load_features(wanted, data, sound, processes=processes, progress=progress)
    pairs = list(zip(wanted, loaded, strict=True))
    # Of a folder without splits all recordings are read for each: once is enough to complain.
    _warn(pair for pair in pairs if (pair[0].split or "train") == split)
    usable = [(recording, features) for recording, features in pairs if not features.unusable]
    if not usable:
        raise ValueError(f"no recordings for {split!r}: none of the {len(pairs)} in {data} can be used; add others")
    names = {recording.name for recording, _ in usable if recording.split is None}
    if names and not can_be_split_whole(len(names)):
        log.info(
            "%s has %d recording(s), each is split in time: 80 %% train, 10 %% valid, 10 %% test", data, len(names)
        )
        return _parts(usable, split, sound)
    if names:
        splits = splits_by_hash(names)
        log.info("%s has no folders train, valid and test: a hash of their names splits the recordings", data)
        usable = [pair for pair in usable if splits[pair[0].name] == split]
    return [
        Work(recording.name, features.log_mel, features.notes, _audio(recording, features, sound))
        for recording, features in usable
    ]


def _parts(pairs: Sequence[tuple[Recording, Features]], split: Split, sound: SoundConfig) -> list[Work]:
    works = []
    for recording, features in pairs:
        whole = _audio(recording, features, sound)
        start_s, stop_s = splits_in_time(whole.seconds, sound.window_samples / sound.sample_rate_hz)[split]
        first, stop = math.ceil(start_s * sound.frames_per_second), math.floor(stop_s * sound.frames_per_second)
        start_s, seconds = first / sound.frames_per_second, (stop - first) / sound.frames_per_second
        if seconds < SHORTEST_SECONDS:
            continue
        notes = features.notes.between(start_s, start_s + seconds).earlier(start_s)
        works.append(
            Work(recording.name, features.log_mel[first:stop], notes, replace(whole, start_s=start_s, seconds=seconds))
        )
    if not works:
        raise ValueError(
            f"no recordings for {split!r}: fewer than three are split in time, and {pairs[0][0].audio} is too short "
            "for that; add recordings"
        )
    return works


def _audio(recording: Recording, features: Features, sound: SoundConfig) -> AudioPart:
    seconds = len(features.log_mel) / sound.frames_per_second
    return AudioPart(recording.audio, 0.0, seconds, sound.sample_rate_hz)


def _warn(pairs: Iterable[tuple[Recording, Features]]) -> None:
    # Processes that train side by side load what the one that started them has loaded, and complained of, already.
    level = logging.WARNING if parent_process() is None else logging.DEBUG
    for recording, features in pairs:
        if features.unusable:
            log.log(level, "%s %s; left out", recording.audio, features.unusable)
        for remark in features.remarks:
            log.log(level, "%s %s", recording.audio, remark)
