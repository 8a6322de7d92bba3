"""Whole files: the instrument's new sound spliced into a clip at the clip's own rate, channels and format."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from melnet_music.instrument.generated_sound import GeneratedSound
from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.joins import CROSSFADE_SECONDS, EDGE_FADE_SECONDS
from melnet_music.instrument.phrase import rendered_phrase
from melnet_music.instrument.take_request import LiveNotes, TakeRequest
from melnet_music.sound.audio_file import AudioClip
from melnet_music.sound.crossfade import fade_out, splice_after, splice_between
from melnet_music.sound.resample import resample

Samples = npt.NDArray[np.float32]
Progress = Callable[[float], None]
"""Called with the seconds of new sound made since the last call."""

SHORTEST_SECONDS = 0.5
SILENCE_PEAK = 1e-4
"""-80 dB of full scale."""


@dataclass(frozen=True)
class Spliced:
    """A result, and where its joins lie."""

    clip: AudioClip
    joins_s: tuple[float, ...]


def continue_clip(
    instrument: Instrument,
    clip: AudioClip,
    request: TakeRequest,
    progress: Progress,
    notes_after: Callable[[Samples], LiveNotes | None] | None = None,
) -> Spliced:
    """The clip, then ``request.seconds`` more. All but the crossfade at its end stays bit for bit.

    Args:
        notes_after: called with the clip as the instrument has heard it; returns the notes that the new sound plays,
            in place of the request's.

    Raises:
        ValueError: the clip is silent or too short, or the request out of range.
    """
    mono = _heard(instrument, clip)
    if notes_after is not None:
        request = replace(request, notes=notes_after(mono))
    generated, start = _at_rate(instrument, clip, mono, instrument.uncut_continuation(request), progress)
    length = len(clip.samples) + round(request.seconds * clip.sample_rate_hz)
    generated = fade_out(generated[: length - start], round(EDGE_FADE_SECONDS * clip.sample_rate_hz))
    samples = splice_after(clip.samples, generated, start, _overlap_samples(clip))
    return Spliced(replace(clip, samples=samples), (clip.seconds,))


def inpaint_clip(
    instrument: Instrument,
    clip: AudioClip,
    request: TakeRequest,
    start_s: float,
    stop_s: float,
    progress: Progress,
    notes_within: Callable[[Samples], LiveNotes | None] | None = None,
) -> Spliced:
    """The clip with ``start_s`` to ``stop_s`` repainted. All but that part and its crossfades stays bit for bit.

    Args:
        notes_within: called with the clip as the instrument has heard it; returns the notes that the part plays.

    Raises:
        ValueError: the clip is silent or too short, or the part not inside it.
    """
    mono = _heard(instrument, clip)
    if not 0 <= start_s < stop_s <= clip.seconds:
        raise ValueError(
            f"cannot repaint {start_s:g} s to {stop_s:g} s of {clip.seconds:.2f} s: want 0 <= start < stop <= its end"
        )
    if notes_within is not None:
        request = replace(request, notes=notes_within(mono))
    start_sample, stop_sample = (round(at * clip.sample_rate_hz) for at in (start_s, stop_s))
    sound = instrument.uncut_inpainting(request, start_s, min(stop_s, instrument.heard_seconds))
    generated, start = _at_rate(instrument, clip, mono, sound, progress)
    samples = splice_between(clip.samples, generated, start, start_sample, stop_sample, _overlap_samples(clip))
    return Spliced(replace(clip, samples=samples), (start_s, stop_s))


def generate_clip(instrument: Instrument, request: TakeRequest, progress: Progress) -> AudioClip:
    """New sound out of nothing, ``request.seconds`` long: 16 bit, mono, at the instrument's rate."""
    samples = _collected(instrument, instrument.generation(request), progress)
    return AudioClip(samples[:, None], instrument.sample_rate_hz)


def render_phrase_clip(instrument: Instrument, request: TakeRequest, progress: Progress) -> AudioClip:
    """``request.notes`` rendered by the model out of nothing: mono, at the instrument's rate, with an open end."""
    instrument.clear()
    samples = _collected(instrument, rendered_phrase(instrument, request), progress)
    return AudioClip(samples[:, None], instrument.sample_rate_hz)


def _heard(instrument: Instrument, clip: AudioClip) -> Samples:
    """Play the clip to the instrument from the start; returns it as it was heard."""
    if clip.seconds < SHORTEST_SECONDS:
        raise ValueError(f"the input has {clip.seconds:.3f} s, want {SHORTEST_SECONDS:g} s or more to go on from")
    if clip.peak < SILENCE_PEAK:
        raise ValueError(
            f"the input is silent (peak {clip.peak:.1e} of full scale): there is nothing to go on from; "
            "check the recording, or use generate"
        )
    instrument.clear()
    mono = clip.mono_at(instrument.sample_rate_hz)
    instrument.hear(mono)
    return mono


def _overlap_samples(clip: AudioClip) -> int:
    return round(CROSSFADE_SECONDS * clip.sample_rate_hz)


def _collected(instrument: Instrument, blocks: Iterator[Samples], progress: Progress) -> Samples:
    collected = []
    for block in blocks:
        collected.append(block)
        progress(len(block) / instrument.sample_rate_hz)
    return np.concatenate(collected)


def _at_rate(
    instrument: Instrument, clip: AudioClip, heard: Samples, sound: GeneratedSound, progress: Progress
) -> tuple[Samples, int]:
    """New sound at the clip's rate, and the position of its first sample in the clip.

    What was heard just before it goes through the resampler with it: no edge of the filter in the sound.
    """
    own, wanted = instrument.sample_rate_hz, clip.sample_rate_hz
    generated = _collected(instrument, sound.blocks, progress)
    step = own // math.gcd(own, wanted)  # positions that lie on a sample at both rates
    lead = max(0, (sound.start_sample - own // 10) // step * step)
    samples = resample(np.concatenate([heard[lead : sound.start_sample], generated]), own, wanted)
    start, first = lead * wanted // own, -(-sound.start_sample * wanted // own)
    return samples[first - start :], first
