"""Brings instruments of unequal loudness into balance: each is measured while it plays, and set to a wished level."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from melnet_music.composing.rendering.equaliser import Band, equalise

BLOCK_SECONDS = 0.4
GATE_DB = -15.0
"""Blocks softer than the loudest by more are taken for rests."""
HEAD = (Band("high shelf", 1700.0, 4.0),)


def loudness_db(audio: NDArray[np.float32], rate_hz: int) -> float:
    """Loudness of the audio [n] where it plays, in dB; about the measure of ITU-R BS.1770 (weighting, gated blocks)."""
    weighted = sosfilt(low_cut(rate_hz), equalise(audio, HEAD, rate_hz))
    block = round(BLOCK_SECONDS * rate_hz)
    blocks = weighted[: len(weighted) // block * block].reshape(-1, block)
    energy = np.mean(np.square(blocks), axis=1)
    loud = energy[energy > energy.max(initial=0.0) * 10.0 ** (GATE_DB / 10.0)]
    return float(10.0 * np.log10(loud.mean())) if len(loud) else -np.inf


def at_level(audio: NDArray[np.float32], rate_hz: int, level_db: float) -> NDArray[np.float32]:
    """The audio at a loudness; silence stays what it is."""
    now_db = loudness_db(audio, rate_hz)
    return audio if np.isinf(now_db) else audio * np.float32(10.0 ** ((level_db - now_db) / 20.0))


@cache
def low_cut(rate_hz: int) -> NDArray[np.float64]:
    sections: NDArray[np.float64] = butter(2, 50.0, "highpass", fs=rate_hz, output="sos")
    return sections
