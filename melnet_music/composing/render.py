"""Renders performances to audio with FluidSynth and a soundfont (``melnet-music[data]``, libfluidsynth3).

Every work is played by a fresh synthesizer, so its audio depends on the work alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from ctypes import byref, c_int
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from melnet_music.composing.perform import PerformedNote

SAMPLE_RATE_HZ = 22050
TAIL_SECONDS = 1.5
LEVEL_DBFS = -23.0
PEAK_LIMIT = 0.95

_SYNTH_RATE_HZ = 44100
_SYNTH_BLOCK_SAMPLES = 64
"""FluidSynth starts and ends voices at the edges of its blocks only; events are rounded to the nearest edge."""
_SYNTH_GAIN = 2.0

_SOUNDFONT_FOLDERS = (
    "/usr/share/sounds/sf3",
    "/usr/share/sounds/sf2",
    "/usr/share/soundfonts",
    "/usr/local/share/soundfonts",
    "/opt/homebrew/share/soundfonts",
)
_SOUNDFONT_FILES = (
    "MuseScore_General_Lite.sf3",
    "MuseScore_General.sf3",
    "MuseScore_General.sf2",
    "FluidR3Mono_GM.sf3",
    "FluidR3_GM.sf2",
)


def find_soundfont(path: Path | None = None) -> Path:
    """The soundfont at ``path``, or else the first of the known ones installed; ValueError if there is none."""
    if path is not None:
        if not path.is_file():
            raise ValueError(f"no soundfont at {path}: give the path of an .sf2 or .sf3 file")
        with path.open("rb") as file:
            head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"sfbk":
            raise ValueError(f"{path} is not a soundfont: give the path of an .sf2 or .sf3 file")
        return path
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    folders = [home / "soundfonts", home / "sounds/sf3", home / "sounds/sf2", *map(Path, _SOUNDFONT_FOLDERS)]
    for name in _SOUNDFONT_FILES:
        for folder in folders:
            if (folder / name).is_file():
                return folder / name
    raise ValueError(
        "no soundfont found: looked for "
        + ", ".join(_SOUNDFONT_FILES)
        + " in "
        + ", ".join(map(str, folders))
        + ". Install one (Debian: musescore-general-soundfont-small, MIT licence) or give a path"
    )


class Renderer:
    """A piano from a soundfont. Not for real-time use: it reads files and allocates.

    Holds one synthesizer only to keep the decoded samples in FluidSynth's cache, which fresh ones share.
    """

    def __init__(self, soundfont: Path) -> None:
        self._soundfont = soundfont
        self._keeper = self._fresh_synth()

    def close(self) -> None:
        self._keeper.delete()

    def render(self, notes: Sequence[PerformedNote]) -> NDArray[np.float32]:
        """Mono float32 [n] at 22,050 Hz, normalised in level; the label times start at sample 0.

        Each note sounds from ``onset_s`` to ``sounding_end_s``: the pedal is already in the latter.
        """
        synth = self._fresh_synth()
        try:
            stereo = _play(synth, notes)
        finally:
            synth.delete()
        mono = stereo.astype(np.float32).mean(axis=1) / np.float32(32768.0)
        return normalise(soxr.resample(mono, _SYNTH_RATE_HZ, SAMPLE_RATE_HZ, quality="VHQ"))

    def _fresh_synth(self) -> Any:
        synth = _fluidsynth().Synth(
            gain=_SYNTH_GAIN,
            samplerate=float(_SYNTH_RATE_HZ),
            **{
                "synth.reverb.active": 0,
                "synth.chorus.active": 0,
                "synth.dynamic-sample-loading": 1,
                "synth.polyphony": 512,
            },
        )
        bank = synth.sfload(str(self._soundfont))
        if bank < 0 or synth.program_select(0, bank, 0, 0) != 0:
            synth.delete()
            raise ValueError(f"FluidSynth cannot play a piano from {self._soundfont}: give another soundfont")
        return synth


def normalise(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Audio at -23 dBFS RMS, or as loud as its peak allows."""
    rms = float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
    peak = float(np.abs(audio).max())
    gain = min(10.0 ** (LEVEL_DBFS / 20.0) / rms, PEAK_LIMIT / peak)
    return (audio * np.float32(gain)).astype(np.float32)


def _play(synth: Any, notes: Sequence[PerformedNote]) -> NDArray[np.int16]:
    """Interleaved stereo [n, 2] at the synthesizer's rate, from time 0 to the tail after the last note."""
    events = sorted(
        [(_block_at(n.onset_s), 1, n.pitch, n.velocity) for n in notes]
        + [(_block_at(n.sounding_end_s), 0, n.pitch, 0) for n in notes]
    )
    pieces: list[NDArray[np.int16]] = []
    now = 0
    for block, strikes, pitch, velocity in events:
        if block > now:
            pieces.append(synth.get_samples((block - now) * _SYNTH_BLOCK_SAMPLES))
            now = block
        if strikes:
            synth.noteon(0, pitch, velocity)
        else:
            synth.noteoff(0, pitch)
    pieces.append(synth.get_samples(_block_at(TAIL_SECONDS) * _SYNTH_BLOCK_SAMPLES))
    return np.concatenate(pieces).reshape(-1, 2)


def _block_at(seconds: float) -> int:
    return round(seconds * _SYNTH_RATE_HZ / _SYNTH_BLOCK_SAMPLES)


def _fluidsynth() -> Any:
    try:
        import fluidsynth
    except ImportError as error:
        raise ValueError(
            f"rendering needs FluidSynth ({error}): pip install 'melnet-music[data]', "
            "and the library itself (Debian: libfluidsynth3)"
        ) from error
    return fluidsynth


def fluidsynth_version() -> str:
    """The FluidSynth library's version, such as 2.3.1."""
    parts = c_int(), c_int(), c_int()
    _fluidsynth().fluid_version(*map(byref, parts))
    return ".".join(str(part.value) for part in parts)
