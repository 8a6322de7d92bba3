"""Sampling engines, by name."""

from collections.abc import Callable

from melnet_music.model import MelNet
from melnet_music.sampling.engine import Engine
from melnet_music.sampling.reference import ReferenceEngine

ENGINES: dict[str, Callable[[MelNet], Engine]] = {"reference": ReferenceEngine}
