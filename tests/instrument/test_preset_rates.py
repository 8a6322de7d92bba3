"""Presets of other rates than those that are shipped: a model of one's own goes on playing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from chords import chords
from tiny_models import tiny_config, tiny_model

from bridge.cli.main import main
from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.model.preset import CONFIG_FILE, WEIGHTS_FILE, write_weights

MEL_BINS = 32
QUIET = -5.0
"""Mean of the log-mel frames: the sound stays far from full scale, and is not clipped."""
UNSAID_HZ = 22050
"""Of a preset that does not say it."""
SOUNDS = {
    UNSAID_HZ: "",
    16000: "sample_rate_hz = 16000\nn_fft = 1024\nwindow_samples = 1024\nhop_samples = 256\nfmax_hz = 8000.0",
    44100: "sample_rate_hz = 44100\nn_fft = 3072\nwindow_samples = 3072\nhop_samples = 768\nfmax_hz = 20000.0",
    48000: "sample_rate_hz = 48000\nn_fft = 4096\nwindow_samples = 4096\nhop_samples = 1024\nfmax_hz = 20000.0",
}


@pytest.fixture(params=SOUNDS, ids=str)
def preset(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[int, Path]:
    """A rate, and the folder of a preset of that rate with random weights."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / CONFIG_FILE).write_text(f"""
title = "Own"
licence = "none"
[sound]
mel_bins = {MEL_BINS}
{SOUNDS[request.param]}
[model]
components = 3
splits = ["frequency"]
tiers = [{{ hidden = 8, layers = 1 }}, {{ hidden = 8, layers = 1 }}]
""")
    config = tiny_config(hidden=8, splits=("frequency",))
    model = tiny_model(config, mel_bins=MEL_BINS, dtype=torch.float32)
    model.mean = torch.full((MEL_BINS,), QUIET)
    write_weights(folder / WEIGHTS_FILE, model.state_dict())
    return request.param, folder


def test_it_is_loaded_and_plays_at_its_rate(preset: tuple[int, Path]) -> None:
    rate_hz, folder = preset
    instrument = Instrument.load(folder)
    assert instrument.sample_rate_hz == rate_hz
    music = chords(3.0, rate_hz)
    instrument.hear(music)
    take = np.concatenate(list(instrument.continuation(TakeRequest(0.5, seed=1, lead_seconds=3.0))))
    assert len(take) == len(music) + round(0.5 * rate_hz)
    kept = len(music) - instrument.crossfade_samples
    np.testing.assert_array_equal(take[:kept], music[:kept])
    assert 1e-3 < np.abs(take[len(music) :]).max() < 1.0
    painted = np.concatenate(list(instrument.inpainting(TakeRequest(1, seed=1), 1.0, 1.5)))
    assert len(painted) == round(1.5 * rate_hz) - rate_hz


def test_files_of_another_rate_are_gone_on_with_at_their_own(preset: tuple[int, Path], tmp_path: Path) -> None:
    _, folder = preset
    source, target = tmp_path / "in.flac", tmp_path / "out.flac"
    soundfile.write(source, chords(1.0, 32000), 32000)
    assert main(["continue", str(source), str(target), "--seconds", "0.5", "--preset", str(folder)]) == 0
    made, rate_hz = soundfile.read(target)
    assert (len(made), rate_hz) == (48000, 32000)
    assert np.abs(made[32000:]).max() > 1e-3
