"""What the instrument hears besides the input: files, and phrases that it renders itself; and forgetting it all."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bridge.audio.shared_samples import Samples
from bridge.player.listening import hear, hear_input
from bridge.player.state import HEARD_AT_ONCE_SECONDS, PlayerState, Steps
from bridge.processes.job import Job, Phrase
from bridge.processes.messages import PrimeClear, PrimeFile, RenderPhrase, Report, RequestError
from bridge.takes.take_request import notes_of, request_of
from bridge.tape.live_input import HELD_SECONDS
from melnet_music.instrument.phrase import rendered_phrase
from melnet_music.sound.audio_file import read_audio
from melnet_music.sound.resample import StreamResampler

if TYPE_CHECKING:
    from melnet_music.instrument.instrument import Instrument
    from melnet_music.instrument.take_request import TakeRequest

_PRIME_FILE_BYTES = 1 << 30
_SILENT_PEAK = 1e-5


def prime_file(state: PlayerState, request: PrimeFile) -> Steps:
    """Have the instrument hear part of an audio file.

    Raises:
        RequestError: no preset is loaded, or the file cannot be read, is too large, or is silent there.
    """
    instrument = state.loaded_instrument()
    audio = _read_file(request, instrument.sample_rate_hz)
    at_once = round(HEARD_AT_ONCE_SECONDS * instrument.sample_rate_hz)
    for first in range(0, len(audio), at_once):
        yield
        hear(state, instrument, audio[first : first + at_once])
    state.tell(Report(request.number, "done", (("seconds", len(audio) / instrument.sample_rate_hz),)))


def _read_file(request: PrimeFile, sample_rate_hz: int) -> Samples:
    """Mono float32[N] at a rate."""
    path = Path(request.path)
    try:
        if path.stat().st_size > _PRIME_FILE_BYTES:
            raise ValueError(f"{path} is larger than {_PRIME_FILE_BYTES >> 20} MiB; cut out what is needed")
        clip = read_audio(path)
    except (ValueError, OSError) as error:
        raise RequestError("bad_file", str(error)) from error
    start = round(request.start_seconds * clip.sample_rate_hz)
    samples = clip.samples[start : start + round(request.seconds * clip.sample_rate_hz)]
    mono = samples.mean(axis=1, dtype=np.float64).astype(np.float32)
    if np.abs(mono).max(initial=0.0) < _SILENT_PEAK:
        raise RequestError("bad_file", f"{path} is silent there; its {clip.seconds:.3g} s are not heard")
    resampler = StreamResampler(clip.sample_rate_hz, sample_rate_hz)
    return np.concatenate([resampler.push(mono), resampler.flush()])


def clear_prompt(state: PlayerState, request: PrimeClear) -> Steps:
    """Forget all that was heard.

    Raises:
        RequestError: no preset is loaded.
    """
    instrument = state.loaded_instrument()
    instrument.clear()
    state.prompt_memory.forget(instrument.sample_rate_hz)
    if state.load:
        state.load.primed_until = None
    state.live_input.forget()
    state.tell(Report(request.number, "done"))
    yield from ()


def render_phrase(state: PlayerState, request: RenderPhrase) -> Steps:
    """Have the instrument render a phrase that was played, and hear it.

    Raises:
        RequestError: no preset is loaded.
        ValueError: the preset was not trained with notes.
    """
    assert request.phrase is not None
    job = Job(request.number, "generate", request.seed, request.phrase.seconds)
    hear_input(state, HELD_SECONDS)
    yield from hear_phrase(state, request.phrase, request_of(job, state.request_type))
    values = (("notes", len(request.phrase.notes)), ("seconds", request.phrase.seconds))
    state.tell(Report(request.number, "done", values))


def hear_phrase(state: PlayerState, phrase: Phrase, request: TakeRequest) -> Steps:
    """The rendering itself; ``request`` says with which seed and temperature."""
    instrument = state.loaded_instrument()
    request = replace(request, seconds=phrase.seconds, lead_seconds=0.0, notes=notes_of(phrase.notes), rests=True)
    made = []
    with closing(rendered_phrase(instrument, request)) as blocks:
        for block in blocks:
            made.append(block)
            yield
    at_once = round(HEARD_AT_ONCE_SECONDS * instrument.sample_rate_hz)
    audio = np.concatenate(made)
    for first in range(0, len(audio), at_once):
        hear(state, instrument, audio[first : first + at_once])
        yield


def hear_again(state: PlayerState, instrument: Instrument) -> Steps:
    """Have an instrument that is being loaded hear what is in the prompt memory and it has not heard yet."""
    load = state.load
    assert load is not None
    at_once = round(HEARD_AT_ONCE_SECONDS * instrument.sample_rate_hz)
    while True:
        first, audio = state.prompt_memory.recall(instrument.sample_rate_hz)
        if load.primed_until is None or not first <= load.primed_until <= first + len(audio):
            load.primed_until = instrument.begin_at(first)
        unheard = audio[load.primed_until - first :][:at_once]
        if not len(unheard):
            return
        instrument.hear(unheard)
        load.primed_until += len(unheard)
        yield  # and meanwhile all may be forgotten
