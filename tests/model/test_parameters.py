from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from melnet_music.model.config import Axis, CellName, ModelConfig, TierConfig, read_preset_config
from melnet_music.model.network import MelNet
from melnet_music.model.parameters import parameter_shapes
from melnet_music.model.preset import CONFIG_FILE, PresetInfo, list_presets


def assert_shapes_are_those_of_the_model(config: ModelConfig, mel_bins: int) -> None:
    with torch.device("meta"):
        model = MelNet(config, mel_bins)
    assert parameter_shapes(config, mel_bins) == {n: tuple(tensor.shape) for n, tensor in model.state_dict().items()}


@st.composite
def models(draw: st.DrawFn) -> ModelConfig:
    splits: list[Axis] = draw(st.lists(st.sampled_from(["time", "frequency"]), max_size=3))
    tier = st.builds(  # centralized stacks of the same width as the others, of another, and none
        TierConfig, hidden=st.integers(2, 3), layers=st.integers(1, 3), centralized_hidden=st.integers(0, 3)
    )
    cell: CellName = draw(st.sampled_from(["mingru", "gru", "lstm"]))
    return ModelConfig(
        cell=cell,
        components=draw(st.integers(1, 3)),
        splits=tuple(splits),
        tiers=tuple(draw(tier) for _ in range(len(splits) + 1)),
        bin_embedding=draw(st.booleans()),
        future_conditioning=draw(st.booleans()),
        note_conditioning=draw(st.booleans()),
    )


@settings(max_examples=40, deadline=None)
@given(config=models())
def test_the_shapes_are_those_of_the_model(config: ModelConfig) -> None:
    assert_shapes_are_those_of_the_model(config, 8)


@pytest.mark.parametrize("preset", list_presets(), ids=lambda preset: preset.name)
def test_the_shapes_are_those_of_every_presets_model(preset: PresetInfo) -> None:
    config = read_preset_config(preset.path / CONFIG_FILE)
    assert_shapes_are_those_of_the_model(config.model, config.sound.mel_bins)
