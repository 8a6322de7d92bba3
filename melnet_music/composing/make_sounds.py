"""Cuts one-shots from soundfonts and from recordings of a piano: what works are rendered from on a device."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from melnet_music.composing.rendering.one_shots import DRUM_KITS, FOLDER_OF_KIND
from melnet_music.composing.rendering.render import (
    DEFAULT_SOUNDFONTS,
    DRUM_CHANNEL,
    SAMPLE_RATE_HZ,
    Renderer,
    find_soundfonts,
)
from melnet_music.composing.score.drums import KEYS
from melnet_music.composing.score.ensembles import VOICES, Voice

SOURCE_FILE = "source.txt"
"""Says beside one-shots where they are from, and under what licence they may be used."""
SALAMANDER = "salamander"

_PIANO_PROGRAMS = {0: "grand", 1: "bright"}
_PIANO_PITCHES = range(22, 107, 4)
_PIANO_VELOCITIES = (32, 64, 92, 116)
_VOICE_STEP = 5
_VOICE_VELOCITIES = (56, 104)
_DRUM_VELOCITY = 96
_PIANO_SECONDS, _VOICE_SECONDS, _DRUM_SECONDS = 8.0, 6.0, 2.5
_FADE_SECONDS = 0.3
_ONSET_RATIO = 0.03
"""A one-shot begins where it first exceeds this share of its peak,"""
_BEFORE_SECONDS = 0.001
"""and so much before."""
_INAUDIBLE = 1e-4
_VORBIS_COMPRESSION = 0.6
_STEPS = {"C": 0, "C#": 1, "D": 2, "D#": 3, "E": 4, "F": 5, "F#": 6, "G": 7, "G#": 8, "A": 9, "A#": 10, "B": 11}
_SALAMANDER_NAME = re.compile(r"([A-G]#?)(\d)v(\d+)")
_VELOCITIES_A_LAYER = 8

Shot = NDArray[np.float32]


@dataclass(frozen=True)
class MadeSounds:
    """What was cut."""

    instruments: int
    one_shots: int
    seconds: float


@dataclass(frozen=True)
class _Cut:
    """One one-shot to be, and how to come by its sound."""

    folder: Path
    pitch: int
    velocity: int
    sound: Callable[[], Shot]


def make_sounds(
    folder: Path,
    *,
    kind: str = "piano",
    soundfonts: Sequence[Path] = (),
    salamander: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> MadeSounds:
    """Cut one-shots into ``folder``; what is there already under the same names is replaced.

    Of ``piano`` two pianos of every soundfont, and the Salamander Grand Piano where its files are given; of ``music``
    the voices and drum kits of all ensembles, from the first soundfont. No soundfonts given: the two default ones.

    Args:
        salamander: a folder with Ogg files of the Salamander Grand Piano V3 (Alexander Holm, CC BY 3.0), each named by
            note and layer, such as ``D#4v12.ogg``.
        progress: called with (one-shots done, all).

    Raises:
        ValueError: no such kind or folder, no one-shots in it, a damaged file, or a soundfont that is missing.
    """
    if kind not in FOLDER_OF_KIND:
        raise ValueError(f"unknown kind of music {kind!r}: expected one of {', '.join(FOLDER_OF_KIND)}")
    if salamander is not None and kind != "piano":
        raise ValueError(f"the Salamander piano is for --kind piano, not {kind}: leave it out")
    cuts = [] if salamander is None else list(_of_salamander(salamander, folder / "pianos" / SALAMANDER))
    fonts = find_soundfonts(soundfonts)
    renderers = {font: Renderer(font) for font in (fonts if kind == "piano" else fonts[:1])}
    try:
        for font, renderer in renderers.items():
            cuts += _of_pianos(font, renderer, folder) if kind == "piano" else _of_voices(font, renderer, folder)
        seconds, made = 0.0, 0
        for number, cut in enumerate(cuts):
            shot = cut_out(cut.sound())
            if len(shot):
                _write(cut.folder / f"{cut.pitch}_{cut.velocity}.ogg", shot)
                seconds, made = seconds + len(shot) / SAMPLE_RATE_HZ, made + 1
            if progress is not None:
                progress(number + 1, len(cuts))
    finally:
        for renderer in renderers.values():
            renderer.close()
    return MadeSounds(len({cut.folder for cut in cuts}), made, seconds)


def cut_out(sound: Shot) -> Shot:
    """The one-shot in a recording ``[n]`` at 44,100 Hz: from its onset on, faded out; empty where all is silent."""
    heard = np.abs(sound)
    if not len(sound) or heard.max() < _INAUDIBLE:
        return np.zeros(0, np.float32)
    before = round(_BEFORE_SECONDS * SAMPLE_RATE_HZ)
    first = max(int(np.argmax(heard > _ONSET_RATIO * heard.max())) - before, 0)
    last = int(np.flatnonzero(heard > _INAUDIBLE)[-1]) + 1
    shot = np.array(sound[first:last], np.float32)
    rise, fade = min(before, len(shot)), min(round(_FADE_SECONDS * SAMPLE_RATE_HZ), len(shot) // 4)
    if first:
        shot[:rise] *= np.linspace(0.0, 1.0, rise, dtype=np.float32)
    shot[len(shot) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return shot


def _of_pianos(font: Path, renderer: Renderer, folder: Path) -> Iterator[_Cut]:
    for program, name in _PIANO_PROGRAMS.items():
        inner = folder / FOLDER_OF_KIND["piano"] / f"{font.stem}-{name}"
        _say_source(inner, f"General MIDI program {program} of the soundfont {font.name}, {_licence(font)}")
        for pitch in _PIANO_PITCHES:
            for velocity in _PIANO_VELOCITIES:
                yield _played(inner, renderer, 0, program, pitch, velocity, _PIANO_SECONDS)


def _of_voices(font: Path, renderer: Renderer, folder: Path) -> Iterator[_Cut]:
    voices = folder / FOLDER_OF_KIND["music"]
    _say_source(voices, f"the soundfont {font.name}, {_licence(font)}; folders are General MIDI programs, 128 + kit")
    for name, voice in VOICES.items():
        drums = name.endswith(" kit")
        inner = voices / str(voice.program + DRUM_KITS * drums)
        inner.mkdir(parents=True, exist_ok=True)
        if drums:
            for key in KEYS:
                yield _played(inner, renderer, DRUM_CHANNEL, voice.program, key, _DRUM_VELOCITY, _DRUM_SECONDS)
        else:
            for pitch in _voice_pitches(voice):
                for velocity in _VOICE_VELOCITIES:
                    yield _played(inner, renderer, 0, voice.program, pitch, velocity, _VOICE_SECONDS)


def _voice_pitches(voice: Voice) -> range:
    return range(voice.lowest + 1, voice.highest + 3, _VOICE_STEP)


def _played(
    folder: Path, renderer: Renderer, channel: int, program: int, pitch: int, velocity: int, seconds: float
) -> _Cut:
    return _Cut(folder, pitch, velocity, lambda: renderer.one_note(channel, program, pitch, velocity, seconds))


def _of_salamander(given: Path, folder: Path) -> Iterator[_Cut]:
    if not given.is_dir():
        raise ValueError(f"no folder {given}: give one with the Ogg files of the Salamander Grand Piano")
    found = [(path, match) for path in sorted(given.rglob("*.ogg")) if (match := _SALAMANDER_NAME.fullmatch(path.stem))]
    if not found:
        raise ValueError(f"no one-shots in {given}: looked for names of note and layer, such as D#4v12.ogg")
    _say_source(folder, "the Salamander Grand Piano V3 by Alexander Holm, licence CC BY 3.0")
    for path, match in found:
        pitch = 12 * (int(match[2]) + 1) + _STEPS[match[1]]
        velocity = _VELOCITIES_A_LAYER * int(match[3]) - _VELOCITIES_A_LAYER // 2
        if not (pitch < 128 and 0 < velocity < 128):
            raise ValueError(f"{path} is no note of the Salamander piano: expected A0v1 to C8v16")
        yield _Cut(folder, pitch, velocity, lambda path=path: _recorded(path))  # type: ignore[misc]


def _recorded(path: Path) -> Shot:
    try:
        with soundfile.SoundFile(path) as file:
            audio = file.read(round((_PIANO_SECONDS + 1.0) * file.samplerate), dtype="float32", always_2d=True)
            rate_hz = file.samplerate
    except (soundfile.LibsndfileError, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error}): fetch it again") from None
    if not len(audio):
        raise ValueError(f"{path} holds no sound: fetch it again")
    mono: Shot = audio.mean(1)
    return mono if rate_hz == SAMPLE_RATE_HZ else soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ).astype(np.float32)


def _licence(font: Path) -> str:
    return "licence MIT" if font.name in DEFAULT_SOUNDFONTS else "licence: see that of the soundfont"


def _say_source(folder: Path, source: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SOURCE_FILE).write_text(f"One-shots cut from {source}.\n", encoding="utf-8")
    except OSError as error:
        raise ValueError(f"cannot write to {folder} ({error.strerror}): give a folder that can be written") from None


def _write(path: Path, shot: Shot) -> None:
    """Whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        soundfile.write(
            part, shot, SAMPLE_RATE_HZ, format="OGG", subtype="VORBIS", compression_level=_VORBIS_COMPRESSION
        )
        part.replace(path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise ValueError(f"cannot write {path} ({error}): give a folder that can be written, with room") from None
