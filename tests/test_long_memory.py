"""The shipped models after minutes of listening: they find music as likely as when they have heard a little of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from melnet_music.audio_file import read_audio
from melnet_music.conditioning import NOTHING_KNOWN
from melnet_music.mel import log_mel
from melnet_music.preset import PHRASE_FILE, list_presets, load_preset
from melnet_music.tiers import decompose

MINUTES_FRAMES, LITTLE_FRAMES, JUDGED_FRAMES = 8192, 512, 512
MOST_NATS = 0.05
"""A bin. A first tier that was trained on short clips alone lost 0.4 within a minute and a half."""


@torch.no_grad()
@pytest.mark.parametrize("name", [each.name for each in list_presets() if each.has_weights])
def test_minutes_of_listening_do_not_lead_astray(name: str) -> None:
    preset = load_preset(name)
    model, sound = preset.model(), preset.config.sound
    phrase = read_audio(preset.path / PHRASE_FILE).mono_at(sound.sample_rate_hz)
    once = log_mel(phrase, sound)
    frames = np.tile(once, (-(-(MINUTES_FRAMES + JUDGED_FRAMES) // len(once)), 1))[: MINUTES_FRAMES + JUDGED_FRAMES]
    x = model.normalise(torch.from_numpy(frames))[None]
    network, chunk = model.tier(0), model.tier_chunk(0, preset.config.sampling.chunk_frames)
    own = decompose(x, model.config)[0]
    channels = model.channels([], NOTHING_KNOWN, 1, len(frames))[0]
    stride = model.grids[0].stride_frames

    def nats(heard_frames: int) -> float:
        """Of the last frames, after so many."""
        judged = MINUTES_FRAMES // stride
        first = judged - heard_frames // stride
        heard, last = slice(first, judged), slice(judged, None)
        state = network.advance(own[:, heard], channels[:, heard], network.initial_state(1), chunk)
        mixed, _ = network(own[:, last], channels[:, last], state, chunk)
        return -mixed.log_prob(own[:, last]).mean().item()

    assert nats(MINUTES_FRAMES) < nats(LITTLE_FRAMES) + MOST_NATS
