from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import BaseModel
from safetensors.torch import load_file, save_file
from tiny_models import tiny_model
from torch import Tensor

from melnet_music.model.cells import CELLS
from melnet_music.model.conditioning import NOTHING_KNOWN
from melnet_music.model.config import (
    CellName,
    ModelConfig,
    PresetConfig,
    SamplingConfig,
    SoundConfig,
    TierConfig,
    TierTraining,
    TrainingConfig,
    parse_preset_config,
    read_preset_config,
)
from melnet_music.model.network import MelNet
from melnet_music.model.preset import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    Preset,
    find_preset,
    list_presets,
    load_preset,
    read_weights,
    write_weights,
)
from melnet_music.model.tiers import decompose, tier_grids
from melnet_music.sampling.engine import Chunk, Sharpness, generate, take_noise
from melnet_music.sampling.reference import ReferenceEngine

PRESET = """
title = "Tiny"
licence = "CC0-1.0"

[sound]
n_fft = 512
window_samples = 512
hop_samples = 256
mel_bins = 8

[model]
splits = ["frequency", "time"]
tiers = [{ hidden = 4, layers = 2, centralized_hidden = 3 }, { hidden = 4, layers = 1 }, { hidden = 4, layers = 1 }]
components = 3

[sampling]

[training]
tiers = [
    { learning_rate = 1e-3, minutes = 1 },
    { learning_rate = 1e-3, minutes = 1 },
    { learning_rate = 1e-3, minutes = 1 },
]
"""
SECTIONS: dict[str, type[BaseModel]] = {
    "": PresetConfig,
    "sound": SoundConfig,
    "model": ModelConfig,
    "model.tiers.0": TierConfig,
    "sampling": SamplingConfig,
    "training": TrainingConfig,
    "training.tiers.2": TierTraining,
}
KEYS = [(section, key) for section, schema in SECTIONS.items() for key in schema.model_fields]


def raw_preset() -> dict[str, Any]:
    return tomllib.loads(PRESET)


def section_of(raw: Any, section: str) -> dict[str, Any]:
    for part in section.split(".") if section else ():
        raw = raw[int(part) if part.isdecimal() else part]
    found: dict[str, Any] = raw
    return found


def with_value(section: str, key: str, value: Any) -> dict[str, Any]:
    raw = raw_preset()
    section_of(raw, section)[key] = value
    return raw


# ---- the schema ----


@pytest.mark.parametrize(("section", "key"), KEYS, ids=lambda part: part or "preset")
@pytest.mark.parametrize(
    "mistype",
    [lambda key: key + "s", lambda key: key[:-1], lambda key: "_" + key],
    ids=["longer", "shorter", "prefixed"],
)
def test_a_mistyped_key_is_answered_with_the_right_one_and_all_valid_ones(
    section: str, key: str, mistype: Callable[[str], str]
) -> None:
    wrong = ".".join(filter(None, [section, mistype(key)]))
    with pytest.raises(ValueError, match=r"^my\.toml: ") as failure:
        parse_preset_config(with_value(section, mistype(key), 1), "my.toml")
    valid = ", ".join(sorted(SECTIONS[section].model_fields))
    assert f"unknown key {wrong} (did you mean {key}?); valid here: {valid}" in str(failure.value)


def test_a_key_unlike_all_others_is_answered_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown key sampling\.zzz; valid here: bias, chunk_frames, "):
        parse_preset_config(with_value("sampling", "zzz", 1), "my.toml")


@pytest.mark.parametrize(("section", "key"), [pair for pair in KEYS if pair[0]])
@pytest.mark.parametrize("value", ["512", {}], ids=["string", "table"])
def test_a_value_of_another_type_is_refused(section: str, key: str, value: object) -> None:
    """A number in quotes is a string, not a number."""
    with pytest.raises(ValueError, match=rf"{section}\.{key}: .*got {str(value)!r}|{section}\.{key}: .*got \{{\}}"):
        parse_preset_config(with_value(section, key, value), "my.toml")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("sound", "mel_bins", 0),
        ("sound", "n_fft", 2048.5),
        ("sound", "hop_samples", True),
        ("sound", "fmin_hz", -1.0),
        ("sound", "magnitude_floor", 0.0),
        ("sound", "magnitude_floor", float("nan")),
        ("model", "cell", "rnn"),
        ("model", "splits", ["time", "octave"]),
        ("model", "split_keeps", "middle"),
        ("model", "log_sigma_floor", float("-inf")),
        ("model", "bin_embedding", 1),
        ("model.tiers.0", "hidden", -4),
        ("model.tiers.0", "layers", 0),
        ("model.tiers.0", "centralized_hidden", -1),
        ("sampling", "chunk_frames", 0),
        ("sampling", "temperature", 0),
        ("sampling", "temperature", 2.1),
        ("sampling", "bias", -0.1),
        ("training", "optimizer", "sgd"),
        ("training", "future_probability", 1.5),
        ("training", "chunk_frames", ["4"]),
        ("training", "chunk_frames", [4, 0]),
        ("training.tiers.2", "learning_rate", 0),
        ("training.tiers.2", "batch", 0),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_place(section: str, key: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^my\.toml: {section}\.{key}[.0-9]*: input should be .*got "):
        parse_preset_config(with_value(section, key, value), "my.toml")


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("sound", "window_samples", 1024, "window_samples 1024 is longer than n_fft 512"),
        ("sound", "hop_samples", 200, "window_samples 512 is not a multiple of hop_samples 200"),
        ("sound", "fmax_hz", 12000.0, "fmax_hz <= 11025, got 20 and 12000"),
        ("sound", "fmin_hz", 11025.0, "want fmin_hz < fmax_hz"),
        ("sound", "mel_bins", 9, "mel_bins 9 must be a multiple of 2, by the frequency splits"),
        ("model", "splits", ["time"], "1 splits make 2 tiers, but 3 are given"),
        (
            "sampling",
            "chunk_frames",
            7,
            "sampling.chunk_frames 7 must be a multiple of 2, by the time splits",
        ),
        (
            "training",
            "chunk_frames",
            [4, 5],
            "training.chunk_frames 5 must be a multiple of 2, by the time splits",
        ),
        (
            "training",
            "tiers",
            [{"learning_rate": 1.0, "minutes": 1}],
            "training.tiers lists 1 tiers, the model has 3",
        ),
    ],
)
def test_values_that_do_not_fit_together_are_refused(section: str, key: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=r"^my\.toml: ") as failure:
        parse_preset_config(with_value(section, key, value), "my.toml")
    assert message in str(failure.value)


def test_every_problem_is_named_at_once() -> None:
    raw = with_value("sound", "mel_bins", 0)
    raw["sampling"]["chunk_frame"] = 8
    del raw["title"]
    with pytest.raises(
        ValueError, match=r"title: field required; sound\.mel_bins: .*; unknown key sampling\.chunk_frame"
    ):
        parse_preset_config(raw, "my.toml")


def test_a_config_goes_through_json_unchanged() -> None:
    """As it does on its way to a training process."""
    config = parse_preset_config(raw_preset(), "my.toml")
    assert PresetConfig.model_validate(config.model_dump(mode="json")) == config


# ---- folders ----


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A preset with random weights."""
    (tmp_path / "tiny").mkdir()
    path = tmp_path / "tiny" / CONFIG_FILE
    path.write_text(PRESET)
    model = tiny_model(read_preset_config(path).model, dtype=torch.float32)
    model.mean.normal_()
    model.deviation.uniform_(0.5, 2)
    write_weights(path.with_name(WEIGHTS_FILE), model.state_dict())
    return path.parent


def edit_weights(folder: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    weights = load_file(folder / WEIGHTS_FILE)
    edit(weights)
    save_file(weights, folder / WEIGHTS_FILE)


def test_weights_come_back_as_they_were_written(folder: Path) -> None:
    """Rounded to bfloat16 once; the statistics exactly."""
    loaded = load_preset(folder)
    again = folder.with_name("again")
    again.mkdir()
    (again / CONFIG_FILE).write_text(PRESET)
    write_weights(again / WEIGHTS_FILE, loaded.model().state_dict())
    second = load_preset(again)
    assert (again / WEIGHTS_FILE).read_bytes() == (folder / WEIGHTS_FILE).read_bytes()
    assert second.digest == loaded.digest
    stored = load_file(folder / WEIGHTS_FILE)
    assert loaded.weights.keys() == second.weights.keys() == stored.keys()
    for name, array in loaded.weights.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, stored[name].float().numpy())
        assert np.array_equal(array, second.weights[name])
    assert loaded.name == "tiny"
    assert {str(stored[name].dtype) for name in ("mean", "deviation")} == {"torch.float32"}
    assert {str(t.dtype) for n, t in stored.items() if n not in ("mean", "deviation")} == {"torch.bfloat16"}
    assert [path.name for path in again.iterdir() if path.suffix == ".part"] == []


@pytest.mark.parametrize("cell", CELLS)
def test_a_presets_model_computes_with_its_weights_and_leaves_them_alone(cell: CellName) -> None:
    raw = raw_preset()
    raw["model"]["cell"] = cell
    config = parse_preset_config(raw, "my.toml")
    source = tiny_model(config.model, dtype=torch.float32)
    weights = {name: tensor.numpy().copy() for name, tensor in source.state_dict().items()}
    preset = Preset("mine", Path("mine"), config, weights, "")
    generator_state = torch.get_rng_state()
    model = preset.model()
    assert torch.equal(torch.get_rng_state(), generator_state)
    assert not model.training
    x = torch.linspace(-1, 1, 8 * preset.mel_bins).view(1, 8, preset.mel_bins)
    for mine, expected in zip(model.log_prob(x), source.log_prob(x), strict=True):
        assert torch.equal(mine, expected)
    for tensor in model.state_dict().values():
        tensor.zero_()
    for name, tensor in source.state_dict().items():
        assert np.array_equal(weights[name], tensor.numpy())


def test_the_digest_follows_config_and_weights(folder: Path) -> None:
    digests = {load_preset(folder).digest}
    (folder / CONFIG_FILE).write_text(PRESET.replace("[sampling]", "[sampling]\nbias = 0.1"))
    digests.add(load_preset(folder).digest)
    edit_weights(folder, lambda weights: weights["mean"].add_(1e-6))
    digests.add(load_preset(folder).digest)
    assert len(digests) == 3
    assert all(len(digest) == 16 for digest in digests)


def test_whether_it_plans_changes_no_take_and_no_digest(folder: Path) -> None:
    before = load_preset(folder)
    (folder / CONFIG_FILE).write_text(PRESET.replace("[sampling]", "[sampling]\nplan = true"))
    after = load_preset(folder)
    assert (before.config.sampling.plan, after.config.sampling.plan) == (False, True)
    assert after.digest == before.digest


def test_only_a_model_that_plays_notes_plans_them() -> None:
    raw = with_value("sampling", "plan", True)
    assert parse_preset_config(raw, "my.toml").sampling.plan
    raw["model"]["note_conditioning"] = False
    with pytest.raises(ValueError, match=r"sampling\.plan .* without note_conditioning"):
        parse_preset_config(raw, "my.toml")


def test_the_shipped_presets_plan_and_the_papers_does_not() -> None:
    plans = {info.name: read_preset_config(info.path / CONFIG_FILE).sampling.plan for info in list_presets()}
    assert plans == {"music": True, "paper-maestro": False, "piano": True}


def test_a_preset_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    for missing in ("pianoo", tmp_path / "nothing", tmp_path):
        with pytest.raises(ValueError, match=r"no preset .*preset\.toml, or one of .*paper-maestro, piano") as failure:
            load_preset(missing)
        assert str(missing) in str(failure.value)


def test_a_preset_without_weights_says_how_to_make_them(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(ValueError, match=r"'tiny' has no weights\.safetensors in .*melnet-music train"):
        load_preset(folder)
    first, same, other = (
        load_preset(folder, untrained_seed=seed).weights["tiers.0.outlet.weight"] for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("kept_bytes", [0, 4, 500, -1])
def test_truncated_weights_are_refused(folder: Path, kept_bytes: int) -> None:
    path = folder / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(ValueError, match=r"weights\.safetensors is not a whole safetensors file .*truncated"):
        load_preset(folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda w: w.update(mean=torch.zeros(9)), r"mean has shape \(9,\), preset.toml wants \(8,\)"),
        (
            lambda w: w.pop("tiers.1.outlet.bias"),
            r"lacks tiers\.1\.outlet\.bias; it was trained for another preset\.toml",
        ),
        (lambda w: w.update(extra=torch.zeros(1)), r"holds extra, which preset\.toml has no place for"),
        (
            lambda w: w["tiers.2.outlet.weight"][0].fill_(torch.nan),
            r"tiers\.2\.outlet\.weight holds values that are not finite",
        ),
        (
            lambda w: w["tiers.2.outlet.weight"][0].fill_(torch.inf),
            r"tiers\.2\.outlet\.weight holds values that are not finite",
        ),
        (lambda w: w.update(mean=w["mean"].half()), r"mean is stored as F16, want BF16 or F32"),
    ],
    ids=["shape", "missing", "surplus", "nan", "infinity", "type"],
)
def test_wrong_weights_are_refused_by_name(
    folder: Path, edit: Callable[[dict[str, Tensor]], object], message: str
) -> None:
    edit_weights(folder, edit)
    with pytest.raises(ValueError, match=rf"weights\.safetensors:? {message}"):
        load_preset(folder)


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_deviation_that_cannot_be_divided_by_is_refused(folder: Path, value: float) -> None:
    edit_weights(folder, lambda weights: weights["deviation"][3:4].fill_(value))
    with pytest.raises(ValueError, match=r"weights\.safetensors: deviation .* positive"):
        load_preset(folder)


@pytest.mark.parametrize("content", [b"title = ", b"\xff\xfe", b"\x00"])
def test_a_config_that_is_no_toml_is_refused(folder: Path, content: bytes) -> None:
    (folder / CONFIG_FILE).write_bytes(content)
    with pytest.raises(ValueError, match=r"preset\.toml is not valid TOML: "):
        load_preset(folder)


def test_a_missing_config_or_weights_file_is_a_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no preset file at"):
        read_preset_config(tmp_path / CONFIG_FILE)
    with pytest.raises(ValueError, match=WEIGHTS_FILE):
        read_weights(tmp_path / WEIGHTS_FILE)


# ---- what comes with the program ----


@pytest.mark.parametrize("preset", list_presets(), ids=lambda preset: preset.name)
def test_every_bundled_preset_parses_and_its_weights_fit(preset: Any) -> None:
    assert find_preset(preset.name) == preset.path
    config = read_preset_config(preset.path / CONFIG_FILE)
    assert config.title == preset.title
    if preset.has_weights:
        assert load_preset(preset.name).mel_bins == config.sound.mel_bins
    else:
        with torch.device("meta"):
            MelNet(config.model, config.sound.mel_bins)


def test_paper_maestro_is_the_papers_music_configuration() -> None:
    """Vasquez & Lewis 2019, table 1."""
    config = read_preset_config(find_preset("paper-maestro") / CONFIG_FILE)
    sound, model = config.sound, config.model
    assert (sound.sample_rate_hz, sound.mel_bins, sound.hop_samples, sound.window_samples) == (
        22050,
        256,
        256,
        1536,
    )
    assert (model.cell, model.components, model.split_keeps, model.sigma) == ("lstm", 10, "first", "exp")
    assert [tier.layers for tier in model.tiers] == [16, 6, 5, 4]
    assert {tier.hidden for tier in model.tiers} == {512}
    assert [tier.centralized_hidden > 0 for tier in model.tiers] == [True, False, False, False]
    departures = ("bin_embedding", "future_conditioning", "note_conditioning", "chunked_lookahead")
    assert not any(getattr(model, name) for name in departures)
    assert config.training.optimizer == "rmsprop"
    assert {tier.learning_rate for tier in config.training.tiers} == {1e-4}
    with torch.device("meta"):
        whole = MelNet(model, sound.mel_bins)
    assert sum(weights.numel() for weights in whole.parameters()) == 355_336_312
    assert whole.tier(0).extractor is None
    assert [grid.bins for grid in tier_grids(model, 256)] == [64, 64, 128, 128]


def test_paper_maestro_takes_a_training_step_and_samples() -> None:
    """All its weights, on 16 bins and one pair of frames: the weights hardly depend on the number of bins."""
    config = read_preset_config(find_preset("paper-maestro") / CONFIG_FILE)
    torch.manual_seed(0)
    with torch.device("meta"):
        model = MelNet(config.model, 16)
    model = model.to_empty(device="cpu")
    drawn = torch.empty(9973).uniform_(-0.05, 0.05)  # again and again: to draw each weight takes ten seconds
    for weights in model.parameters():
        for part in weights.data.view(-1).split(len(drawn)):
            part.copy_(drawn[: len(part)])
    model.mean.zero_()
    model.deviation.fill_(1.0)
    x = torch.randn(1, 2, 16)
    own = decompose(x, config.model)
    for g, channels in enumerate(model.channels(own[:-1], NOTHING_KNOWN, 1, 2)):
        tier = model.tier(g)
        optimizer = torch.optim.RMSprop(tier.parameters(), config.training.tiers[g].learning_rate, momentum=0.9)
        before = tier.outlet.weight.detach().clone()
        loss = -tier(own[g], channels)[0].log_prob(own[g]).mean()
        loss.backward()
        assert all(weights.grad is not None for weights in tier.parameters())
        optimizer.step()
        optimizer.zero_grad()
        assert torch.isfinite(loss)
        assert not torch.equal(tier.outlet.weight, before)
    engine = ReferenceEngine(model)
    frames, _ = generate(engine, engine.init_state(), Chunk(take_noise(0, 0, 2, 16), Sharpness()))
    assert frames.shape == (1, 2, 16)
    assert np.isfinite(frames).all()
