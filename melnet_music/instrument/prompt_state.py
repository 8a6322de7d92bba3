"""What was heard, and the model's state after it: what a take goes on from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from melnet_music.instrument.frame_sampler import FrameSampler
from melnet_music.instrument.heard_audio import HeardAudio
from melnet_music.instrument.joins import CROSSFADE_SECONDS
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.notes.ear.ear import Ear
from melnet_music.notes.ear.heard_notes import HeardNotes, note_rows, notes_of_rows
from melnet_music.notes.note_map import Note
from melnet_music.sampling.engine import SamplerState, state_arrays, state_from_arrays
from melnet_music.sampling.surprise import SurpriseMeter
from melnet_music.sound.level_hold import UsualLevel
from melnet_music.sound.limiter import frame_powers, loud_power, usual_power
from melnet_music.sound.mel import LogMelStream

Samples = npt.NDArray[np.float32]
Prompt = dict[str, npt.NDArray[Any]]
"""Named arrays: see `PromptState.saved`."""

KEPT_SECONDS = 600.0
"""How much heard audio is kept at least."""
FUTURE_SECONDS = 4.0
"""How much of the known future an inpainted part is shown."""
_LISTENING_STEP_SECONDS = 1
PAUSE_POWER = 1e-6
"""Frames so far below what is loud are a pause."""


class PromptState:
    """Heard audio and the model primed with it. Samples are numbered from the last clear."""

    audio: HeardAudio
    notes: HeardNotes
    """None are told without an ear."""
    state: SamplerState
    """After all whole chunks of heard frames."""
    unprimed: Samples
    """Log-mel frames ``[t, M]`` after those that the state knows, less than a chunk."""
    loudest_power: float
    """Of the loudest frame heard, or of what counts as loud for the preset."""
    usual: UsualLevel

    def __init__(self, sampler: FrameSampler) -> None:
        self._sampler, self.sound = sampler, sampler.sound
        self.ear: Ear | None = None
        self.meter: SurpriseMeter | None = None
        """Judges what is heard before the model is primed with it."""
        self.loud_power = loud_power(sampler.preset.weights)
        """Of a frame that is loud for what the preset was trained on."""
        self.clear()

    def clear(self, first_sample: int = 0) -> None:
        """Forget what was heard; the next sample to be heard has the number ``first_sample``."""
        self.audio = HeardAudio(round(KEPT_SECONDS * self.sound.sample_rate_hz), first_sample)
        self.notes = HeardNotes(self.ear, first_sample / self.sound.sample_rate_hz)
        self._mel, self._first_sample = LogMelStream(self.sound), first_sample
        self.state = self._sampler.engine.init_state()
        self.unprimed = self._sampler.no_frames
        self.loudest_power = self.loud_power
        self.usual = UsualLevel(
            usual_power(self._sampler.preset.weights), PAUSE_POWER * self.loud_power, self.sound.frames_per_second
        )

    def hear(self, audio: Samples) -> None:
        """Append mono float32[n] and prime the model with it; how it is cut makes no difference."""
        self.audio.append(audio)
        frames = self._mel.push(audio)
        self.notes.hear(frames)
        self.loudest_power = max(self.loudest_power, frame_powers(frames).max(initial=0.0))
        self.usual.hear(frames)
        unprimed = np.concatenate([self.unprimed, frames])
        self.state, self.unprimed = self._sampler.prime(self.state, unprimed, self._sampler.chunk_frames, self.meter)

    def use_ear(self, ear: Ear | None) -> None:
        """Have an ear tell the notes of what is heard from now on; those that are known stay known."""
        known, self.ear = self.heard_notes(), ear
        next_frame = self._first_sample + self._mel.state().frames * self.sound.hop_samples
        self.notes = HeardNotes(ear, next_frame / self.sound.sample_rate_hz, known)

    def listen_again(self) -> Iterator[None]:
        """Have the ear tell the notes of all the audio that is kept, step by step."""
        rate, first = self.sound.sample_rate_hz, self.audio.start_sample
        mel, self.notes = LogMelStream(self.sound), HeardNotes(self.ear, first / rate)
        for place in range(first, self.audio.stop_sample if self.ear else first, _LISTENING_STEP_SECONDS * rate):
            stop = min(place + _LISTENING_STEP_SECONDS * rate, self.audio.stop_sample)
            self.notes.hear(mel.push(self.audio.read(place, stop)))
            yield

    def heard_notes(self) -> tuple[Note, ...]:
        """The notes of the last minute, see `HeardNotes.notes`."""
        return self.notes.notes(self.audio.stop_sample / self.sound.sample_rate_hz)

    def part(self, start_seconds: float, stop_seconds: float) -> tuple[int, int]:
        """First sample of a part of the heard audio, and the one after its last.

        Raises:
            ValueError: it is not in what was heard and is kept.
        """
        rate = self.sound.sample_rate_hz
        start, stop = (round(seconds * rate) for seconds in (start_seconds, stop_seconds))
        if not self.audio.start_sample <= start < stop <= self.audio.stop_sample:
            oldest, newest = self.audio.start_sample / rate, self.audio.stop_sample / rate
            raise ValueError(
                f"cannot repaint {start_seconds:g} s to {stop_seconds:g} s: want start before stop, "
                f"both on the tape, which holds {oldest:g} s to {newest:g} s"
            )
        return start, stop

    def context_start(self, stop_sample: int) -> int:
        """Where the context before a sample begins: on a frame's centre, so that frames line up with those heard."""
        context = round(self._sampler.preset.config.sampling.context_seconds * self.sound.sample_rate_hz)
        earliest = max(self.audio.start_sample, stop_sample - context)
        hop = self.sound.hop_samples
        return min(-(-earliest // hop) * hop, stop_sample)

    def saved(self, request: TakeRequest, part: tuple[float, float] | None = None) -> Prompt:
        """What a take depends on besides its request, the preset and the engine: see `Instrument.prompt`."""
        start, stop = (self.audio.stop_sample,) * 2
        if part is not None:
            start, stop = self.part(*part)
        lead, tail, future = (
            round(seconds * self.sound.sample_rate_hz)
            for seconds in (request.lead_seconds, request.tail_seconds, FUTURE_SECONDS + CROSSFADE_SECONDS)
        )
        first = max(min(self.context_start(start), start - lead), self.audio.start_sample)
        last = min(stop + max(tail, future), self.audio.stop_sample)
        heard = self.heard_notes()
        return {
            **({"notes": note_rows(heard)} if heard else {}),
            "audio": self.audio.read(first, last),
            "place": np.array([first, self.audio.stop_sample]),
            "unprimed": self.unprimed,
            "loudest_power": np.array([self.loudest_power]),
            "usual_power": np.array([self.usual.power]),
            **{f"state.{name}": array for name, array in state_arrays(self.state).items()},
        }

    def restore(self, prompt: Prompt) -> None:
        """Be as when `saved` returned this, as far as that take goes; hears nothing more until cleared.

        Raises:
            ValueError: it is of another preset, or damaged.
        """
        self.clear()
        try:
            first, stop = (int(place) for place in prompt["place"])
            audio, unprimed = prompt["audio"], prompt["unprimed"]
            self.loudest_power = float(prompt["loudest_power"][0])
            self.usual.power = float(prompt["usual_power"][0])
            notes = notes_of_rows(prompt["notes"]) if "notes" in prompt else []
        except (KeyError, ValueError) as error:
            raise ValueError(f"the prompt is not whole ({error}): fetch it again") from None
        arrays = {name.removeprefix("state."): array for name, array in prompt.items() if name.startswith("state.")}
        self.state = state_from_arrays(arrays, self.state)
        self.unprimed = unprimed
        self.notes = HeardNotes(known=notes)
        self.audio = HeardAudio(round(KEPT_SECONDS * self.sound.sample_rate_hz), first)
        self.audio.append(audio)
        self.audio.append(np.zeros(stop - self.audio.stop_sample, np.float32))
