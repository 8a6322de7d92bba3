"""Generation: new sound out of nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from melnet_music.instrument.frame_sampler import FrameSampler
from melnet_music.instrument.generated_sound import frames_until, vocoded
from melnet_music.instrument.joins import faded_in, faded_out
from melnet_music.instrument.take_notes import note_maps
from melnet_music.instrument.take_request import TakeRequest, check_request
from melnet_music.sound.limiter import loud_power, usual_power
from melnet_music.sound.vocoders.phase import PhaseVocoder

Samples = npt.NDArray[np.float32]


def generation(sampler: FrameSampler, request: TakeRequest) -> Iterator[Samples]:
    """New sound, faded in and out: see `Instrument.generation`."""
    check_request(request, sampler.preset)
    sound, weights = sampler.sound, sampler.preset.weights
    length = round(request.seconds * sound.sample_rate_hz)
    frames = sampler.draw_on(
        sampler.engine.init_state(),
        sampler.no_frames,
        frames_until(length, sound),
        request,
        lambda each: note_maps(each, 0, 0, sampler.preset.config),
        usual_power=usual_power(weights),
        loudest_power=loud_power(weights),
    )
    blocks = vocoded(PhaseVocoder(sound, fourier=sampler.fourier), frames, length)
    return faded_out(faded_in(blocks, sound.sample_rate_hz), sound.sample_rate_hz)
