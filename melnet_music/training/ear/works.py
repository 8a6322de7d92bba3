"""Composed works as the ear hears them: frames, and the notes that it is to find; rendered once, and kept."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melnet_music.composing.collection import KINDS, Split, check_collection, play_work, split_of, work_name
from melnet_music.composing.instruments import choose_instruments
from melnet_music.composing.rendering.render import DRUM_CHANNEL
from melnet_music.model.config import SoundConfig
from melnet_music.notes.note_map import Note
from melnet_music.sound.mel import log_mel
from melnet_music.sound.resample import resample
from melnet_music.training.data.note_table import NoteTable

log = logging.getLogger(__name__)

_RENDERED_RATE_HZ = 44100


@dataclass(frozen=True, eq=False)
class EarWork:
    """One work."""

    name: str
    log_mel: NDArray[np.float16]
    """``[T, M]``."""
    notes: NoteTable
    """Without drums."""


@dataclass(frozen=True)
class Collection:
    """Which works: those of ``make-data`` of the same seed, rendered by FluidSynth."""

    folder: Path
    """Where they are kept."""
    sound: SoundConfig
    seed: int = 1
    soundfonts: tuple[Path, ...] = ()
    """None given: the two free ones."""

    def works(
        self, kind: str, split: Split, works: int, progress: Callable[[str], None] = lambda name: None
    ) -> list[EarWork]:
        """The first ``works`` of a kind and split, by number; what the folder lacks is rendered.

        Raises:
            ValueError: no such kind or seed, no soundfont, or the folder cannot be written.
        """
        check_collection(kind, self.seed)
        every = ((number, work_name(kind, self.seed, number)) for number in count())
        chosen = islice(((number, name) for number, name in every if split_of(name) == split), works)
        instruments = choose_instruments(kind, self.soundfonts, None)
        key = json.dumps([self.sound.model_dump(), instruments.digests(), instruments.versions()], sort_keys=True)
        folder = self.folder / hashlib.sha256(key.encode()).hexdigest()[:12]
        found = []
        for number, name in chosen:
            path = folder / f"{name}.npz"
            if not path.exists():
                played = play_work(kind, self.seed, number, instruments.names)
                audio = resample(instruments.render(played.to_render), _RENDERED_RATE_HZ, self.sound.sample_rate_hz)
                notes = NoteTable.of(
                    Note(note.onset_s, note.sounding_end_s, note.pitch, note.velocity)
                    for note in played.performance.notes
                    if note.channel != DRUM_CHANNEL
                )
                _write(path, EarWork(name, log_mel(audio, self.sound).astype(np.float16), notes))
            found.append(_read(path))
            progress(name)
        return found


def hours(works: Sequence[EarWork], sound: SoundConfig) -> float:
    """How long they are together."""
    return sum(len(work.log_mel) for work in works) / sound.frames_per_second / 3600


def both_kinds(
    collection: Collection, split: Split, works: int, progress: Callable[[str], None] = lambda name: None
) -> dict[str, list[EarWork]]:
    """So many works of each kind of music."""
    return {kind: collection.works(kind, split, works, progress) for kind in KINDS}


def _write(path: Path, work: EarWork) -> None:
    """Whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(file, log_mel=work.log_mel, notes=work.notes.rows)
        os.replace(part, path)
    except OSError as error:
        raise ValueError(
            f"cannot keep {path} ({error.strerror}): give a folder that can be written, with room"
        ) from None


def _read(path: Path) -> EarWork:
    try:
        with np.load(path) as arrays:
            return EarWork(path.stem, arrays["log_mel"], NoteTable(arrays["notes"]))
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path} cannot be read ({error}): delete it, and it is rendered again") from None
