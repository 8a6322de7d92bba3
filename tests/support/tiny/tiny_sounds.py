"""One-shots small enough to render from within a test: decaying sines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ = 44100
PITCHES, VELOCITIES = (48, 60, 72), (40, 100)


def sine(pitch: int, velocity: int, seconds: float = 0.8, decay_s: float = 0.4) -> NDArray[np.float32]:
    """A cosine of the pitch's frequency, as loud as the velocity: its first sample is its loudest."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    hz = 440.0 * 2.0 ** ((pitch - 69) / 12)
    return (velocity / 200 * np.exp(-time_s / decay_s) * np.cos(2 * np.pi * hz * time_s)).astype(np.float32)


def write_one_shots(folder: Path, *, decay_s: float = 0.4) -> Path:
    """An instrument's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for pitch in PITCHES:
        for velocity in VELOCITIES:
            soundfile.write(
                folder / f"{pitch}_{velocity}.flac", sine(pitch, velocity, decay_s=decay_s), RATE_HZ, subtype="PCM_24"
            )
    return folder


def write_sounds(root: Path) -> Path:
    """A folder of sounds: two pianos, and three voices, one of them a drum kit."""
    for number, name in enumerate(("bright", "dark")):
        write_one_shots(root / "pianos" / name, decay_s=0.3 + 0.2 * number)
    for program in (0, 40, 128):
        write_one_shots(root / "voices" / str(program), decay_s=0.2 + program / 100)
    return root
