"""Continuation: what was heard, then new sound that goes on from it in its phase."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from melnet_music.instrument.frame_sampler import FrameSampler
from melnet_music.instrument.generated_sound import GeneratedSound, frames_until, vocoded
from melnet_music.instrument.joins import faded_out, with_lead
from melnet_music.instrument.prompt_state import PromptState
from melnet_music.instrument.take_notes import note_maps
from melnet_music.instrument.take_request import TakeRequest, check_request
from melnet_music.sound.vocoders.phase import PhaseVocoder

Samples = npt.NDArray[np.float32]


def continuation(prompt: PromptState, sampler: FrameSampler, request: TakeRequest) -> Iterator[Samples]:
    """Lead and new sound, crossfaded: see `Instrument.continuation`."""
    sound, rate = uncut_continuation(prompt, sampler, request), sampler.sound.sample_rate_hz
    stop, leisure = prompt.audio.stop_sample, request.at_leisure
    return faded_out(with_lead(prompt.audio, sound, stop, request.lead_seconds, rate, at_leisure=leisure), rate)


def uncut_continuation(prompt: PromptState, sampler: FrameSampler, request: TakeRequest) -> GeneratedSound:
    """The new sound alone: see `Instrument.uncut_continuation`."""
    check_request(request, sampler.preset)
    sound, heard = sampler.sound, prompt.audio.stop_sample
    if not heard:
        raise ValueError("nothing was heard yet to continue: play something in first, or generate from nothing")
    offset = prompt.context_start(heard)
    vocoder = PhaseVocoder(sound, fourier=sampler.fourier)
    vocoder.prime(prompt.audio.read(offset, heard))
    stop = heard - offset + round(request.seconds * sound.sample_rate_hz)
    state, known = sampler.prime(prompt.state, prompt.unprimed, request.chunk_frames or sampler.chunk_frames)
    first_known = offset // sound.hop_samples + vocoder.next_frame - len(known)
    frames = sampler.draw_on(
        state,
        known,
        frames_until(stop, sound) - vocoder.next_frame,
        request,
        lambda each: note_maps(each, heard, first_known, sampler.preset.config),
        usual_power=prompt.usual.power,
        loudest_power=prompt.loudest_power,
    )
    start = vocoder.next_sample
    return GeneratedSound(offset + start, vocoded(vocoder, frames, stop - start, at_leisure=request.at_leisure))
