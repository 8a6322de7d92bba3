"""Renders performances to audio with FluidSynth and a soundfont (``melnet-music[data]``, libfluidsynth3).

Every work is played by a fresh synthesizer, so its audio depends on the work and its sound alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from ctypes import byref, c_int, c_void_p
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melnet_music.composing.perform import PerformedNote
from melnet_music.composing.rendering.equaliser import equalise
from melnet_music.composing.rendering.mixing import at_level
from melnet_music.composing.rendering.room import reverberate
from melnet_music.composing.rendering.sound import PLAIN, Sound

SAMPLE_RATE_HZ = 44100
"""FluidSynth plays at it, and nothing is resampled."""
TAIL_SECONDS = 1.5
PEAK_LIMIT = 0.95
DRUM_CHANNEL = 9

_SYNTH_BLOCK_SAMPLES = 64
"""FluidSynth starts and ends voices at the edges of its blocks only; events are rounded to the nearest edge."""
_SYNTH_GAIN = 1.0
_KEEPER_CHANNELS = 256
FADE_SECONDS = 0.05
_PROBED_PITCHES = tuple(range(28, 101))
_PROBE_VELOCITY = 70
_ATTACK_SECONDS = 0.08
_AUDIBLE_RATIO = 0.04
_SILENCE = 1e-5
_REPEAT_GAP_SECONDS = 0.005
"""A key that is struck earlier than written must have come up before."""

_SOUNDFONT_FOLDERS = (
    "/usr/share/sounds/sf3",
    "/usr/share/sounds/sf2",
    "/usr/share/soundfonts",
    "/usr/local/share/soundfonts",
    "/opt/homebrew/share/soundfonts",
)
DEFAULT_SOUNDFONTS = {
    "MuseScore_General_Lite.sf3": "musescore-general-soundfont-small",
    "FluidR3Mono_GM.sf3": "fluidr3mono-gm-soundfont",
}
"""File -> the Debian package that holds it. Both are under the MIT licence."""


def find_soundfonts(paths: Sequence[Path] = ()) -> tuple[Path, ...]:
    """The soundfonts at ``paths``, or else the two default ones; ValueError for what is missing or is none."""
    if paths:
        for path in paths:
            _check_soundfont(path)
        names = [path.name for path in paths]
        if len(set(names)) < len(names):
            raise ValueError(f"two soundfonts of one name in {', '.join(names)}: give each a name of its own")
        return tuple(paths)
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    folders = [home / "soundfonts", home / "sounds/sf3", home / "sounds/sf2", *map(Path, _SOUNDFONT_FOLDERS)]
    found = {
        name: next((folder / name for folder in folders if (folder / name).is_file()), None)
        for name in DEFAULT_SOUNDFONTS
    }
    missing = [name for name, path in found.items() if path is None]
    if missing:
        packages = ", ".join(DEFAULT_SOUNDFONTS[name] for name in missing)
        raise ValueError(
            f"missing soundfont{'s' * (len(missing) > 1)} {', '.join(missing)}: "
            f"looked in {', '.join(map(str, folders))}. Install them (Debian: {packages}; "
            "MIT licence) or give others with --soundfont"
        )
    return tuple(path for path in found.values() if path is not None)


def _check_soundfont(path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"no soundfont at {path}: give the path of an .sf2 or .sf3 file")
    with path.open("rb") as file:
        head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise ValueError(f"{path} is not a soundfont: give the path of an .sf2 or .sf3 file")


class Renderer:
    """The instruments of a soundfont. Not for real-time use: it reads files and allocates.

    Holds one synthesizer only to keep the decoded samples in FluidSynth's cache, which fresh ones share.
    """

    def __init__(self, soundfont: Path) -> None:
        self._soundfont = soundfont
        self._kept: list[tuple[int, bool]] = []
        self._attacks_s: dict[int, NDArray[np.float64]] = {}
        self._keeper, self._keeper_bank = self._fresh_synth(_KEEPER_CHANNELS)

    def close(self) -> None:
        self._keeper.delete()

    def render(
        self, notes: Sequence[PerformedNote], sound: Sound = PLAIN, levels_db: Mapping[int, float] | None = None
    ) -> NDArray[np.float32]:
        """Mono float32 [n] at 44,100 Hz in the given sound; the label times start at sample 0.

        Each note sounds from ``onset_s`` to ``sounding_end_s``: the pedal is already in the latter. With ``levels_db``
        (MIDI channel -> dB) each channel is played alone, as early as its attacks are slow, and set to its level.
        """
        last_block = max(_block_at(n.sounding_end_s) for n in notes) + _block_at(TAIL_SECONDS)
        if levels_db is None:
            audio = self._play(notes, sound.tuning_hz, last_block)
        else:
            audio = np.zeros(last_block * _SYNTH_BLOCK_SAMPLES, dtype=np.float32)
            for channel in sorted({n.channel for n in notes}):
                early = self._in_time([n for n in notes if n.channel == channel])
                alone = self._play(early, sound.tuning_hz, last_block)
                audio += at_level(alone, SAMPLE_RATE_HZ, levels_db[channel])
        audio = reverberate(equalise(audio, sound.bands, SAMPLE_RATE_HZ), sound.room, SAMPLE_RATE_HZ)
        audio = faded_out(normalise(audio, sound.level_dbfs))
        return with_noise(audio, sound.noise_dbfs, sound.noise_seed)

    def one_note(self, channel: int, program: int, pitch: int, velocity: int, seconds: float) -> NDArray[np.float32]:
        """Mono float32 [n] at 44,100 Hz of a key that is held for so long, as the soundfont has it."""
        key = PerformedNote(0.0, seconds, seconds, pitch, velocity, channel, program)
        return self._play([key], 440.0, _block_at(seconds))

    def _play(self, notes: Sequence[PerformedNote], tuning_hz: float, last_block: int) -> NDArray[np.float32]:
        """Mono [n] from time 0 to ``last_block``."""
        synth, bank = self._fresh_synth(16)
        try:
            for channel, program in {n.channel: n.program for n in notes}.items():
                self._select(synth, bank, channel, program)
                if channel != DRUM_CHANNEL:
                    synth.pitch_bend(channel, round(6.0 * 8192.0 * np.log2(tuning_hz / 440.0)))
            return _play(synth, notes, last_block)
        finally:
            synth.delete()

    def _in_time(self, notes: Sequence[PerformedNote]) -> list[PerformedNote]:
        """The notes of one channel in order, struck earlier by what their sound takes to be heard."""
        if notes[0].channel == DRUM_CHANNEL:
            return list(notes)
        program = notes[0].program
        if program not in self._attacks_s:
            self._attacks_s[program] = self._measure_attacks(program)
        late_s = np.interp([n.pitch for n in notes], _PROBED_PITCHES, self._attacks_s[program])
        early: list[PerformedNote] = []
        next_s: dict[int, float] = {}
        for note, late in zip(reversed(notes), late_s[::-1], strict=True):
            onset_s = max(note.onset_s - float(late), 0.0)
            end_s = min(note.sounding_end_s, next_s.get(note.pitch, np.inf) - _REPEAT_GAP_SECONDS)
            early.append(replace(note, onset_s=onset_s, sounding_end_s=max(end_s, onset_s)))
            next_s[note.pitch] = onset_s
        return early[::-1]

    def _measure_attacks(self, program: int) -> NDArray[np.float64]:
        """Seconds from key to sound [pitches probed]; of pitches that the program has not, those of its others."""
        attacks_s = np.full(len(_PROBED_PITCHES), np.nan)
        blocks = _block_at(_ATTACK_SECONDS)
        synth, bank = self._fresh_synth(16)
        try:
            self._select(synth, bank, 0, program)
            for index, pitch in enumerate(_PROBED_PITCHES):
                left, right = np.zeros((2, (blocks + 2) * _SYNTH_BLOCK_SAMPLES), dtype=np.float32)
                synth.noteon(0, pitch, _PROBE_VELOCITY)
                _write(synth, left, right, 0, blocks)
                synth.all_sounds_off(0)
                _write(synth, left, right, blocks, blocks + 2)
                heard = np.abs(left + right)[: blocks * _SYNTH_BLOCK_SAMPLES]
                if heard.max() > _SILENCE:
                    attacks_s[index] = np.argmax(heard > _AUDIBLE_RATIO * heard.max()) / SAMPLE_RATE_HZ
        finally:
            synth.delete()
        sounds = ~np.isnan(attacks_s)
        if not sounds.any():
            return np.zeros(len(attacks_s))
        filled: NDArray[np.float64] = np.interp(np.arange(len(attacks_s)), np.flatnonzero(sounds), attacks_s[sounds])
        return filled

    def _select(self, synth: Any, bank: int, channel: int, program: int) -> None:
        """Puts a program on a channel, and once for all on the keeper."""
        drums = channel == DRUM_CHANNEL
        wanted = (program, drums)
        if wanted not in self._kept:
            self._program(self._keeper, self._keeper_bank, len(self._kept) % _KEEPER_CHANNELS, program, drums)
            self._kept.append(wanted)
        self._program(synth, bank, channel, program, drums)

    def _program(self, synth: Any, bank: int, channel: int, program: int, drums: bool) -> None:
        if synth.program_select(channel, bank, 128 if drums else 0, program) != 0:
            what = f"drum kit {program}" if drums else f"General MIDI program {program}"
            raise ValueError(f"{self._soundfont} has no {what}: give another soundfont")

    def _fresh_synth(self, channels: int) -> tuple[Any, int]:
        synth = _fluidsynth().Synth(
            gain=_SYNTH_GAIN,
            samplerate=float(SAMPLE_RATE_HZ),
            channels=channels,
            **{
                "synth.reverb.active": 0,
                "synth.chorus.active": 0,
                "synth.dynamic-sample-loading": 1,
                "synth.polyphony": 512,
            },
        )
        bank = synth.sfload(str(self._soundfont))
        if bank < 0:
            synth.delete()
            raise ValueError(f"FluidSynth cannot read {self._soundfont}: give another soundfont")
        return synth, bank


def normalise(audio: NDArray[np.float32], level_dbfs: float) -> NDArray[np.float32]:
    """Audio at an RMS level, or as loud as its peak allows."""
    rms = float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
    peak = float(np.abs(audio).max())
    gain = min(10.0 ** (level_dbfs / 20.0) / rms, PEAK_LIMIT / peak)
    return (audio * np.float32(gain)).astype(np.float32)


def faded_out(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Audio with a short fade at its end, where a room may still sound."""
    fade = np.ones(len(audio), dtype=np.float32)
    samples = min(len(audio), round(FADE_SECONDS * SAMPLE_RATE_HZ))
    fade[len(audio) - samples :] = np.linspace(1.0, 0.0, samples, dtype=np.float32)
    return audio * fade


def with_noise(audio: NDArray[np.float32], noise_dbfs: float, seed: int) -> NDArray[np.float32]:
    """Audio over white noise of an RMS level."""
    noise = np.random.default_rng(seed).standard_normal(len(audio), dtype=np.float32)
    return audio + np.float32(10.0 ** (noise_dbfs / 20.0)) * noise


def _play(synth: Any, notes: Sequence[PerformedNote], last_block: int) -> NDArray[np.float32]:
    events = sorted(
        [(_block_at(n.onset_s), 1, n.channel, n.pitch, n.velocity) for n in notes]
        + [(_block_at(n.sounding_end_s), 0, n.channel, n.pitch, 0) for n in notes]
    )
    left, right = np.zeros((2, last_block * _SYNTH_BLOCK_SAMPLES), dtype=np.float32)
    now = 0
    for block, strikes, channel, pitch, velocity in events:
        if block > now:
            _write(synth, left, right, now, block)
            now = block
        if strikes:
            synth.noteon(channel, pitch, velocity)
        else:
            synth.noteoff(channel, pitch)
    _write(synth, left, right, now, last_block)
    return (left + right) / np.float32(2.0)


def _write(synth: Any, left: NDArray[np.float32], right: NDArray[np.float32], start: int, stop: int) -> None:
    """Fills blocks ``start`` to ``stop`` of both channels with what the synthesizer plays next, in floats."""
    first = start * _SYNTH_BLOCK_SAMPLES
    _fluidsynth()._fl.fluid_synth_write_float(
        c_void_p(synth.synth),
        c_int((stop - start) * _SYNTH_BLOCK_SAMPLES),
        left.ctypes.data_as(c_void_p),
        c_int(first),
        c_int(1),
        right.ctypes.data_as(c_void_p),
        c_int(first),
        c_int(1),
    )


def _block_at(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ / _SYNTH_BLOCK_SAMPLES)


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
