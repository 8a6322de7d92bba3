"""How a take begins and ends: crossfades with what was heard, or fades where it is joined to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt

from melnet_music.instrument.blocks import with_end, with_start, without_first
from melnet_music.instrument.generated_sound import GeneratedSound
from melnet_music.instrument.heard_audio import HeardAudio
from melnet_music.sound.crossfade import crossfade, fade_in, fade_out

Samples = npt.NDArray[np.float32]

CROSSFADE_SECONDS = 512 / 22050
"""Length of the crossfades between what was heard and what is generated."""
EDGE_FADE_SECONDS = 0.005
"""Length of the fade at an end of a take that is joined to nothing."""


def with_lead(
    audio: HeardAudio,
    sound: GeneratedSound,
    join_sample: int,
    lead_seconds: float,
    sample_rate_hz: int,
    *,
    at_leisure: bool = False,
) -> Iterator[Samples]:
    """Heard audio before the join, crossfaded into the new sound; without any, the new sound faded in.

    Args:
        join_sample: where the new sound is heard alone.
        lead_seconds: length of the heard audio; less, if less is kept.
        at_leisure: whether empty blocks come while the first sound is waited for.
    """
    lead = min(round(lead_seconds * sample_rate_hz), join_sample - audio.start_sample)
    heard = audio.read(join_sample - lead, join_sample)
    overlap = min(lead, round(CROSSFADE_SECONDS * sample_rate_hz))
    new = without_first(sound.blocks, join_sample - overlap - sound.start_sample)
    if not overlap:
        return faded_in(new, sample_rate_hz, at_leisure=at_leisure)
    outgoing = heard[lead - overlap :]
    joined = with_start(new, overlap, lambda start: crossfade(outgoing, start), at_leisure=at_leisure)
    return chain([heard[: lead - overlap]], joined)


def with_tail(blocks: Iterator[Samples], tail: Samples, overlap: int) -> Iterator[Samples]:
    """Blocks whose last ``overlap`` samples are crossfaded into ``tail``, float32[n], of which all then follows."""
    return with_end(blocks, overlap, lambda end: np.concatenate([crossfade(end, tail[:overlap]), tail[overlap:]]))


def faded_in(blocks: Iterator[Samples], sample_rate_hz: int, *, at_leisure: bool = False) -> Iterator[Samples]:
    """Blocks that rise from silence; ``at_leisure``: see `with_start`."""
    fade = round(EDGE_FADE_SECONDS * sample_rate_hz)
    return with_start(blocks, fade, lambda start: fade_in(start, len(start)), at_leisure=at_leisure)


def faded_out(blocks: Iterator[Samples], sample_rate_hz: int) -> Iterator[Samples]:
    """Blocks that sink to silence."""
    return with_end(blocks, round(EDGE_FADE_SECONDS * sample_rate_hz), lambda end: fade_out(end, len(end)))
