"""The shipped models play on for ten seconds without losing their way; `evaluate` listens for minutes."""

from __future__ import annotations

import numpy as np
import pytest

from melnet_music.evaluation.long_takes import MEASURES, windows
from melnet_music.evaluation.measures.descriptors import describe
from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.model.preset import PHRASE_FILE, list_presets
from melnet_music.sound.audio_file import read_audio

BRIGHTEST_HZ = 2500.0
"""A first tier that was trained on short clips alone came to noise of 3 to 6 kHz, and to silence."""
SOFTEST_DBFS, LOUDEST_DBFS = -50.0, -8.0


@pytest.mark.parametrize("name", [each.name for each in list_presets() if each.has_weights])
def test_a_long_take_stays_music(name: str) -> None:
    instrument = Instrument.load(name)
    instrument.hear(read_audio(instrument.preset_folder / PHRASE_FILE).mono_at(instrument.sample_rate_hz))
    take = np.concatenate(list(instrument.continuation(TakeRequest(10.0, seed=1))))
    measured = dict(zip(MEASURES, windows(describe(take, instrument.sample_rate_hz)).T, strict=True))
    assert measured["brightness"].max() < BRIGHTEST_HZ
    assert measured["level"].min() > SOFTEST_DBFS
    assert measured["level"].max() < LOUDEST_DBFS
