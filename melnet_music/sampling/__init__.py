"""Sampling engines, by name."""

from collections.abc import Callable

import torch

from melnet_music.model import MelNet
from melnet_music.sampling.engine import Engine
from melnet_music.sampling.reference import ReferenceEngine


def _reference(model: MelNet) -> Engine:
    return ReferenceEngine(model.to("cuda" if torch.cuda.is_available() else "cpu"))


ENGINES: dict[str, Callable[[MelNet], Engine]] = {"reference": _reference}
"""What makes an engine of a model."""
