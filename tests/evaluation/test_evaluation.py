"""The whole evaluation of a tiny preset: the same every time, and whole where something is missing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import tiny_config, tiny_model
from tiny_recordings import RATE_HZ, write_recordings

from bridge.cli.evaluate import PARTS as CLI_PARTS
from bridge.cli.evaluate import SIZES as CLI_SIZES
from bridge.cli.main import main
from melnet_music.evaluation.evaluate import PARTS, QUICK_SIZES, Evaluation, Sizes, evaluate, rounded
from melnet_music.evaluation.likelihood import Likelihood
from melnet_music.model.preset import CONFIG_FILE, Preset, load_preset, write_weights
from melnet_music.training.data.features import load_works
from melnet_music.training.held_out import excerpt_nats, excerpts
from melnet_music.training.material.bin_statistics import bin_statistics

MODEL = tiny_config(splits=("time",), hidden=8, centralized_hidden=8)
TOML = f"""
title = "Tiny"
licence = "CC0-1.0"
[sound]
sample_rate_hz = {RATE_HZ}
n_fft = 512
window_samples = 480
hop_samples = 160
mel_bins = 8
fmax_hz = 4000.0
[model]
components = 3
splits = ["time"]
tiers = [{{ hidden = 8, layers = 1, centralized_hidden = 8 }}, {{ hidden = 8, layers = 1 }}]
[sampling]
chunk_frames = 4
[training]
chunk_frames = [4, 8]
"""
SECONDS = 24.0
"""Of a recording: room for a prompt and a continuation in each half."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_recordings(root, {"train": 2, "test": 2}, seconds=SECONDS)
    return root


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Preset:
    return make_preset(tmp_path_factory.mktemp("tiny"), data)


def make_preset(folder: Path, data: Path, toml: str = TOML) -> Preset:
    (folder / CONFIG_FILE).write_text(toml)
    model = tiny_model(MODEL, dtype=torch.float32)
    sound = load_preset(folder, untrained_seed=0).config.sound
    mean, deviation = bin_statistics(load_works(data, "train", sound), 0.3)
    model.mean, model.deviation = torch.from_numpy(mean), torch.from_numpy(deviation)
    write_weights(folder / "weights.safetensors", model.state_dict())
    return load_preset(folder)


def no_progress(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total


def measured(preset: Preset, data: Path, out: Path, **options: Any) -> tuple[Evaluation, dict[str, Any]]:
    evaluation = evaluate(preset, data, out, progress=no_progress, **{"sizes": QUICK_SIZES, **options})
    return evaluation, json.loads((out / "evaluation.json").read_text())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, preset: Preset, data: Path) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("out")
    return out, measured(preset, data, out, against=preset)[1]


def test_every_part_is_measured_and_says_on_how_much(whole: tuple[Path, dict[str, Any]]) -> None:
    out, found = whole
    parts = found["parts"]
    assert list(parts) == list(PARTS)
    assert not any("missing" in part for part in parts.values() if isinstance(part, dict))
    assert parts["likelihood"]["excerpts"] == 2
    assert parts["continuations"]["takes"] == 4
    assert parts["continuations"]["detection"]["notes"] > 10
    assert parts["long"]["takes"] == 2
    assert parts["inpainting"]["gaps"] == 2
    assert parts["notes"]["given"]["notes"] > 5
    assert parts["pictures"] == ["continuation-1.png"]
    assert (out / "evaluation.png").stat().st_size > 50_000
    assert {path.name for path in out.iterdir()} == {
        "evaluation.json", "evaluation.png", "continuation-1.png", "continuation-1.flac",
    }  # fmt: skip


def test_likelihoods_are_those_of_the_model_and_add_up(
    whole: tuple[Path, dict[str, Any]], preset: Preset, data: Path
) -> None:
    found = whole[1]["parts"]["likelihood"]
    works = load_works(data, "test", preset.config.sound)
    model = preset.model()
    sums = [excerpt_nats(model, tier, excerpts(works, model, 2), 8) for tier in (0, 1)]
    assert [tier["model"]["8"]["all"] for tier in found["tiers"]] == pytest.approx([s.per_bin for s in sums], rel=1e-4)
    assert [tier["model"]["8"]["loud"] for tier in found["tiers"]] == pytest.approx(
        [s.per_loud_bin for s in sums], rel=1e-4
    )
    for name, whole_grid in found["whole_grid"].items():
        tiers = [{**tier["model"], **tier["baselines"]}[name] for tier in found["tiers"]]
        shares = [tier["share_of_bins"] for tier in found["tiers"]]
        assert sum(shares) == pytest.approx(1)
        assert whole_grid["all"] == pytest.approx(
            sum(s * t["all"] for s, t in zip(shares, tiers, strict=True)), abs=1e-4
        )
    assert found["against"]["better_by"] == {"4": 0, "8": 0, "whole": 0}  # against itself
    assert found["against"]["whole_grid"] == {name: found["whole_grid"][name] for name in ("4", "8", "whole")}


def test_real_music_is_the_nearest_to_real_music(whole: tuple[Path, dict[str, Any]]) -> None:
    """An untrained model's noise is further from it than its own other half, in what is heard and when."""
    distances = whole[1]["parts"]["continuations"]["distances"]
    for name in ("frechet", "onset_rate"):
        assert distances[name]["real"] < distances[name]["generated"]
    found = whole[1]["parts"]["notes"]
    assert found["real"]["recall"] > found["given"]["recall"] + 0.3


def test_processes_change_nothing(
    whole: tuple[Path, dict[str, Any]], preset: Preset, data: Path, tmp_path: Path
) -> None:
    parts = ["conditioning", "pictures"]
    _, found = measured(preset, data, tmp_path, parts=parts, processes=2)
    assert found["parts"] == {part: whole[1]["parts"][part] for part in parts}
    for name in ("continuation-1.flac", "continuation-1.png"):
        assert (tmp_path / name).read_bytes() == (whole[0] / name).read_bytes()


def test_recordings_without_notes_are_measured_without_them(preset: Preset, tmp_path: Path) -> None:
    write_recordings(tmp_path / "data", {"train": 1, "test": 1}, seconds=SECONDS, with_notes=False)
    _, found = measured(preset, tmp_path / "data", tmp_path, parts=["conditioning", "notes"])
    assert found["parts"]["conditioning"]["future"]["excerpts"] == 2
    assert found["parts"]["conditioning"]["notes"] is None
    assert "no notes beside" in found["parts"]["conditioning"]["notes_missing"]
    assert "no held-out recording has notes" in found["parts"]["notes"]["missing"]


def test_a_preset_of_another_sound_is_not_compared(preset: Preset, data: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_preset(tmp_path / "other", data, TOML.replace("mel_bins = 8", "mel_bins = 8\nmagnitude_floor = 1e-3"))
    evaluation, _ = measured(preset, data, tmp_path, parts=["likelihood"], against=other)
    part = evaluation.parts["likelihood"]
    assert isinstance(part, Likelihood)
    assert part.against is not None
    assert "sound settings are others" in str(part.against.not_comparable)
    assert part.against.whole_grid == {}


def test_the_command_line_measures_what_it_is_asked(
    preset: Preset, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--data", str(data), "--out", str(tmp_path), "--processes", "1", "--quick"]
    assert main(["evaluate", str(preset.path), *where, "--parts", "inpainting", "--gaps", "3"]) == 0
    assert "edges of 3 repainted gaps" in capsys.readouterr().out
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert list(found["parts"]) == ["inpainting"]
    assert main(["evaluate", str(preset.path), *where, "--gaps", "1"]) == 2
    assert "gaps is 1, want 2 or more" in capsys.readouterr().err


def test_the_command_line_offers_every_part_and_size() -> None:
    assert CLI_PARTS == PARTS
    assert list(CLI_SIZES) == list(vars(Sizes()))


def test_an_unknown_part_is_answered_with_the_parts(preset: Preset, data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no part 'taste'; there are: likelihood, conditioning"):
        measured(preset, data, tmp_path, parts=["taste"])


def test_json_holds_no_figures_that_are_none() -> None:
    assert rounded({"a": [1.23456789, math.nan], "b": (1, "x", math.inf)}) == {
        "a": [1.23457, None],
        "b": [1, "x", None],
    }
