"""An instrument with an ear with weights at random, for the player's processes of a test."""

from __future__ import annotations

import numpy as np
from tiny_ear import EAR_CONFIG

from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.model.config import SoundConfig
from melnet_music.notes.ear.ear import Ear
from melnet_music.notes.ear.weights import weight_shapes

__all__ = ["HEARING", "TakeRequest", "load"]

HEARING = "hearing_piano:load"
"""As ``factory`` of `live_daemon`."""


def load(preset: str, *, engine: str, threads: int | None) -> Instrument:
    """A preset with an ear for its sound, which tells some notes a second, of the sound though hardly in it."""
    instrument = Instrument.load(preset, engine=engine, threads=threads)
    instrument.use_ear(_random_ear(instrument.sound))
    return instrument


def _random_ear(sound: SoundConfig) -> Ear:
    config, rng = EAR_CONFIG.model_copy(update={"sound": sound}), np.random.default_rng(0)
    weights = {name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in weight_shapes(config).items()}
    weights["outlet.bias"][:] = -1.0, 1.0, 0.0, 0.0
    weights |= {"mean": np.full(sound.mel_bins, -5.0, np.float32), "deviation": np.full(1, 2.0, np.float32)}
    return Ear(config, weights)
