"""The shipped piano made narrow: its sound, splits, sampling and phrase, but few hidden units and random weights.

For laws that hold whatever a model has learnt: a take costs a fraction, most of it the vocoder's. Unlike the piano it
plans no notes by itself, which costs every daemon half a second and few laws are about.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import torch
from tiny_models import tiny_weights

from melnet_music.model.config import read_preset_config
from melnet_music.model.preset import CONFIG_FILE, PHRASE_FILE, STATISTICS, WEIGHTS_FILE, load_preset, write_weights

HIDDEN = 16


def write_narrow_piano(parent: Path, *, plans: bool = False) -> Path:
    """Write it as the preset folder ``piano``.

    The statistics of the frames are the shipped ones, so that what it makes is about as loud as music.
    """
    shipped, folder = load_preset("piano"), parent / "piano"
    folder.mkdir()
    text = (shipped.path / CONFIG_FILE).read_text()
    text = re.sub(r"hidden = \d+", f"hidden = {HIDDEN}", text)
    text = re.sub(r"plan = \w+", f"plan = {str(plans).lower()}", text)
    (folder / CONFIG_FILE).write_text(re.sub(r"layers = \d+", "layers = 1", text))
    weights = tiny_weights(read_preset_config(folder / CONFIG_FILE).model, shipped.mel_bins)
    weights |= {name: shipped.weights[name] for name in STATISTICS}
    write_weights(folder / WEIGHTS_FILE, {name: torch.from_numpy(array) for name, array in weights.items()})
    shutil.copy(shipped.path / PHRASE_FILE, folder)
    return folder
