"""An instrument that follows a script instead of a model, so that tests of the stage know every sample.

The preset's text is the script: ``rtf=0.5 hz=48000 block=0.1`` sets the speed (audio seconds per second), the
sample rate and the block length in seconds; ``really=0.2`` makes takes at another speed than it says. New audio
counts its samples (`counted`), so that a capture shows every gap, repeat and change; with ``seeds=1`` every take is as
loud as its seed says (`seed_gain`). Some seeds misbehave.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from melnet_music.model.config import SoundConfig

COUNT_STEP = 2.0**-21
SEED_RAISES = 1001
SEED_NOT_FINITE = 1002
SEED_DIES = 1003
SEED_HANGS = 1004
SEED_ENGINE_FAILS = 1005
"""In the middle of the take, and another goes on."""


def counted(first: int, count: int) -> NDArray[np.float32]:
    """Samples first+1, first+2, ... times COUNT_STEP: exact in float32, below 1 for 43 s at 48 kHz."""
    return (np.arange(first + 1, first + count + 1) * COUNT_STEP).astype(np.float32)


def seed_gain(seed: int) -> np.float32:
    """Exact in float32; of four seeds in a row each has another."""
    return np.float32(2.0 ** -(seed % 4))


@dataclass(frozen=True)
class TakeRequest:
    """As `melnet_music.instrument.take_request.TakeRequest`, whose module would bring numba along."""

    seconds: float
    seed: int
    temperature: float | None
    bias: float | None
    lead_seconds: float
    tail_seconds: float
    chunk_frames: int | None
    notes: object = None
    rests: bool = True
    at_leisure: bool = False


@dataclass(frozen=True)
class TakeSpeed:
    """As `melnet_music.instrument.take_speed.TakeSpeed`."""

    real_time_factor: float
    first_sound_seconds: float


@dataclass(frozen=True)
class Surprise:
    """As `melnet_music.sampling.surprise.Surprise`."""

    nats: float
    over_usual: float


class ScriptedInstrument:
    engine_name = "scripted"
    engine_why = ""
    fourier = "numpy"
    crossfade_samples = 0
    plans_notes = False
    most_takes = 1

    def __init__(self, preset: str) -> None:
        script = dict(word.split("=") for word in preset.split())
        self.preset_name = preset
        self.preset_digest = script.get("digest", "0000")
        self.real_time_factor = float(script.get("rtf", "8"))
        self._really = float(script.get("really", self.real_time_factor))
        self.preset_folder = Path(script.get("folder", "."))
        self.sample_rate_hz = int(script.get("hz", "48000"))
        self.chunk_seconds = float(script.get("block", "0.1"))
        self._by_seed = "seeds" in script
        self._tape = np.zeros(0, np.float32)
        self._surprises: list[Surprise] | None = None

    @property
    def sound(self) -> SoundConfig:
        """The real front end's, small."""
        from melnet_music.model.config import SoundConfig

        return SoundConfig(n_fft=512, window_samples=512, hop_samples=128, mel_bins=16)

    @property
    def follows_notes(self) -> bool:
        return False

    @property
    def heard_seconds(self) -> float:
        return len(self._tape) / self.sample_rate_hz

    def measure_speed(self) -> TakeSpeed:
        return TakeSpeed(self.real_time_factor, self.chunk_seconds / self.real_time_factor)

    def clear(self) -> None:
        self._tape = np.zeros(0, np.float32)

    def begin_at(self, first_sample: int) -> int:
        self._tape = np.zeros(first_sample, np.float32)
        return first_sample

    def hear(self, audio: NDArray[np.float32]) -> None:
        self._tape = np.concatenate([self._tape, audio])
        if self._surprises is not None and len(audio):
            loud = float(np.abs(audio).max())
            self._surprises.append(Surprise(loud, loud))

    def heard_notes(self) -> tuple[()]:
        return ()

    def listen_again(self) -> Iterator[None]:
        yield

    def on_engine_failure(self, tell: Callable[[str], object]) -> None:
        self._tell_failure = tell

    def measure_surprise(self, on: bool) -> None:
        self._surprises = [] if on else None

    def surprises(self) -> list[Surprise]:
        """One a block that was heard since: as surprising as it is loud."""
        told, self._surprises = self._surprises or [], [] if self._surprises is not None else None
        return told

    def prompt(self, request: TakeRequest, part: tuple[float, float] | None = None) -> dict[str, NDArray[np.float32]]:
        return {"audio": self._tape}

    def beside(self, audio: NDArray[np.float32]) -> ScriptedInstrument:
        other = ScriptedInstrument(self.preset_name)
        other.hear(audio)
        return other

    def remember(self, prompt: dict[str, NDArray[np.float32]]) -> None:
        self._tape = prompt["audio"]

    def continuation(self, request: TakeRequest) -> Iterator[NDArray[np.float32]]:
        if not len(self._tape):
            raise ValueError("nothing was heard; prime the model first")
        lead = self._tape[len(self._tape) - round(request.lead_seconds * self.sample_rate_hz) :]
        if request.lead_seconds:
            yield lead
        yield from self.generation(request)

    def generation(self, request: TakeRequest) -> Iterator[NDArray[np.float32]]:
        total, block = round(request.seconds * self.sample_rate_hz), round(self.chunk_seconds * self.sample_rate_hz)
        for first in range(0, total, block):
            time.sleep(block / self.sample_rate_hz / self._really)
            if request.seed == SEED_RAISES:
                raise RuntimeError("the script says so")
            if request.seed == SEED_DIES:
                os._exit(1)
            while request.seed == SEED_HANGS and first:
                pass
            if request.seed == SEED_ENGINE_FAILS and first == block:
                self._tell_failure("engine first failed; second goes on")
            samples = counted(first, min(block, total - first))
            if self._by_seed:
                samples *= seed_gain(request.seed)
            yield samples * np.float32("nan") if request.seed == SEED_NOT_FINITE else samples

    def inpainting(
        self, request: TakeRequest, start_seconds: float, stop_seconds: float
    ) -> Iterator[NDArray[np.float32]]:
        if stop_seconds > self.heard_seconds:
            raise ValueError(f"stop {stop_seconds:g} s is beyond the {self.heard_seconds:g} s that were heard")
        lead, start, stop, tail = (
            round(seconds * self.sample_rate_hz)
            for seconds in (request.lead_seconds, start_seconds, stop_seconds, request.tail_seconds)
        )
        yield self._tape[start - lead : start]
        yield from self.generation(request)
        yield self._tape[stop : stop + tail]


def load(preset: str, *, engine: str, threads: int | None) -> ScriptedInstrument:
    if "=" not in preset:
        raise ValueError(f"no preset {preset!r}")
    return ScriptedInstrument(preset)
