"""The tiny preset that is measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.numpy import save_file
from tiny_bench import PRESET, random_weights

from melnet_music.model.config import read_preset_config
from melnet_music.model.preset import CONFIG_FILE, WEIGHTS_FILE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("presets") / "tiny"
    folder.mkdir()
    (folder / CONFIG_FILE).write_text(PRESET)
    config = read_preset_config(folder / CONFIG_FILE)
    save_file(random_weights(config.model, config.sound.mel_bins), folder / WEIGHTS_FILE)
    return folder
