"""Where in a frame a pitch is looked for: around its partials, and between them.

What is looked at is the same for all pitches, so that they can share their weights: a fifth heard at one place is heard
at every other (as in HPPNet, Wei et al. 2022, arXiv 2208.14339, there on a constant-Q transform).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from melnet_music.model.config import SoundConfig
from melnet_music.sound.mel_scale import mel_frequencies

LOWEST_PITCH, HIGHEST_PITCH = 21, 108
PITCHES = HIGHEST_PITCH - LOWEST_PITCH + 1
"""Those of a piano."""

_PARTIALS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 1.5, 2.5, 6.0, 7.0, 8.0, 10.0)
"""Times the fundamental; what sounds between the partials tells an octave from its lower note."""
_ASIDE_OF = 6
_ASIDE_BINS, _ASIDE_SEMITONES = 1.6, 0.5
"""On both sides of the first so many, two more places are looked at, so far off, whichever is further."""
PLACES = len(_PARTIALS) + 2 * _ASIDE_OF
"""Looked at for each pitch."""


@lru_cache(maxsize=8)
def places(sound: SoundConfig) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For each pitch and place, the mel bin below it and how far it lies towards the next: ``[P, PLACES]`` each."""
    centres = mel_frequencies(sound)[1:-1]
    bins = np.arange(len(centres))
    partial_hz = 440.0 * 2.0 ** ((np.arange(LOWEST_PITCH, HIGHEST_PITCH + 1) - 69) / 12)[:, None] * np.array(_PARTIALS)
    at = np.interp(partial_hz, centres, bins)
    step = 2.0 ** (_ASIDE_SEMITONES / 12)
    inner, inner_hz = at[:, :_ASIDE_OF], partial_hz[:, :_ASIDE_OF]
    lower = np.minimum(inner - _ASIDE_BINS, np.interp(inner_hz / step, centres, bins))
    upper = np.maximum(inner + _ASIDE_BINS, np.interp(inner_hz * step, centres, bins))
    place = np.clip(np.concatenate([at, lower, upper], 1), 0.0, len(centres) - 1.001)
    below = np.floor(place).astype(np.int64)
    towards = (place - below).astype(np.float32)
    below.setflags(write=False)
    towards.setflags(write=False)
    return below, towards


@lru_cache(maxsize=1)
def intervals() -> NDArray[np.int64]:
    """From each pitch to each: its place among all 2 P - 1 intervals, ``[P, P]``."""
    pitch = np.arange(PITCHES)
    table = pitch - pitch[:, None] + PITCHES - 1
    table.setflags(write=False)
    return table
