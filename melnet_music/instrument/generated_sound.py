"""New sound on the timeline of what was heard, and how frames become it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from melnet_music.instrument.blocks import first_of, in_pieces
from melnet_music.model.config import SoundConfig
from melnet_music.sound.limiter import soft_clipped
from melnet_music.sound.vocoders.phase import PhaseVocoder

Samples = npt.NDArray[np.float32]

_FRAMES_AT_LEISURE = 2


@dataclass(frozen=True)
class GeneratedSound:
    """New sound on the timeline of what was heard, before any crossfade."""

    start_sample: int
    """Where its first sample lies: before the join, for the crossfade."""
    blocks: Iterator[Samples]
    """Mono float32[n] each; empty blocks come while work goes on."""


def vocoded(
    vocoder: PhaseVocoder, frames: Iterator[Samples], length: int | None, *, at_leisure: bool = False
) -> Iterator[Samples]:
    """The sound of log-mel frames ``[t, M]``, float32[n] a block, ended after ``length`` samples.

    Args:
        length: None: it ends with the frames.
        at_leisure: whether blocks are short, since the vocoder takes its time for each frame.
    """
    frames = in_pieces(frames, _FRAMES_AT_LEISURE) if at_leisure else frames

    def blocks() -> Iterator[Samples]:
        for block in frames:
            yield soft_clipped(vocoder.push(block))
        yield soft_clipped(vocoder.flush())

    return blocks() if length is None else first_of(blocks(), length)


def frames_until(sample: int, sound: SoundConfig) -> int:
    """Number of frames, from frame 0 on, whose sound reaches a sample: the hop before the last is partly faded."""
    return -(-sample // sound.hop_samples) + 1
