"""The instrument: hears audio, and continues, repaints or generates it. No sockets, no devices.

prime -> sample frames -> vocode, as one iterator of audio blocks for each take. Mono float32 at the preset's rate.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from melnet_music.instrument.continuation import continuation, uncut_continuation
from melnet_music.instrument.frame_sampler import FrameSampler
from melnet_music.instrument.generated_sound import GeneratedSound
from melnet_music.instrument.generation import generation
from melnet_music.instrument.inpainting import inpainting, uncut_inpainting
from melnet_music.instrument.joins import CROSSFADE_SECONDS
from melnet_music.instrument.prompt_state import Prompt, PromptState
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.instrument.take_speed import TakeSpeed, measure_take_speed
from melnet_music.model.preset import Preset, load_preset
from melnet_music.notes.ear.ear import Ear
from melnet_music.notes.note_map import Note
from melnet_music.sampling import AUTO, DEFAULT_ENGINE, ENGINES, choose_engine
from melnet_music.sampling.batch import DrawnAhead, DrawnTake
from melnet_music.sampling.choice import Choice
from melnet_music.sampling.engine import Engine
from melnet_music.sampling.failover import FailoverEngine
from melnet_music.sampling.surprise import Surprise, SurpriseMeter
from melnet_music.sound.mel import LogMelStream
from melnet_music.sound.vocoders.phase import FOURIERS, PhaseVocoder

Samples = npt.NDArray[np.float32]
_LOG = logging.getLogger(__name__)

_SILENT_LOADING_SECONDS = 1.0
"""Loading takes longer only when there is something to compile."""


class Instrument:
    """One preset on one engine, and what it has heard. Belongs to one thread.

    Times are in seconds, and samples are numbered, from the last `clear`.
    """

    def __init__(self, preset: Preset, engine: Engine, *, fourier: str = FOURIERS[0]) -> None:
        self.preset, self.engine, self.sound = preset, engine, preset.config.sound
        self.fourier = fourier
        """Of the vocoder; one of `FOURIERS`."""
        self.engine_why = ""
        """Why `load` chose this engine, if it was to choose."""
        self._sampler = FrameSampler(preset, engine, fourier)
        self._prompt = PromptState(self._sampler)

    @classmethod
    def load(
        cls,
        preset: str | Path = "piano",
        *,
        engine: str = DEFAULT_ENGINE,
        threads: int | None = None,
        fourier: str = FOURIERS[0],
    ) -> Instrument:
        """Load a preset by name or folder.

        Args:
            threads: that the engine works on; None: as many as fit.
            fourier: of the vocoder; a take is made again to the sample only with the one that made it.

        Raises:
            ValueError: no such preset, engine or ``fourier``, or a file of the preset is wrong.
        """
        if engine not in ENGINES:
            raise ValueError(f"no engine {engine!r}; there are: {', '.join(ENGINES)}")
        with _telling_why_it_takes_long():
            loaded = load_preset(preset)
            chosen = choose_engine(loaded, threads) if engine == AUTO else Choice(ENGINES[engine](loaded, threads), "")
            instrument = cls(loaded, chosen.engine, fourier=fourier)
            instrument.engine_why = chosen.why
            instrument._compile()
        return instrument

    def _compile(self) -> None:
        """Have all that turns frames into sound and back compiled, or fetched from where it is kept."""
        silence = np.zeros(self.sound.window_samples, np.float32)
        frames = LogMelStream(self.sound).push(silence)
        PhaseVocoder(self.sound, fourier=self.fourier).push(frames)

    @property
    def preset_name(self) -> str:
        return self.preset.name

    @property
    def preset_folder(self) -> Path:
        return self.preset.path

    @property
    def preset_digest(self) -> str:
        return self.preset.digest

    @property
    def engine_name(self) -> str:
        return self.engine.name

    @property
    def sample_rate_hz(self) -> int:
        """Of all audio in and out."""
        return self.sound.sample_rate_hz

    @property
    def chunk_seconds(self) -> float:
        """Length of the frames drawn together by default."""
        return self._sampler.chunk_frames / self.sound.frames_per_second

    @property
    def heard_seconds(self) -> float:
        """Heard since the last clear."""
        return self._prompt.audio.stop_sample / self.sample_rate_hz

    @property
    def crossfade_samples(self) -> int:
        """Length of the crossfades between heard and generated sound."""
        return round(CROSSFADE_SECONDS * self.sample_rate_hz)

    # --- hearing ----------------------------------------------------------------------------------------

    def clear(self) -> None:
        """Forget what was heard."""
        self._prompt.clear()

    def hear(self, audio: Samples) -> None:
        """Append float32[n] to what was heard and prime the model with it; how it is cut makes no difference."""
        self._prompt.hear(audio)

    def use_ear(self, ear: Ear | None) -> None:
        """Have an ear tell the notes of what is heard from now on; None: notes are told no more.

        Raises:
            ValueError: the ear was trained on another sound than the preset's.
        """
        if ear is not None and ear.config.sound != self.sound:
            raise ValueError(
                f"the ear hears {ear.config.sound}, and preset {self.preset_name!r} has {self.sound}: "
                "train one with the preset's [sound]"
            )
        self._prompt.use_ear(ear)

    @property
    def follows_notes(self) -> bool:
        """Whether its takes can be given notes."""
        return self.preset.config.model.note_conditioning

    @property
    def plans_notes(self) -> bool:
        """Whether its preset has the notes of takes planned first, where nobody says otherwise."""
        return self.preset.config.sampling.plan

    @property
    def has_ear(self) -> bool:
        """Whether the notes of what is heard are told."""
        return self._prompt.ear is not None

    def heard_notes(self) -> tuple[Note, ...]:
        """The notes of the last minute, by onset, then pitch; what sounds still ends now. None without an ear."""
        return self._prompt.heard_notes()

    def on_engine_failure(self, tell: Callable[[str], object]) -> None:
        """Have it told, on this thread, when the engine fails and another one goes on in its place."""
        if isinstance(self.engine, FailoverEngine):
            self.engine.on_failure = tell

    def measure_surprise(self, on: bool) -> None:
        """Have what is heard from now on judged, or not any more: see `surprises`."""
        if not on:
            self._prompt.meter = None
        elif self._prompt.meter is None:
            self._prompt.meter = SurpriseMeter(self.engine, len(self.preset.config.model.tiers), self.chunk_seconds)

    def surprises(self) -> list[Surprise]:
        """How surprising what was heard since this was asked last was, a chunk of frames each, oldest first."""
        return self._prompt.meter.told() if self._prompt.meter else []

    def begin_at(self, first_sample: int) -> int:
        """Clear, and go on as if so much had been heard and forgotten.

        Returns:
            the number of the next sample to be heard: ``first_sample``, or a little more, on a frame's centre.
        """
        hop = self.sound.hop_samples
        begins = -(-first_sample // hop) * hop
        self._prompt.clear(begins)
        return begins

    @property
    def most_takes(self) -> int:
        """How many takes are drawn together, see `TakeRequest.alternatives`; 1: each by itself."""
        return self.engine.most_takes

    def going_on(self, drawn: DrawnTake) -> Instrument:
        """The same preset, to make one take whose first chunks are drawn already."""
        other = Instrument(self.preset, DrawnAhead(self.engine, drawn), fourier=self.fourier)
        other._prompt.use_ear(self._prompt.ear)
        return other

    def beside(self, audio: Samples) -> Instrument:
        """The same preset and engine, having heard only ``audio``, to inpaint in: it is not primed to continue.

        It knows no notes of it before `listen_again`.
        """
        other = Instrument(self.preset, self.engine, fourier=self.fourier)
        other._prompt.use_ear(self._prompt.ear)
        other._prompt.audio.append(audio)
        return other

    def listen_again(self) -> Iterator[None]:
        """Have the ear tell the notes of all the sound that is kept, step by step; without an ear there are none.

        For an instrument that was made by `beside`: the notes of another are told as it hears.
        """
        return self._prompt.listen_again()

    def prompt(self, request: TakeRequest, part: tuple[float, float] | None = None) -> Prompt:
        """What a take depends on besides its request, the preset and the engine, as it is now: named arrays.

        Args:
            part: second where an inpainting starts and where it stops; None: a continuation, or a generation.
        """
        return self._prompt.saved(request, part)

    def remember(self, prompt: Prompt) -> None:
        """Be as when `prompt` was asked for, as far as that take goes; hears nothing more until cleared.

        Raises:
            ValueError: it is of another preset, or damaged.
        """
        self._prompt.restore(prompt)

    # --- takes ------------------------------------------------------------------------------------------

    def continuation(self, request: TakeRequest) -> Iterator[Samples]:
        """``lead_seconds`` of what was heard, crossfaded into ``seconds`` of new sound: float32[n] a block.

        Raises:
            ValueError: a value is out of range, or nothing was heard yet.
        """
        return continuation(self._prompt, self._sampler, request)

    def generation(self, request: TakeRequest) -> Iterator[Samples]:
        """``seconds`` of new sound out of nothing, float32[n] a block: what was heard plays no part.

        Raises:
            ValueError: a value is out of range.
        """
        return generation(self._sampler, request)

    def inpainting(self, request: TakeRequest, start_seconds: float, stop_seconds: float) -> Iterator[Samples]:
        """Part of what was heard, made anew, with ``lead`` and ``tail`` around it: float32[n] a block.

        Raises:
            ValueError: a value is out of range, or the part was not heard or is not kept.
        """
        return inpainting(self._prompt, self._sampler, request, start_seconds, stop_seconds)

    def uncut_continuation(self, request: TakeRequest) -> GeneratedSound:
        """The new sound of `continuation` before its crossfade: it starts before the join, ends ``seconds`` after it.

        Raises:
            ValueError: as `continuation`.
        """
        return uncut_continuation(self._prompt, self._sampler, request)

    def uncut_inpainting(self, request: TakeRequest, start_seconds: float, stop_seconds: float) -> GeneratedSound:
        """The new sound of `inpainting` before its crossfades: it starts before ``start`` and ends after ``stop``.

        Raises:
            ValueError: as `inpainting`.
        """
        return uncut_inpainting(self._prompt, self._sampler, request, start_seconds, stop_seconds)

    def measure_speed(self, clock: Callable[[], float] = time.perf_counter) -> TakeSpeed:
        """How fast takes are made here and now; what was heard is left alone."""
        return measure_take_speed(self._sampler, clock)


@contextmanager
def _telling_why_it_takes_long() -> Iterator[None]:
    message = "still loading: a first start compiles for this processor, some ten seconds, and keeps what it compiled"
    timer = threading.Timer(_SILENT_LOADING_SECONDS, _LOG.warning, [message])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
