"""What every sampling engine offers: explicit state in, frames and state out.

Arrays are numpy's, in the precision that the engine works in. An engine holds weights and what it works with, nothing
of a take. A state is a value: it is replaced, never written to, so a copy is a reference.
Noise is passed in, so that the same seed gives the same take on every engine and engines compare number by number.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from melnet_music.model.conditioning import NOTHING_KNOWN, Conditioning
from melnet_music.model.config import ModelConfig, SamplingConfig
from melnet_music.model.tier_state import TierState

SamplerState = tuple[TierState[NDArray[Any]], ...]
"""One state a tier, first tier first."""


class Noise(NamedTuple):
    """The randomness of a take, on the full grid ``[B, T, M]``: each bin's cell is its own, whatever the chunks."""

    uniform: NDArray[Any]
    """0..1, picks the mixture component."""
    normal: NDArray[Any]
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
    return Noise(uniform, normal)


class Forced(NamedTuple):
    """Frames that are known already inside a chunk that is generated: their bins are taken, not drawn."""

    values: NDArray[Any]
    """``[B, T, M]`` normalised."""
    mask: NDArray[Any]
    """``[T]`` bool."""


class TierSharpness(NamedTuple):
    """How boldly one tier's bins are drawn: see `Mixture.draw`."""

    temperature: float = 1.0
    bias: float = 0.0
    tilt: float = 0.0


@dataclass(frozen=True)
class Sharpness:
    """How boldly bins are drawn (`Mixture.draw`); the upsampling tiers may differ from the first."""

    temperature: float = 1.0
    bias: float = 0.0
    upper_temperature: float = 1.0
    """Multiplied with ``temperature``."""
    upper_bias: float = 0.0
    """Added to ``bias``."""
    tilt: float = 0.0
    """Of the first tier: more than 0 is louder, less is softer."""

    @staticmethod
    def of(
        config: SamplingConfig, temperature: float | None = None, bias: float | None = None, *, noted: bool = False
    ) -> Sharpness:
        """A preset's, with a take's own temperature and bias where given; ``noted``: where notes are known."""
        usual = config.temperature, config.bias
        if noted:
            given = config.notes_temperature, config.notes_bias
            usual = usual[0] if given[0] is None else given[0], usual[1] if given[1] is None else given[1]
        return Sharpness(
            usual[0] if temperature is None else temperature,
            usual[1] if bias is None else bias,
            config.upper_temperature,
            config.upper_bias,
            config.tilt,
        )

    def tier(self, index: int) -> TierSharpness:
        """Of a tier, counted from 0."""
        if index == 0:
            return TierSharpness(self.temperature, self.bias, self.tilt)
        return TierSharpness(self.temperature * self.upper_temperature, self.bias + self.upper_bias)


class Chunk(NamedTuple):
    """What one chunk is drawn from."""

    noise: Noise
    """As many frames as the chunk gets, a multiple of a group."""
    sharpness: Sharpness
    """Of all takes; of the first, where ``others`` have their own."""
    known: Conditioning[NDArray[Any]] = NOTHING_KNOWN
    forced: Forced | None = None
    others: tuple[Sharpness, ...] = ()
    """Of each take after the first; none: they are as the first."""

    @property
    def frames(self) -> int:
        """T on the full grid."""
        frames: int = self.noise.uniform.shape[1]
        return frames

    @property
    def takes(self) -> int:
        """B."""
        return len(self.noise.uniform)

    def sharpness_rows(self, tier: int) -> NDArray[np.float32]:
        """Of a tier, counted from 0, for every take: ``[B, 3]`` temperature, bias, tilt.

        Raises:
            ValueError: ``others`` are neither none nor as many as there are takes after the first.
        """
        own = [each.tier(tier) for each in (self.sharpness, *self.others)]
        if self.others and len(own) != self.takes:
            raise ValueError(f"noise for {self.takes} takes and sharpness for {len(own)}: want as many, or one for all")
        return np.array(own if self.others else own * self.takes, np.float32)


class Generated(NamedTuple):
    """One chunk."""

    frames: NDArray[Any]
    """``[B, T, M]`` normalised."""
    state: SamplerState
    """The state after it."""


class EngineFailedError(ValueError):
    """What an engine computes on failed in the middle of it: a card, its memory or its driver. One line, with a remedy.

    The states and frames that it gave before are good, and another engine can go on from them.
    """


class Engine(Protocol):
    """One way to sample a model. Belongs to one thread."""

    @property
    def name(self) -> str:
        """As it is asked for, and as takes name it."""

    @property
    def most_takes(self) -> int:
        """How many takes it draws in one call of `sampling`, as rows of state and noise; 1: one after the other."""

    def init_state(self, batch: int = 1) -> SamplerState:
        """The state before the first frame."""

    def prime(
        self,
        state: SamplerState,
        frames: NDArray[Any],
        chunk_frames: int | None,
        known: Conditioning[NDArray[Any]] = NOTHING_KNOWN,
    ) -> SamplerState:
        """Feed known frames ``[B, T, M]`` normalised; T a multiple of ``chunk_frames`` (of a group, if None).

        Raises:
            ValueError: it is not.
        """

    def nats(self, state: SamplerState, frames: NDArray[Any], tiers: int) -> NDArray[np.float64]:
        """How unlikely known frames ``[1, T, M]`` are after a state, as one chunk: the state is left alone.

        Returns:
            ``[tiers]``: of the first tiers, minus the natural log density a bin, in normalised units.

        Raises:
            ValueError: T is not a multiple of a group, or there are not so many tiers.
        """

    def sampling(self, state: SamplerState, chunks: Iterable[Chunk]) -> Generator[Generated | None, None, None]:
        """Chunk after chunk, each going on from the one before.

        Yields each when it is ready, and None in between, often enough to stop there or to see to other things. May
        take a few chunks more than it has returned: it works on several at once. To close it stops the work.

        Rows are takes of their own: each is what it would be alone, but for the last bits where sums of another shape
        round differently. What is yielded has a row for each, or for the first of them only: an engine that goes on
        for another may draw fewer (`FailoverEngine`), and the others go on from the last state that has them.

        Raises:
            ValueError: a chunk is not a multiple of a group, or an engine that draws one take is given more.
        """

    def close(self) -> None:
        """Let go of threads and memory."""


def generate(engine: Engine, state: SamplerState, chunk: Chunk) -> Generated:
    """One chunk."""
    with closing(engine.sampling(state, [chunk])) as making:
        return next(made for made in making if made is not None)


def check_judged(frames: NDArray[Any], tiers: int, config: ModelConfig) -> None:
    """What `Engine.nats` is called with. Raises ValueError: see there."""
    if frames.shape[1] % config.frames_per_group:
        raise ValueError(f"judged {frames.shape[1]} frames, want a multiple of {config.frames_per_group}")
    if not 1 <= tiers <= len(config.tiers):
        raise ValueError(f"judged by {tiers} tiers, want 1 to {len(config.tiers)}")


def state_arrays(state: SamplerState) -> dict[str, NDArray[Any]]:
    """A state as named arrays, to save it. `state_from_arrays` gives it back bit for bit."""
    named = {}
    for g, tier in enumerate(state):
        for field in fields(tier):
            value = getattr(tier, field.name)
            if isinstance(value, tuple):
                named.update(
                    {f"{g}.{field.name}.{layer}": np.ascontiguousarray(part) for layer, part in enumerate(value)}
                )
            elif value is not None:
                named[f"{g}.{field.name}"] = np.ascontiguousarray(value)
    return named


def state_from_arrays(named: dict[str, NDArray[Any]], like: SamplerState) -> SamplerState:
    """Read what `state_arrays` wrote for a state of the same shape as ``like``.

    Raises:
        ValueError: an array is missing or has another shape: it was saved for another model.
    """

    def read(name: str, before: NDArray[Any]) -> NDArray[Any]:
        found = named.get(name)
        if found is None or found.shape != before.shape:
            came = "nothing" if found is None else f"shape {found.shape}"
            raise ValueError(
                f"saved state: {name} has {came}, the model wants {before.shape}; it was saved with another preset"
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
