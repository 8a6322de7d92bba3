"""What a model in training sounds like: a continuation of held-out music by the weights as they are now."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.model.config import PresetConfig
from melnet_music.model.preset import Preset
from melnet_music.sampling import DEFAULT_ENGINE, ENGINES
from melnet_music.sound.mel import log_mel
from melnet_music.training.material.device_works import AnyWorks
from melnet_music.training.tier_weights import collect_weights

PROMPT_SECONDS, NEW_SECONDS = 4.0, 6.0
_MOST_MULTIPLICATIONS = 2e7
"""Weights of a model that is still sampled: larger ones would hold up the training."""

Samples = npt.NDArray[np.float32]


def draw_sample(
    config: PresetConfig, out: Path, start_from: dict[str, Tensor] | None, valid: AnyWorks, seed: int
) -> tuple[Samples, Samples] | None:
    """A continuation, log-mel ``[T, M]`` and audio ``[n]`` with the prompt before it; None while it cannot be made.

    Tiers not trained yet take their weights from ``start_from``.
    """
    try:
        weights = {**(start_from or {}), **collect_weights(out, config, known=start_from)}
    except ValueError:
        return None  # some tier has not come so far
    if sum(tensor.numel() for tensor in weights.values()) > _MOST_MULTIPLICATIONS:
        return None
    arrays = {name: tensor.float().cpu().numpy() for name, tensor in weights.items()}
    preset = Preset("in-training", out, config, arrays, digest="")
    instrument = Instrument(preset, ENGINES[DEFAULT_ENGINE](preset, 1))
    try:
        start_s = len(valid[0].log_mel) / config.sound.frames_per_second / 3
        instrument.hear(valid[0].read_audio(start_s, start_s + PROMPT_SECONDS))
        request = TakeRequest(seconds=NEW_SECONDS, seed=seed, lead_seconds=PROMPT_SECONDS)
        audio = np.concatenate(list(instrument.continuation(request)))
    finally:
        instrument.engine.close()
    return log_mel(audio, config.sound), audio
