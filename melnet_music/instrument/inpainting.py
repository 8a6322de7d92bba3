"""Inpainting: part of what was heard made anew, between its kept past and its kept future."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from melnet_music.instrument.blocks import first_of
from melnet_music.instrument.frame_sampler import FrameSampler
from melnet_music.instrument.generated_sound import GeneratedSound, frames_until, vocoded
from melnet_music.instrument.joins import CROSSFADE_SECONDS, faded_out, with_lead, with_tail
from melnet_music.instrument.prompt_state import FUTURE_SECONDS, PromptState
from melnet_music.instrument.take_notes import NoteMaps, note_maps
from melnet_music.instrument.take_request import TakeRequest, check_request
from melnet_music.sound.edges import LED_SECONDS, entering_frames, leaving_frames, led_to
from melnet_music.sound.limiter import frame_powers, limited
from melnet_music.sound.mel import LogMelStream
from melnet_music.sound.vocoders.phase import PhaseVocoder

Samples = npt.NDArray[np.float32]

PHASE_LOOKAHEAD_FRAMES = PHASE_SWEEPS = 8
"""Of the vocoder: more than live, since nobody waits for the sound."""


def inpainting(
    prompt: PromptState, sampler: FrameSampler, request: TakeRequest, start_seconds: float, stop_seconds: float
) -> Iterator[Samples]:
    """Lead, new part and tail, crossfaded: see `Instrument.inpainting`."""
    rate = sampler.sound.sample_rate_hz
    sound = uncut_inpainting(prompt, sampler, request, start_seconds, stop_seconds)
    start, stop = prompt.part(start_seconds, stop_seconds)
    tail = min(round(request.tail_seconds * rate), prompt.audio.stop_sample - stop)
    after = prompt.audio.read(stop, stop + tail)
    overlap = min(tail, round(CROSSFADE_SECONDS * rate))
    wanted = GeneratedSound(sound.start_sample, first_of(sound.blocks, stop + overlap - sound.start_sample))
    led_in = with_lead(prompt.audio, wanted, start, request.lead_seconds, rate, at_leisure=request.at_leisure)
    return with_tail(led_in, after, overlap) if overlap else faded_out(led_in, rate)


def uncut_inpainting(
    prompt: PromptState, sampler: FrameSampler, request: TakeRequest, start_seconds: float, stop_seconds: float
) -> GeneratedSound:
    """The new sound alone: see `Instrument.uncut_inpainting`."""
    check_request(request, sampler.preset)
    sound = sampler.sound
    start, stop = prompt.part(start_seconds, stop_seconds)
    offset = prompt.context_start(start)
    horizon = stop + round((FUTURE_SECONDS + CROSSFADE_SECONDS) * sound.sample_rate_hz)
    heard = prompt.audio.read(offset, min(horizon, prompt.audio.stop_sample))
    future = heard[stop - offset :] if len(heard) > stop - offset else None
    vocoder = PhaseVocoder(
        sound, phase_lookahead_frames=PHASE_LOOKAHEAD_FRAMES, sweeps=PHASE_SWEEPS, fourier=sampler.fourier
    )
    vocoder.prime(heard[: start - offset], future, stop - start)
    wanted = vocoder.frames_wanted
    count = frames_until(stop - offset, sound) - vocoder.next_frame if wanted is None else wanted
    known = LogMelStream(sound).push(heard)
    frames = _frames_between_edges(
        sampler, request, heard, start - offset, stop - offset, known, vocoder.next_frame, count
    )
    loudest_power = max(prompt.loud_power, frame_powers(known).max(initial=0.0))
    kept_down = (limited(block, loudest_power) for block in frames)
    length = None if wanted is not None else stop - offset - vocoder.next_sample
    made = vocoded(vocoder, kept_down, length, at_leisure=request.at_leisure)
    return GeneratedSound(offset + vocoder.next_sample, made)


def _frames_between_edges(
    sampler: FrameSampler,
    request: TakeRequest,
    heard: Samples,
    start: int,
    stop: int,
    known: Samples,
    first: int,
    count: int,
) -> Iterator[Samples]:
    """Frames ``first`` to ``first + count``, of which those at the edges are nearly known.

    Args:
        heard: the sound around, with samples ``start`` to ``stop`` to be made anew.
        known: its log-mel frames.
    """
    sound = sampler.sound

    def notes_of(each: TakeRequest) -> NoteMaps:
        return note_maps(each, start, 0, sampler.preset.config)

    entering = entering_frames(heard, start, first, sound)
    leaving, follows = leaving_frames(heard, stop, first + count, sound)
    if len(entering) + len(leaving) >= count:  # a part so short that it has no frames of its own
        yield from sampler.draw_between(known, first, count, request, notes_of)
        return
    drawn = count - len(entering) - len(leaving)
    part = np.zeros((drawn, sound.mel_bins), np.float32)
    around = np.concatenate([known[:first], entering, part, leaving, known[first + count :]])
    led = min(round(LED_SECONDS * sound.frames_per_second), drawn)
    yield entering
    for block in sampler.draw_between(around, first + len(entering), drawn, request, notes_of):
        # all of them come at once
        ends = len(block) and len(follows)
        yield np.concatenate([block[:-led], led_to(block[-led:], follows)]) if ends else block
    yield leaving
