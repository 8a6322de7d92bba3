"""The sounds that are compared: real ones, takes, and what takes must be better than."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from melnet_music.evaluation.measures.descriptors import Description, describe
from melnet_music.evaluation.places import Place
from melnet_music.evaluation.workers import TakeJob, make_take
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.model.config import SoundConfig
from melnet_music.notes.note_map import Note
from melnet_music.sound.mel import log_mel
from melnet_music.sound.vocoders.phase import PhaseVocoder

Samples = npt.NDArray[np.float32]

PROMPT_SECONDS = 8.0
"""Of real music, heard before a take."""


@dataclass(frozen=True)
class TakeSource:
    """What makes takes."""

    preset: Path
    engine: str
    sound: SoundConfig

    def continuation(
        self, place: Place, seconds: float, seed: int, *, lead_s: float = 0.0, notes: tuple[Note, ...] | None = None
    ) -> TakeJob:
        """``lead_s`` of the first 8 s of a place, and ``seconds`` after them."""
        heard = place.audio(0, PROMPT_SECONDS, self.sound, self.sound.sample_rate_hz)
        request = TakeRequest(seconds=seconds, seed=seed, lead_seconds=lead_s, notes=notes)
        return TakeJob(self.preset, self.engine, heard, request)

    def inpainting(self, place: Place, gap_s: tuple[float, float], seconds: float, seed: int) -> TakeJob:
        """The first ``seconds`` of a place with a gap repainted."""
        heard = place.audio(0, seconds, self.sound, self.sound.sample_rate_hz)
        request = TakeRequest(seconds=1, seed=seed, lead_seconds=gap_s[0], tail_seconds=seconds - gap_s[1])
        return TakeJob(self.preset, self.engine, heard, request, gap_s)


Remake = Literal["vocoded", "shuffled_frames", "repeated_frame"]


@dataclass(frozen=True, eq=False)
class RemakeJob:
    """Real sound through the preset's log-mel frames and vocoder, as it is or spoilt."""

    sound: SoundConfig
    audio: Samples
    """float32[n] at the sound's rate."""
    first_s: float
    """Of the audio that is only the prompt: what is described comes after it."""
    remake: Remake
    seed: int


@dataclass(frozen=True, eq=False)
class DescribeJob:
    """Sound at any rate."""

    audio: Samples
    rate_hz: int


def described(job: DescribeJob) -> Description:
    """Of given sound."""
    return describe(job.audio, job.rate_hz)


def described_take(job: tuple[TakeJob, int]) -> Description:
    """Of a take; the number is its sample rate in Hz."""
    return describe(make_take(job[0]), job[1])


def described_remake(job: RemakeJob) -> Description:
    """Of real sound vocoded: with its own frames, with them shuffled, or with the prompt's last one throughout."""
    sound = job.sound
    frames = log_mel(job.audio, sound)
    first = round(job.first_s * sound.frames_per_second)
    after = frames[first:]
    if job.remake == "shuffled_frames":
        after = np.random.default_rng(job.seed).permutation(after)
    elif job.remake == "repeated_frame":
        after = np.repeat(frames[first - 1 : first], len(after), 0)
    vocoder = PhaseVocoder(sound)
    audio = np.concatenate([vocoder.push(np.ascontiguousarray(after)), vocoder.flush()])
    wanted = len(job.audio) - round(job.first_s * sound.sample_rate_hz)
    return describe(audio[:wanted], sound.sample_rate_hz)
