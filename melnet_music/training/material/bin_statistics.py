"""What normalisation needs to know of the works that are trained from: mean and deviation of every mel bin."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

from melnet_music.training.material.device_works import AnyWorks

Array = npt.NDArray[np.float32]
_EVERY = 5
"""Frames close to each other are alike."""


def bin_statistics(works: AnyWorks, deviation_floor_nats: float) -> tuple[Array, Array]:
    """Mean and standard deviation of every mel bin, ``[M]`` each, over every fifth frame of each work.

    The same whatever the order of the works: their sums are added without rounding.
    """
    counts, means, squares = [], [], []
    for work in works:
        frames = work.log_mel[::_EVERY]
        # what lies on a device is summed up there
        there = frames if isinstance(frames, torch.Tensor) else torch.from_numpy(np.array(frames))
        there = there.double()
        mean = there.mean(0)
        counts.append(len(there))
        means.append(mean.cpu().numpy())
        squares.append((there - mean).square().sum(0).cpu().numpy())
    count = np.array(counts)[:, None]
    mean_of_all = _exact_sum(count * np.array(means)) / count.sum()
    variance = _exact_sum(np.array(squares) + count * (np.array(means) - mean_of_all) ** 2) / count.sum()
    deviation = np.maximum(np.sqrt(variance), deviation_floor_nats)
    return mean_of_all.astype(np.float32), deviation.astype(np.float32)


def _exact_sum(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.array([math.fsum(column) for column in rows.T])
