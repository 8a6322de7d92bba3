"""The tiny preset that is measured, and few repetitions: what is tested are no figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.numpy import save_file
from tiny_bench import PRESET, random_weights

from melnet_music.bench import takes
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


@pytest.fixture(scope="package", autouse=True)
def few_repetitions() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(takes, "_CHUNKS", 6)
        patch.setattr(takes, "_TRIALS", 4)
        yield
