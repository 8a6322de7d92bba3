"""One-shots: recordings of single notes of instruments, from which works are rendered without a soundfont.

A folder of sounds holds ``pianos/<name>/<pitch>_<velocity>.ogg`` and ``voices/<program>/<pitch>_<velocity>.ogg``, by
MIDI pitch and velocity; a program is General MIDI's (0-127), or 128 and more for drum kits. FLAC and WAV will do too.
A one-shot begins with its onset, and is as long as the key was held: until it has died away, or has been faded out.
"""

from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from melnet_music.composing.perform import PerformedNote
from melnet_music.composing.rendering.render import DRUM_CHANNEL, SAMPLE_RATE_HZ

FOLDER_OF_KIND = {"piano": "pianos", "music": "voices"}
DRUM_KITS = 128
"""A drum kit's program in a folder of sounds is this much higher than General MIDI's."""
VOICES = "voices"
"""In place of a piano's name, where a work is for many instruments."""
PADDING = 2
"""Zeros after every one-shot: reading between samples looks one ahead."""

_SUFFIXES = (".ogg", ".flac", ".wav")
_LOUDEST_RMS = 0.1
_LEVEL_SECONDS = 0.5
_DB_A_VELOCITY = 0.25
"""Beyond the velocities that were recorded."""
_SILENCE_ENERGY = 1e-10


@dataclass(frozen=True, eq=False)
class Instrument:
    """The one-shots of one instrument at 44,100 Hz, the loudest with an RMS of 0.1 over its first half second."""

    samples: NDArray[np.float32]
    """``[S]``, one one-shot after the other, each with `PADDING` zeros after it."""
    starts: NDArray[np.int64]
    """``[K]``, where each begins."""
    lengths: NDArray[np.int64]
    """``[K]``, in samples, without the zeros."""
    shot: NDArray[np.int64]
    """``[128, 128]``, which one plays a pitch at a velocity: of the nearest pitch the nearest velocity."""
    semitones: NDArray[np.float64]
    """``[128]``, by how much it is played higher for a pitch."""
    gain: NDArray[np.float32]
    """``[128, 128]``, what makes up for the distance of the velocities, by the levels of those recorded."""
    digest: str
    """SHA-256 of the files."""


@dataclass(frozen=True, eq=False)
class Sounds:
    """What the works of one kind are rendered from."""

    instruments: dict[str, Instrument]
    """Pianos by name, or voices by program."""
    names: tuple[str, ...]
    """What a work's sound may draw."""
    digests: dict[str, str]
    """Of each of the names."""

    def name_for(self, note: PerformedNote, drawn: str) -> str:
        """Which instrument plays a note of a work whose sound drew a name.

        Raises:
            ValueError: there is none.
        """
        if drawn != VOICES:
            return drawn
        program = note.program + DRUM_KITS * (note.channel == DRUM_CHANNEL)
        if str(program) not in self.instruments:
            raise ValueError(
                f"no one-shots of program {program}, there are {', '.join(self.instruments)}: "
                "have make-sounds cut those of all programs"
            )
        return str(program)


def read_sounds(folder: Path, kind: str) -> Sounds:
    """The one-shots in a folder of sounds for works of a kind, ``piano`` or ``music``.

    Raises:
        ValueError: there is no such folder, none of them in it, or a damaged one.
    """
    if not folder.is_dir():
        raise ValueError(f"no folder {folder}: give one that make-sounds has made")
    inner = folder / FOLDER_OF_KIND[kind]
    folders = sorted(path for path in inner.iterdir() if path.is_dir()) if inner.is_dir() else []
    if not folders:
        raise ValueError(
            f"no one-shots in {folder}: looked for {inner.name}/*/<pitch>_<velocity>.ogg; "
            f"melnet-music make-sounds {folder} --kind {kind} makes them"
        )
    instruments = {path.name: read_instrument(path) for path in folders}
    if kind == "piano":
        return Sounds(instruments, tuple(instruments), {name: each.digest for name, each in instruments.items()})
    digest = hashlib.sha256("".join(f"{name} {each.digest}\n" for name, each in instruments.items()).encode())
    return Sounds(instruments, (VOICES,), {VOICES: digest.hexdigest()})


def read_instrument(folder: Path) -> Instrument:
    """The instrument whose one-shots lie in a folder.

    Raises:
        ValueError: there are none, or one cannot be read, or is named otherwise than ``<pitch>_<velocity>``.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise ValueError(f"no one-shots in {folder}: looked for <pitch>_<velocity> with {', '.join(_SUFFIXES)}")
    keys = [_key_of(path) for path in paths]
    if len(set(keys)) < len(keys):
        raise ValueError(f"two one-shots of one pitch and velocity in {folder}: keep one format of each")
    order = sorted(range(len(keys)), key=keys.__getitem__)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        shots = list(pool.map(_read_shot, (paths[number] for number in order)))
    digest = hashlib.sha256("".join(f"{paths[n].name} {s[1]}\n" for n, s in zip(order, shots, strict=True)).encode())
    return instrument_of({keys[n]: audio for n, (audio, _) in zip(order, shots, strict=True)}, digest.hexdigest())


def instrument_of(shots: dict[tuple[int, int], NDArray[np.float32]], digest: str = "") -> Instrument:
    """The instrument of one-shots ``[n]`` at 44,100 Hz by MIDI pitch and velocity."""
    keys = sorted(shots)
    lengths = np.array([len(shots[key]) for key in keys], np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths + PADDING)[:-1]]).astype(np.int64)
    samples = np.concatenate([np.pad(shots[key], (0, PADDING)) for key in keys])
    level_db = np.array([_level_db(shots[key]) for key in keys])
    samples *= np.float32(_LOUDEST_RMS * 10.0 ** (-level_db.max() / 20.0))
    pitches = np.array(sorted({pitch for pitch, _ in keys}))
    shot, semitones, gain_db = np.zeros((128, 128), np.int64), np.zeros(128), np.zeros((128, 128))
    every = np.arange(128)
    for pitch in every:
        nearest = int(pitches[np.abs(pitches - pitch).argmin()])
        semitones[pitch] = pitch - nearest
        own = np.array([number for number, key in enumerate(keys) if key[0] == nearest])
        velocities = np.array([keys[number][1] for number in own])
        shot[pitch] = own[np.abs(velocities[None] - every[:, None]).argmin(1)]
        wanted_db = np.interp(every, velocities, level_db[own])
        wanted_db += _DB_A_VELOCITY * (every - np.clip(every, velocities[0], velocities[-1]))
        gain_db[pitch] = wanted_db - level_db[shot[pitch]]
    gain = (10.0 ** (gain_db / 20.0)).astype(np.float32)
    return Instrument(samples, starts, lengths, shot, semitones, gain, digest)


def _level_db(shot: NDArray[np.float32]) -> float:
    samples = round(_LEVEL_SECONDS * SAMPLE_RATE_HZ)
    energy = np.square(shot[:samples], dtype=np.float64).sum() / samples
    return float(10.0 * np.log10(energy + _SILENCE_ENERGY))


def _key_of(path: Path) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)_(\d+)", path.stem)
    pitch, velocity = (int(match[1]), int(match[2])) if match else (-1, -1)
    if not (0 <= pitch < 128 and 0 < velocity < 128):
        raise ValueError(f"{path} is no one-shot: expected <pitch>_<velocity>, 0_1 to 127_127; take it away")
    return pitch, velocity


def _read_shot(path: Path) -> tuple[NDArray[np.float32], str]:
    """Mono ``[n]`` at 44,100 Hz, and the file's SHA-256."""
    try:
        audio, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (soundfile.LibsndfileError, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error}): have make-sounds cut it again, or delete it") from None
    if not (len(audio) and np.isfinite(audio).all()):
        raise ValueError(f"{path} holds no sound: have make-sounds cut it again, or delete it")
    mono: NDArray[np.float32] = audio.mean(1)
    if rate_hz != SAMPLE_RATE_HZ:
        mono = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ).astype(np.float32)
    return mono, digest
