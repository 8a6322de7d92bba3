"""The baselines: on noise and lines they are worth what arithmetic says."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_models import MEL_BINS, tiny_config
from tiny_recordings import RATE_HZ, write_recordings

from melnet_music.evaluation.baselines import baseline_nats, frames_to_fit
from melnet_music.model.config import SoundConfig
from melnet_music.model.network import MelNet
from melnet_music.training.data.features import Work, load_works
from melnet_music.training.held_out import EXCERPT_FRAMES, excerpts

CONFIG = tiny_config(splits=("time",))


def nats_of(model: MelNet, tier: int, train: list[Work], held_out: list[Work]) -> dict[str, tuple[float, float]]:
    fitted = torch.from_numpy(frames_to_fit(train, model.config.frames_per_group))[None]
    clips = [model.denormalise(clip) for clip in excerpts(held_out, model)]
    return baseline_nats(model, tier, fitted, clips, seed=0)


def work_of(frames: NDArray[np.float32]) -> Work:
    return Work("made", frames, [])


def gaussian_works(frames: int, count: int = 2, sigma: float = 0.7) -> list[Work]:
    random = np.random.default_rng(1)
    return [work_of((sigma * random.standard_normal((frames, 8)) - 4).astype(np.float32)) for _ in range(count)]


def gaussian_entropy(sigma: float) -> float:
    return 0.5 * math.log(2 * math.pi * math.e * sigma**2)


@pytest.mark.parametrize(("tier", "variance"), [(0, 2.0), (1, 1.5)])
def test_baselines_of_white_noise_are_its_entropy(tier: int, variance: float) -> None:
    """Each bin a Gaussian; around the frame before it twice its variance, around the mean of two coarse bins 1.5."""
    model = MelNet(CONFIG, MEL_BINS)
    model.mean.fill_(-4.0)
    sigma = 0.7
    entropy = gaussian_entropy(sigma)
    train_works, valid_works = (
        gaussian_works(4096, sigma=sigma),
        gaussian_works(EXCERPT_FRAMES * 4, sigma=sigma),
    )
    nats = nats_of(model, tier, train_works, valid_works)
    assert nats["bin_mixture"][0] == pytest.approx(entropy, abs=0.03)
    assert nats["neighbour_gaussian"][0] == pytest.approx(entropy + 0.5 * math.log(variance), abs=0.03)
    assert all(math.isfinite(value) for pair in nats.values() for value in pair)


@pytest.mark.parametrize("keeps", ["first", "last"])
@pytest.mark.parametrize("axis", ["time", "frequency"])
def test_an_upper_tiers_gaussian_is_around_the_two_coarse_bins_beside_it(axis: str, keeps: str) -> None:
    """On lines with a little noise it is wrong by the noise alone, but at the edge, where there is one neighbour."""
    config = CONFIG.model_copy(update={"splits": (axis,), "split_keeps": keeps})
    random = np.random.default_rng(0)

    def lines(frames: int) -> Work:
        if axis == "time":  # as good as lines, and no jump where excerpts meet
            grid = np.sin(2 * np.pi * np.arange(frames)[:, None] / EXCERPT_FRAMES + np.arange(8))
        else:
            grid = random.standard_normal((frames, 1)) * np.arange(8)
        return work_of((grid + 0.003 * random.standard_normal((frames, 8))).astype(np.float32))

    made = [lines(EXCERPT_FRAMES * 8)], [lines(EXCERPT_FRAMES * 2)]
    nats = nats_of(MelNet(config, MEL_BINS), 1, *made)
    between = gaussian_entropy(0.003 * math.sqrt(1.5))
    expected = between if axis == "time" else (3 * between + gaussian_entropy(1.0)) / 4
    assert nats["neighbour_gaussian"][0] == pytest.approx(expected, abs=0.1)


def test_baselines_run_on_recordings(tmp_path: Path) -> None:
    sound = SoundConfig(
        sample_rate_hz=RATE_HZ, n_fft=256, window_samples=256, hop_samples=128, mel_bins=MEL_BINS, fmax_hz=4000.0
    )
    write_recordings(tmp_path, {"train": 2, "test": 1})
    train, test = (load_works(tmp_path, split, sound) for split in ("train", "test"))
    model = MelNet(CONFIG, MEL_BINS)
    again = [nats_of(model, 0, train, test) for _ in range(2)]
    assert again[0] == again[1]
    assert all(math.isfinite(value) for pair in again[0].values() for value in pair)
