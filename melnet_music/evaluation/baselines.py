"""What a model must beat: two densities fitted to the same bins of the same works.

- ``bin_mixture``: a mixture of Gaussians for every bin on its own, blind to everything else.
- ``neighbour_gaussian``: one Gaussian a bin around the value that is nearest among those the tier is given: in the
  first tier the same bin one frame earlier, above it the mean of the two coarse bins on either side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from melnet_music.model.network import MelNet
from melnet_music.model.preset import load_preset
from melnet_music.model.tiers import assemble, decompose
from melnet_music.training.data.features import Work
from melnet_music.training.held_out import LOUD_MAGNITUDE

Values = npt.NDArray[np.float64]
Frames = npt.NDArray[np.float32]
FITTED_FRAMES = 40_000
MIXTURE_SAMPLES = 3_000


@dataclass(frozen=True, eq=False)
class BaselineJob:
    """What the baselines of one tier are fitted to and held against."""

    preset: Path
    tier: int
    """From 0."""
    fitted: Frames
    """``[T, M]`` log-mel, T a multiple of the frames of a group."""
    held_out: Frames
    """``[E, T, M]`` log-mel."""
    seed: int


def baseline_job_nats(job: BaselineJob) -> dict[str, tuple[float, float]]:
    """`baseline_nats` of a preset's model."""
    model = load_preset(job.preset).model()
    clips = [torch.from_numpy(clip)[None] for clip in job.held_out]
    return baseline_nats(model, job.tier, torch.from_numpy(job.fitted)[None], clips, job.seed)


def baseline_nats(
    model: MelNet, tier: int, fitted_frames: Tensor, clips: Sequence[Tensor], seed: int
) -> dict[str, tuple[float, float]]:
    """Nats a bin in ln magnitude of each baseline: over all bins, over the loud ones.

    Args:
        model: whose grid is cut into tiers; its weights play no part.
        fitted_frames: ``[1, T, M]`` log-mel that the baselines are fitted to.
        clips: ``[1, T, M]`` log-mel each, held out.
    """
    # comes with librosa; takes seconds
    from sklearn.mixture import GaussianMixture  # type: ignore[import-untyped]

    random = np.random.default_rng(seed)
    fitted, around_fitted = _bins(model, tier, fitted_frames)
    held, around_held = (
        np.concatenate(parts) for parts in zip(*(_bins(model, tier, clip) for clip in clips), strict=True)
    )
    loud = held > math.log(LOUD_MAGNITUDE)
    bin_mixture = np.empty_like(held)
    for f in range(held.shape[1]):
        picked = random.choice(len(fitted), min(MIXTURE_SAMPLES, len(fitted)), replace=False)
        density = GaussianMixture(model.config.components, reg_covar=1e-5, max_iter=50, random_state=seed)
        bin_mixture[:, f] = -density.fit(fitted[picked, f : f + 1]).score_samples(held[:, f : f + 1])
    residual = fitted - around_fitted
    mean, deviation = residual.mean(0), residual.std(0)
    standard = (held - around_held - mean) / deviation
    gaussian = 0.5 * standard**2 + np.log(deviation) + 0.5 * math.log(2 * math.pi)
    named = {"bin_mixture": bin_mixture, "neighbour_gaussian": gaussian}
    return {name: (float(nats.mean()), float(nats[loud].sum() / max(loud.sum(), 1))) for name, nats in named.items()}


def frames_to_fit(works: Sequence[Work], group: int) -> Frames:
    """``[T, M]`` of log-mel, evenly from all works; ``group``: the frames of a group."""
    share = max(group, FITTED_FRAMES // len(works) // group * group)
    return np.concatenate([work.log_mel[: min(share, len(work.log_mel) // group * group)] for work in works]).astype(
        np.float32
    )


def _bins(model: MelNet, tier: int, log_mel: Tensor) -> tuple[Values, Values]:
    """A tier's values, and the value that the Gaussian is put around, both ``[B * T_g, F_g]``."""
    own = decompose(log_mel, model.config)
    values = own[tier]
    if tier == 0:
        around = torch.cat([values[:, :1], values[:, :-1]], 1)
    else:
        coarse = assemble(own[:tier], model.config)[-1]
        along = 1 if model.config.splits[tier - 1] == "time" else 2
        # a kept-last time split puts the coarse frame after the fine one, every other split before it
        after = along == 1 and model.config.split_keeps == "last"
        edge = coarse.narrow(along, 0 if after else coarse.shape[along] - 1, 1)
        inner = coarse.narrow(along, 0 if after else 1, coarse.shape[along] - 1)
        shifted = torch.cat([edge, inner] if after else [inner, edge], along)
        around = (coarse + shifted) / 2
    return tuple(grid.reshape(-1, grid.shape[-1]).double().numpy() for grid in (values, around))  # type: ignore[return-value]
