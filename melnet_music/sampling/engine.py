"""What every sampling engine offers: explicit state in, frames and state out.

Engines hold weights and nothing else. A state is a value: it is replaced, never written to, so a copy is a reference.
Noise is passed in, so that the same seed gives the same take on every engine and engines compare number by number.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from melnet_music.config import SamplingConfig
from melnet_music.model import Conditioning, MelNet, TierState

SamplerState = tuple[TierState, ...]
"""One state a tier, first tier first."""


class Noise(NamedTuple):
    """The randomness of a take, on the full grid ``[B, T, M]``: each bin's cell is its own, whatever the chunks."""

    uniform: Tensor
    """0..1, picks the mixture component."""
    normal: Tensor
    """Standard normal, picks the value."""


def take_noise(seed: int, start_frame: int, frames: int, mel_bins: int) -> Noise:
    """The noise of frames ``start_frame`` to ``start_frame + frames`` of the take with this seed, B = 1.

    Counter-based (Philox, Salmon et al. 2011): any span can be drawn alone and is always the same.
    """
    uniform = np.empty((1, frames, mel_bins), np.float32)
    normal = np.empty_like(uniform)
    for at in range(frames):
        random = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, start_frame + at]))
        random.random(out=uniform[0, at], dtype=np.float32)
        random.standard_normal(out=normal[0, at], dtype=np.float32)
    return Noise(torch.from_numpy(uniform), torch.from_numpy(normal))


class Generated(NamedTuple):
    """One chunk."""

    frames: Tensor
    """``[B, T, M]`` normalised."""
    state: SamplerState
    """The state after it."""


class Forced(NamedTuple):
    """Frames that are known already inside a chunk that is generated: their bins are taken, not drawn."""

    values: Tensor
    """``[B, T, M]`` normalised."""
    mask: Tensor
    """``[T]`` bool."""


@dataclass(frozen=True)
class Sharpness:
    """How boldly bins are drawn (`Mixture.draw`); the upsampling tiers may differ from the first."""

    temperature: float = 1.0
    bias: float = 0.0
    upper_temperature: float = 1.0
    """Multiplied with ``temperature``."""
    upper_bias: float = 0.0
    """Added to ``bias``."""

    @staticmethod
    def of(config: SamplingConfig, temperature: float | None = None, bias: float | None = None) -> Sharpness:
        """A preset's, with a take's own temperature and bias where given."""
        return Sharpness(
            config.temperature if temperature is None else temperature,
            config.bias if bias is None else bias,
            config.upper_temperature,
            config.upper_bias,
        )

    def tier(self, index: int) -> tuple[float, float]:
        """Temperature and bias of a tier, counted from 0."""
        if index == 0:
            return self.temperature, self.bias
        return self.temperature * self.upper_temperature, self.bias + self.upper_bias


class Engine(Protocol):
    """One way to sample a model."""

    name: str
    model: MelNet

    def init_state(self, batch: int = 1) -> SamplerState:
        """The state before the first frame."""

    def prime(
        self, state: SamplerState, frames: Tensor, chunk_frames: int | None, known: Conditioning = ...
    ) -> SamplerState:
        """Feed known frames ``[B, T, M]`` normalised; T a multiple of ``chunk_frames`` (of a group, if None)."""

    def generating(
        self,
        state: SamplerState,
        noise: Noise,
        sharpness: Sharpness,
        known: Conditioning = ...,
        forced: Forced | None = None,
    ) -> Generator[float, None, Generated]:
        """One chunk through all tiers: as many frames as ``noise`` has, a multiple of a group.

        Yields the fraction done, often enough to stop in between; returns the result.
        """


def generate(steps: Generator[float, None, Generated]) -> Generated:
    """Run `Engine.generating` to its end."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Generated = stop.value
            return result


def state_tensors(state: SamplerState) -> dict[str, Tensor]:
    """A state as named tensors, to save it. `state_from_tensors` gives it back bit for bit."""
    named = {}
    for g, tier in enumerate(state):
        for field in fields(tier):
            value = getattr(tier, field.name)
            if isinstance(value, tuple):
                named.update({f"{g}.{field.name}.{layer}": part.contiguous() for layer, part in enumerate(value)})
            elif value is not None:
                named[f"{g}.{field.name}"] = value.contiguous()
    return named


def state_from_tensors(named: dict[str, Tensor], like: SamplerState) -> SamplerState:
    """Read what `state_tensors` wrote for a state of the same shape as ``like``.

    Raises:
        ValueError: a tensor is missing or has another shape: it was saved for another model.
    """

    def read(name: str, before: Tensor) -> Tensor:
        found = named.get(name)
        if found is None or found.shape != before.shape:
            came = "nothing" if found is None else f"shape {tuple(found.shape)}"
            raise ValueError(
                f"saved state: {name} has {came}, the model wants {tuple(before.shape)}; "
                "it was saved with another preset"
            )
        return found

    tiers = []
    for g, tier in enumerate(like):
        values: dict[str, Any] = {}
        for field in fields(tier):
            value = getattr(tier, field.name)
            if isinstance(value, tuple):
                values[field.name] = tuple(read(f"{g}.{field.name}.{i}", part) for i, part in enumerate(value))
            elif value is not None:
                values[field.name] = read(f"{g}.{field.name}", value)
        tiers.append(replace(tier, **values))
    return tuple(tiers)
