"""What is played to the daemon."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import soundfile
from jack_rig import RATE_HZ

from melnet_music.composing.make_data import make_data
from melnet_music.model.preset import PHRASE_FILE, find_preset
from tests.figures.support.heard import Samples, sound_of
from tests.figures.support.served_daemon import PRESET

PHRASE = find_preset(PRESET) / PHRASE_FILE
_FLOOR = 1e-4


def bars_of_phrase(folder: Path, bar_samples: int) -> tuple[Path, Samples]:
    """The preset's phrase at RATE_HZ, filled up to whole bars, over a hiss of -80 dB: no two of its parts are equal."""
    sound = sound_of(PHRASE)
    whole = np.zeros(math.ceil(len(sound) / bar_samples) * bar_samples, np.float32)
    whole[: len(sound)] = sound
    whole += np.random.default_rng(1).uniform(-_FLOOR, _FLOOR, len(whole)).astype(np.float32)
    soundfile.write(folder / "phrase.wav", whole, RATE_HZ, subtype="FLOAT")
    return folder / "phrase.wav", whole


def composed_piece(folder: Path) -> Path:
    """More than a minute of piano music that the preset was not trained on, at RATE_HZ; the same every time."""
    make_data(folder / "composed", hours=0.005, seed=77, processes=1)
    (work,) = (folder / "composed").rglob("*.flac")
    soundfile.write(folder / "piece.wav", sound_of(work), RATE_HZ, subtype="FLOAT")
    return folder / "piece.wav"
