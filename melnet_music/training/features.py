"""Recordings as training examples: log-mel frames and notes, cached beside the data."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from melnet_music.audio_file import read_audio
from melnet_music.config import SoundConfig
from melnet_music.mel import log_mel
from melnet_music.notes import Note


@dataclass(frozen=True)
class Work:
    """One recording."""

    name: str
    log_mel: npt.NDArray[np.float32]
    """``[T, M]``, memory-mapped."""
    notes: list[Note]
    """In order of onset; empty where unknown."""

    def notes_between(self, start_s: float, stop_s: float) -> list[Note]:
        """Notes that sound anywhere in the span."""
        return [note for note in self.notes if note.end_s > start_s and note.onset_s < stop_s]


def load_works(
    data: Path, split: str, sound: SoundConfig, progress: Callable[[int, int], None] | None = None
) -> list[Work]:
    """The recordings of one split of a data folder, as written by ``make-data``.

    Args:
        progress: called with (done, total).

    Raises:
        ValueError: no recordings there.
    """
    folder = data / split
    paths = sorted(folder.glob("*.flac"))
    if not paths:
        raise ValueError(
            f"no recordings for {split!r}: looked for *.flac in {folder}; melnet-music make-data {data} makes some"
        )
    cache = data / f"log-mel-{_digest(sound)}" / split
    cache.mkdir(parents=True, exist_ok=True)
    works = []
    for done, path in enumerate(paths):
        if progress:
            progress(done, len(paths))
        works.append(Work(path.stem, _features(path, cache, sound), _notes(path.with_suffix(".notes.csv"))))
    return works


def _digest(sound: SoundConfig) -> str:
    return hashlib.sha256(sound.model_dump_json().encode()).hexdigest()[:12]


def _features(path: Path, cache: Path, sound: SoundConfig) -> npt.NDArray[np.float32]:
    cached = cache / f"{path.stem}.npy"
    if not cached.exists():
        frames = log_mel(read_audio(path).mono_at(sound.sample_rate_hz), sound)
        part = cached.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            np.save(file, frames)
        part.replace(cached)  # another process may be doing the same: either result will do
    mapped: npt.NDArray[np.float32] = np.load(cached, mmap_mode="r")
    return mapped


def _notes(path: Path) -> list[Note]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        notes = [
            Note(float(r["onset_s"]), float(r["sounding_end_s"]), int(r["pitch"]), int(r["velocity"])) for r in rows
        ]
    return sorted(notes, key=lambda note: note.onset_s)


def bin_statistics(
    works: list[Work], deviation_floor_nats: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mean and standard deviation of every mel bin, ``[M]`` each, over every fifth frame of the works."""
    frames = np.concatenate([work.log_mel[::5] for work in works]).astype(np.float64)
    deviation = np.maximum(frames.std(0), deviation_floor_nats)
    return frames.mean(0).astype(np.float32), deviation.astype(np.float32)
