"""The ear's weights: their names and shapes, and the file that holds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melnet_music.model.preset import read_weights
from melnet_music.notes.ear.config import EarConfig
from melnet_music.notes.ear.layout import PITCHES, PLACES

OUTPUTS = 4
"""Logits that a note begins and that it sounds, its velocity as a logit, and by how many frames it began later."""

Weights = dict[str, NDArray[np.float32]]


def weight_shapes(config: EarConfig) -> dict[str, tuple[int, ...]]:
    """What a file of weights must hold."""
    net, bins, context = config.network, config.sound.mel_bins, config.network.context_frames
    shapes: dict[str, tuple[int, ...]] = {
        "mean": (bins,),
        "deviation": (1,),
        "pitch": (PITCHES, net.spectrum),
        "spectrum.weight": (net.spectrum, context * PLACES),
        "told": (net.told, 2 * PITCHES - 1),
        "told_again": (net.told, 2 * PITCHES - 1),
        "memory.weight_ih_l0": (3 * net.memory, net.memory),
        "memory.weight_hh_l0": (3 * net.memory, net.memory),
        "memory.bias_ih_l0": (3 * net.memory,),
        "memory.bias_hh_l0": (3 * net.memory,),
    }
    for name, inputs, outputs in (
        ("overview", context * bins, net.overview),
        ("overview_out", net.overview, net.spectrum),
        ("tell", net.spectrum, net.told),
        ("mix", net.spectrum + net.told, net.memory),
        ("tell_again", net.memory, net.told),
        ("judge", net.memory + net.told, net.memory),
        ("outlet", net.memory, OUTPUTS),
    ):
        shapes |= {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
    return shapes


def read_ear_weights(path: Path, config: EarConfig) -> Weights:
    """The weights of a file, in float32.

    Raises:
        ValueError: it cannot be read, or does not fit the settings.
    """
    weights = read_weights(path)
    wanted = weight_shapes(config)
    if set(weights) != set(wanted):
        (odd, *_) = sorted(set(weights) ^ set(wanted))
        raise ValueError(
            f"{path} {'lacks' if odd in wanted else 'holds'} {odd}: it belongs to another ear; train again"
        )
    for name, shape in wanted.items():
        if weights[name].shape != shape:
            raise ValueError(f"{path}: {name} has shape {weights[name].shape}, ear.toml wants {shape}")
        if not np.isfinite(weights[name]).all():
            raise ValueError(f"{path}: {name} holds values that are not finite")
    return weights
