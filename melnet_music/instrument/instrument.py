"""The instrument: hears audio, and continues, repaints or invents it. No sockets, no devices.

prime -> sample frames -> vocode, as one iterator of audio blocks for each take. Mono float32 at the preset's rate.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from melnet_music.instrument.heard_audio import HeardAudio
from melnet_music.model.conditioning import Conditioning
from melnet_music.model.preset import Preset, load_preset
from melnet_music.notes.note_map import Note, note_map
from melnet_music.sampling import DEFAULT_ENGINE, ENGINES
from melnet_music.sampling.engine import (
    Chunk,
    Engine,
    Forced,
    SamplerState,
    Sharpness,
    state_arrays,
    state_from_arrays,
    take_noise,
)
from melnet_music.sound.crossfade import crossfade, fade_in, fade_out
from melnet_music.sound.edges import LED_SECONDS, entering_frames, leaving_frames, led_to
from melnet_music.sound.level_hold import LevelHold, UsualLevel
from melnet_music.sound.limiter import frame_powers, limited, loud_power, soft_clipped, usual_power
from melnet_music.sound.mel import LogMelStream
from melnet_music.sound.vocoders.phase import PhaseVocoder

Samples = npt.NDArray[np.float32]
PlayedNotes = Callable[[int, int], Samples | None]
"""(first frame, number of frames) -> their note map ``[1, T, M, 2]``; None: nothing is known about notes."""
Prompt = dict[str, npt.NDArray[Any]]
"""Named arrays: see `Instrument.prompt`."""
_LOG = logging.getLogger(__name__)

TAPE_SECONDS = 600.0
SEAM_SECONDS = 512 / 22050
"""Length of the crossfades between what was heard and what is generated."""
COLD_FADE_SECONDS = 0.005
"""Fade at an end of a take that is joined to nothing."""
FUTURE_SECONDS = 4.0
"""How much of the known future a repainted part is shown."""
PAUSE_POWER = 1e-6
"""Frames so far below what is loud are a pause."""
_MEASURED_SECONDS, _MOST_MEASURED_CHUNKS = 0.15, 16
"""How long the speed is measured: it is part of every start."""
_SILENT_LOADING_SECONDS = 1.0
"""Loading takes longer only when there is something to compile."""
REPAINT_LOOKAHEAD_FRAMES = REPAINT_SWEEPS = 8
"""Of the vocoder, where nobody waits for the sound."""


class LiveNotes(Protocol):
    """Notes that are played while a take is made."""

    def until_now(self, start_s: float, frames: int, frame_s: float) -> Sequence[Note]:
        """Asked once for every chunk, in order, just before it is drawn: the notes that sound in it.

        Those asked for later must say the same of this chunk.

        Args:
            start_s: where its first frame lies, in seconds from where the new sound begins.
            frames, frame_s: how many there are, and how far apart.
        """


@dataclass(frozen=True)
class TakeRequest:
    """What to make. None stands for the preset's own value."""

    seconds: float
    """New audio of a continuation or generation; ignored by an inpainting."""
    seed: int
    temperature: float | None = None
    bias: float | None = None
    lead_seconds: float = 0.0
    """How much of what was heard before it comes first."""
    tail_seconds: float = 0.0
    """How much of what was heard after it comes last (inpainting)."""
    chunk_frames: int | None = None
    """Frames made together: fewer are sooner ready, more see further ahead."""
    notes: tuple[Note, ...] | LiveNotes | None = None
    """What the new sound shall play, in seconds from where it begins. None: what it likes; none in it: nothing."""
    rests: bool = True
    """Whether it rests where none of these notes sounds; else it is free there."""


@dataclass(frozen=True)
class TakeSpeed:
    """How fast takes are made."""

    real_time_factor: float
    """Seconds of sound made in a second."""
    first_sound_seconds: float
    """From the beginning of the work to the first sound."""


@dataclass(frozen=True)
class GeneratedSound:
    """New sound on the tape's timeline, before any crossfade."""

    start_sample: int
    """Where its first sample lies: before the join, for the crossfade."""
    blocks: Iterator[Samples]
    """float32[n]; empty blocks only tell that work goes on."""


class Instrument:
    """One preset on one engine, and what it has heard. Belongs to one thread."""

    def __init__(self, preset: Preset, engine: Engine) -> None:
        self.preset, self.engine, self.sound = preset, engine, preset.config.sound
        self._chunk_frames = preset.config.sampling.chunk_frames
        self._loud_power = loud_power(preset.weights)
        self.clear()

    @classmethod
    def load(
        cls, preset: str | Path = "piano", *, engine: str = DEFAULT_ENGINE, threads: int | None = None
    ) -> Instrument:
        """Load a preset by name or folder.

        Args:
            threads: that the engine works on; None: as many as fit.

        Raises:
            ValueError: no such preset or engine, or a file of the preset is wrong.
        """
        if engine not in ENGINES:
            raise ValueError(f"no engine {engine!r}; there are: {', '.join(ENGINES)}")
        with _telling_why_it_takes_long():
            loaded = load_preset(preset)
            instrument = cls(loaded, ENGINES[engine](loaded, threads))
            instrument._compile()
        return instrument

    def _compile(self) -> None:
        """Have all that turns frames into sound and back compiled, or fetched from where it is kept."""
        silence = np.zeros(self.sound.window_samples, np.float32)
        frames = LogMelStream(self.sound).push(silence)
        PhaseVocoder(self.sound).push(frames)

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
        """Length of the frames made together by default."""
        return self._chunk_frames / self.sound.frames_per_second

    @property
    def heard_seconds(self) -> float:
        """Heard since the last clear: the length of the tape's timeline."""
        return self._tape.stop_sample / self.sample_rate_hz

    @property
    def seam_samples(self) -> int:
        """Length of the crossfades between heard and generated sound."""
        return round(SEAM_SECONDS * self.sample_rate_hz)

    # --- hearing ----------------------------------------------------------------------------------------

    def clear(self) -> None:
        """Forget what was heard."""
        self._tape = HeardAudio(round(TAPE_SECONDS * self.sample_rate_hz))
        self._mel = LogMelStream(self.sound)
        self._state = self.engine.init_state()
        self._unprimed = np.zeros((0, self.sound.mel_bins), np.float32)
        self._loudest_power = self._loud_power
        """Of a frame heard, or of what counts as loud."""
        self._usual = UsualLevel(
            usual_power(self.preset.weights), PAUSE_POWER * self._loud_power, self.sound.frames_per_second
        )

    def hear(self, audio: Samples) -> None:
        """Append float32[n] to the tape and prime the model with it; how it is cut makes no difference."""
        self._tape.append(audio)
        frames = self._mel.push(audio)
        self._loudest_power = max(self._loudest_power, frame_powers(frames).max(initial=0.0))
        self._usual.hear(frames)
        self._unprimed = np.concatenate([self._unprimed, frames])
        self._state, self._unprimed = self._prime(self._state, self._unprimed, self._chunk_frames)

    def _prime(self, state: SamplerState, frames: Samples, chunk: int) -> tuple[SamplerState, Samples]:
        """Feed all whole chunks of log-mel ``[T, M]``; returns the state after them and the frames left over."""
        whole = len(frames) // chunk * chunk
        # always one chunk a call: sums over other shapes round differently, and a take would hang on block sizes
        for first in range(0, whole, chunk):
            state = self.engine.prime(state, self._normalised(frames[first : first + chunk]), chunk)
        return state, frames[whole:]

    def begin_at(self, first_sample: int) -> int:
        """Clear, and go on as if so much had been heard and forgotten.

        Returns:
            the number of the next sample to be heard: ``first_sample``, or a little more, on a frame's centre.
        """
        self.clear()
        hop = self.sound.hop_samples
        begins = -(-first_sample // hop) * hop
        self._tape = HeardAudio(round(TAPE_SECONDS * self.sample_rate_hz), begins)
        return begins

    def beside(self, audio: Samples) -> Instrument:
        """The same preset and engine with another tape, ``audio``, to repaint in: it is not primed for more."""
        other = Instrument(self.preset, self.engine)
        other._tape.append(audio)
        return other

    def prompt(self, request: TakeRequest, part: tuple[float, float] | None = None) -> Prompt:
        """What a take depends on besides its request, the preset and the engine, as it is now.

        Args:
            part: second where an inpainting starts and where it stops; None: a continuation, or a generation.
        """
        start, stop = (self._tape.stop_sample,) * 2
        if part is not None:
            start, stop = self._part(*part)
        lead, tail, future = (
            round(seconds * self.sample_rate_hz)
            for seconds in (request.lead_seconds, request.tail_seconds, FUTURE_SECONDS + SEAM_SECONDS)
        )
        first = max(min(self._context_start(start), start - lead), self._tape.start_sample)
        last = min(stop + max(tail, future), self._tape.stop_sample)
        return {
            "audio": self._tape.read(first, last),
            "place": np.array([first, self._tape.stop_sample]),
            "unprimed": self._unprimed,
            "loudest_power": np.array([self._loudest_power]),
            "usual_power": np.array([self._usual.power]),
            **{f"state.{name}": array for name, array in state_arrays(self._state).items()},
        }

    def remember(self, prompt: Prompt) -> None:
        """Be as when `prompt` was asked for, as far as that take goes; hears nothing more until cleared.

        Raises:
            ValueError: it is of another preset, or damaged.
        """
        self.clear()
        try:
            first, stop = (int(place) for place in prompt["place"])
            audio, unprimed = prompt["audio"], prompt["unprimed"]
            self._loudest_power = float(prompt["loudest_power"][0])
            self._usual.power = float(prompt["usual_power"][0])
        except (KeyError, ValueError) as error:
            raise ValueError(f"the prompt is not whole ({error}): fetch it again") from None
        arrays = {name.removeprefix("state."): array for name, array in prompt.items() if name.startswith("state.")}
        self._state = state_from_arrays(arrays, self._state)
        self._unprimed = unprimed
        self._tape = HeardAudio(round(TAPE_SECONDS * self.sample_rate_hz), first)
        self._tape.append(audio)
        self._tape.append(np.zeros(stop - self._tape.stop_sample, np.float32))

    # --- takes ------------------------------------------------------------------------------------------

    def continuation(self, request: TakeRequest) -> Iterator[Samples]:
        """``lead_seconds`` of what was heard, joined without a seam to ``seconds`` of new sound.

        Raises:
            ValueError: a value is out of range, or nothing was heard yet.
        """
        sound = self.continuing(request)
        return self._faded_out(self._led_in(sound, self._tape.stop_sample, request.lead_seconds))

    def generation(self, request: TakeRequest) -> Iterator[Samples]:
        """``seconds`` of new sound out of nothing: what was heard plays no part.

        Raises:
            ValueError: a value is out of range.
        """
        self._check(request)
        vocoder = PhaseVocoder(self.sound)
        length = round(request.seconds * self.sample_rate_hz)
        played = self._played_notes(request, 0, 0)
        hold = self._level_hold(usual_power(self.preset.weights))
        frames = self._sampled_frames(
            self.engine.init_state(), self._no_frames, self._frames_until(length), request, played, hold
        )
        frames = self._kept_down(frames, self._loud_power)
        return self._faded_out(self._faded_in(_vocoded(vocoder, frames, length)))

    def inpainting(self, request: TakeRequest, start_seconds: float, stop_seconds: float) -> Iterator[Samples]:
        """Part of the tape repainted between its kept past and future, with ``lead`` and ``tail`` around it.

        Raises:
            ValueError: a value is out of range, or the part is not on the tape.
        """
        sound = self.repainting(request, start_seconds, stop_seconds)
        start, stop = self._part(start_seconds, stop_seconds)
        tail = min(round(request.tail_seconds * self.sample_rate_hz), self._tape.stop_sample - stop)
        after = self._tape.read(stop, stop + tail)
        overlap = min(tail, self.seam_samples)
        uncut = GeneratedSound(sound.start_sample, _limited(sound.blocks, stop + overlap - sound.start_sample))
        led_in = self._led_in(uncut, start, request.lead_seconds)
        if not overlap:
            return self._faded_out(led_in)
        return _ended(led_in, overlap, lambda end: np.concatenate([crossfade(end, after[:overlap]), after[overlap:]]))

    def continuing(self, request: TakeRequest) -> GeneratedSound:
        """The new sound of `continuation`, uncut: it starts before the join and ends ``seconds`` after it."""
        self._check(request)
        heard = self._tape.stop_sample
        if not heard:
            raise ValueError("nothing was heard yet to continue: play something in first, or generate from nothing")
        offset = self._context_start(heard)
        vocoder = PhaseVocoder(self.sound)
        vocoder.prime(self._tape.read(offset, heard))
        stop = heard - offset + round(request.seconds * self.sample_rate_hz)
        state, known = self._prime(self._state, self._unprimed, request.chunk_frames or self._chunk_frames)
        played = self._played_notes(request, heard, offset // self.sound.hop_samples + vocoder.next_frame - len(known))
        count, hold = self._frames_until(stop) - vocoder.next_frame, self._level_hold(self._usual.power)
        frames = self._sampled_frames(state, known, count, request, played, hold)
        frames = self._kept_down(frames, self._loudest_power)
        start = vocoder.next_sample
        return GeneratedSound(offset + start, _vocoded(vocoder, frames, stop - start))

    def repainting(self, request: TakeRequest, start_seconds: float, stop_seconds: float) -> GeneratedSound:
        """The new sound of `inpainting`, uncut: it starts before ``start`` and ends after ``stop``."""
        self._check(request)
        start, stop = self._part(start_seconds, stop_seconds)
        offset = self._context_start(start)
        horizon = stop + round((FUTURE_SECONDS + SEAM_SECONDS) * self.sample_rate_hz)
        heard = self._tape.read(offset, min(horizon, self._tape.stop_sample))
        future = heard[stop - offset :] if len(heard) > stop - offset else None
        vocoder = PhaseVocoder(self.sound, phase_lookahead_frames=REPAINT_LOOKAHEAD_FRAMES, sweeps=REPAINT_SWEEPS)
        vocoder.prime(heard[: start - offset], future, stop - start)
        wanted = vocoder.frames_wanted
        count = self._frames_until(stop - offset) - vocoder.next_frame if wanted is None else wanted
        known = LogMelStream(self.sound).push(heard)
        frames = self._between_edges(heard, start - offset, stop - offset, known, vocoder.next_frame, count, request)
        frames = self._kept_down(frames, max(self._loud_power, frame_powers(known).max(initial=0.0)))
        length = None if wanted is not None else stop - offset - vocoder.next_sample
        return GeneratedSound(offset + vocoder.next_sample, _vocoded(vocoder, frames, length))

    def measure_speed(self, clock: Callable[[], float] = time.perf_counter) -> TakeSpeed:
        """How fast takes are made here and now; what was heard is left alone."""
        self._time_take(1, clock)  # pays for warming up
        first_sound, one = self._time_take(1, clock)
        chunks = min(max(int(_MEASURED_SECONDS / one), 2), _MOST_MEASURED_CHUNKS)
        _, all_of_it = self._time_take(chunks, clock)
        return TakeSpeed(chunks * self.chunk_seconds / all_of_it, first_sound)

    def _time_take(self, chunks: int, clock: Callable[[], float]) -> tuple[float, float]:
        """Seconds to the first sound of a take of so many chunks, and to its end."""
        seconds = (chunks * self._chunk_frames - 2) / self.sound.frames_per_second  # fills them, and no more
        started, first_sound = clock(), None
        for block in self.generation(TakeRequest(seconds=seconds, seed=0)):
            if len(block) and first_sound is None:
                first_sound = clock() - started
        return first_sound or 0.0, clock() - started

    # --- checks and places ------------------------------------------------------------------------------

    def _check(self, request: TakeRequest) -> None:
        group, chunk = self.preset.config.model.frames_per_group, request.chunk_frames
        if not 0 < request.seconds <= TAPE_SECONDS:
            raise ValueError(f"seconds is {request.seconds:g}, want more than 0 and at most {TAPE_SECONDS:g}")
        if request.seed < 0:
            raise ValueError(f"seed is {request.seed}, want 0 or more")
        if chunk is not None and (chunk < group or chunk % group):
            raise ValueError(f"chunk_frames is {chunk}, want a multiple of {group} (this preset's time splits)")
        for name, seconds in (("lead_seconds", request.lead_seconds), ("tail_seconds", request.tail_seconds)):
            if not seconds >= 0:
                raise ValueError(f"{name} is {seconds:g}, want 0 or more")
        if request.temperature is not None and not 0 < request.temperature <= 2:
            raise ValueError(f"temperature is {request.temperature:g}, want more than 0 and at most 2")
        if request.bias is not None and not 0 <= request.bias <= 10:
            raise ValueError(f"bias is {request.bias:g}, want 0 to 10")
        if request.notes is not None and not self.preset.config.model.note_conditioning:
            raise ValueError(f"preset {self.preset_name!r} follows no notes: it was built without note_conditioning")

    def _part(self, start_seconds: float, stop_seconds: float) -> tuple[int, int]:
        start, stop = (round(seconds * self.sample_rate_hz) for seconds in (start_seconds, stop_seconds))
        if not self._tape.start_sample <= start < stop <= self._tape.stop_sample:
            oldest = self._tape.start_sample / self.sample_rate_hz
            raise ValueError(
                f"cannot repaint {start_seconds:g} s to {stop_seconds:g} s: want start before stop, "
                f"both on the tape, which holds {oldest:g} s to {self.heard_seconds:g} s"
            )
        return start, stop

    def _context_start(self, stop_sample: int) -> int:
        """Where the context before a sample begins on the tape."""
        context = round(self.preset.config.sampling.context_seconds * self.sample_rate_hz)
        earliest = max(self._tape.start_sample, stop_sample - context)
        hop = self.sound.hop_samples
        return min(-(-earliest // hop) * hop, stop_sample)  # on a frame's centre: frames line up with the tape's

    def _frames_until(self, sample: int) -> int:
        """Frames from 0 on that make sound up to a sample: the hop before the last frame is partly faded."""
        return -(-sample // self.sound.hop_samples) + 1

    @property
    def _cold_fade_samples(self) -> int:
        return round(COLD_FADE_SECONDS * self.sample_rate_hz)

    # --- frames -----------------------------------------------------------------------------------------

    @property
    def _no_frames(self) -> Samples:
        return np.zeros((0, self.sound.mel_bins), np.float32)

    def _sampled_frames(
        self,
        state: SamplerState,
        known: Samples,
        count: int,
        request: TakeRequest,
        played: PlayedNotes,
        hold: LevelHold,
    ) -> Iterator[Samples]:
        """``count`` new log-mel frames, chunk after chunk, ``[t, M]`` each; empty ones while a chunk is made.

        ``known [k, M]``, less than a chunk, are the frames before the first new one that the state lacks.
        """
        if count <= 0:
            return iter(())
        chunks = self._chunks(known, len(known) + count, request, played, hold)
        given = request.notes is None or isinstance(request.notes, tuple)
        made = self._made_frames(state, chunks) if given else self._made_one_by_one(state, chunks)
        made = self._led(made, hold)
        return _limited(_without_first(made, len(known)), count)

    def _played_notes(self, request: TakeRequest, join_sample: int, first_frame: int) -> PlayedNotes:
        """The note maps of a take whose new sound begins at a sample, by frames counted from ``first_frame`` on."""
        given = request.notes
        if given is None:
            return lambda place, frames: None
        join_s, frame_s = join_sample / self.sample_rate_hz, 1 / self.sound.frames_per_second
        join_frame = round(join_s * self.sound.frames_per_second)

        def played(place: int, frames: int) -> Samples:
            first = first_frame + place
            before = min(max(join_frame - first, 0), frames)  # there notes are not known
            notes: Sequence[Note] = ()
            if isinstance(given, tuple):
                notes = given
            elif before < frames:
                notes = given.until_now((first + before) * frame_s - join_s, frames - before, frame_s)
            later = [replace(note, onset_s=join_s + note.onset_s, end_s=join_s + note.end_s) for note in notes]
            drawn = note_map(later, first, frames, self.sound, self.preset.config.model.note_partials)
            drawn[:before] = 0
            if not request.rests:
                drawn[~(drawn[..., 0] > 0).any(1)] = 0
            return drawn[None]

        return played

    def _level_hold(self, usual_power: float) -> LevelHold:
        return LevelHold(usual_power, self.preset.config.sampling.level_hold, self.sound.frames_per_second)

    def _led(self, frames: Iterator[Samples], hold: LevelHold) -> Iterator[Samples]:
        for block in frames:
            if len(block):
                hold.made(block)
            yield block

    def _chunks(
        self, known: Samples, count: int, request: TakeRequest, played: PlayedNotes, hold: LevelHold
    ) -> Iterator[Chunk]:
        """What ``count`` frames are drawn from, the first of them ``known``; the last chunk may reach past them."""
        length, mel_bins = request.chunk_frames or self._chunk_frames, self.sound.mel_bins
        for place in range(0, count, length):
            forced = None
            if place == 0 and len(known):
                values = np.zeros((length, mel_bins), np.float32)
                values[: len(known)] = known
                forced = Forced(self._normalised(values), np.arange(length) < len(known))
            noise = take_noise(request.seed, place, length, mel_bins)
            known_here = Conditioning(notes=played(place, length))
            sharpness = self._sharpness(request, known_here)
            sharpness = replace(sharpness, tilt=sharpness.tilt + hold.tilt(place // length))
            yield Chunk(noise, sharpness, known_here, forced)

    def _between_edges(
        self, heard: Samples, start: int, stop: int, known: Samples, first: int, count: int, request: TakeRequest
    ) -> Iterator[Samples]:
        """Frames ``first`` to ``first + count``, of which those at the edges are nearly known.

        Args:
            heard: the sound around, with samples ``start`` to ``stop`` to be made anew.
            known: its log-mel frames.
        """
        played = self._played_notes(request, start, 0)
        entering = entering_frames(heard, start, first, self.sound)
        leaving, follows = leaving_frames(heard, stop, first + count, self.sound)
        if len(entering) + len(leaving) >= count:  # a part so short that it has no frames of its own
            yield from self._repainted_frames(known, first, count, request, played)
            return
        drawn = count - len(entering) - len(leaving)
        part = np.zeros((drawn, self.sound.mel_bins), np.float32)
        around = np.concatenate([known[:first], entering, part, leaving, known[first + count :]])
        led = min(round(LED_SECONDS * self.sound.frames_per_second), drawn)
        yield entering
        for block in self._repainted_frames(around, first + len(entering), drawn, request, played):
            # all of them come at once
            ends = len(block) and len(follows)
            yield np.concatenate([block[:-led], led_to(block[-led:], follows)]) if ends else block
        yield leaving

    def _repainted_frames(
        self, heard: Samples, first: int, count: int, request: TakeRequest, played: PlayedNotes
    ) -> Iterator[Samples]:
        """Frames ``first`` to ``first + count`` of ``heard [T, M]`` anew, as one chunk that sees what follows."""
        state, before = self._prime(self.engine.init_state(), heard[:first], self._chunk_frames)
        group = self.preset.config.model.frames_per_group
        after = heard[first + count :]
        length = -(-(len(before) + count + len(after)) // group) * group
        values = np.zeros((length, self.sound.mel_bins), np.float32)
        start, stop = len(before), len(before) + count
        values[:start], values[stop : stop + len(after)] = before, after
        place = np.arange(length)
        future = (place >= stop) & (place < stop + len(after))
        x = self._normalised(values)
        sees_future = self.preset.config.model.future_conditioning and len(after)
        notes = played(first - start, length)
        if notes is not None:
            notes[:, stop:] = 0  # nor what follows the part
        known = Conditioning(x, future[None].astype(np.float32), notes) if sees_future else Conditioning(notes=notes)
        sharpness = self._sharpness(request, known)
        if sees_future:
            # tilt makes up for fading away; here what follows says how loud it is to be
            sharpness = replace(sharpness, tilt=0.0)
        chunk = Chunk(
            take_noise(request.seed, 0, length, self.sound.mel_bins),
            sharpness,
            known,
            Forced(x, (place < start) | future),
        )
        yield from _limited(_without_first(self._made_frames(state, [chunk]), start), count)

    def _made_frames(self, state: SamplerState, chunks: Iterable[Chunk]) -> Iterator[Samples]:
        """Log-mel frames of chunk after chunk, ``[T, M]`` each; empty ones while a chunk is made."""
        with closing(self.engine.sampling(state, chunks)) as making:
            for made in making:
                yield self._no_frames if made is None else self._log_mel(made.frames)

    def _made_one_by_one(self, state: SamplerState, chunks: Iterable[Chunk]) -> Iterator[Samples]:
        """The same, to the bit, but no chunk is asked for before the one before it was taken."""
        for chunk in chunks:
            with closing(self.engine.sampling(state, [chunk])) as making:
                for made in making:
                    state = state if made is None else made.state
                    yield self._no_frames if made is None else self._log_mel(made.frames)

    def _sharpness(self, request: TakeRequest, known: Conditioning[npt.NDArray[Any]]) -> Sharpness:
        noted = known.notes is not None and bool(known.notes.any())
        return Sharpness.of(self.preset.config.sampling, request.temperature, request.bias, noted=noted)

    def _normalised(self, frames: Samples) -> Samples:
        """Log-mel ``[T, M]`` -> what the engine takes, ``[1, T, M]``."""
        weights = self.preset.weights
        return ((frames - weights["mean"]) / weights["deviation"])[None]

    def _log_mel(self, frames: npt.NDArray[Any]) -> Samples:
        """The inverse of `_normalised`."""
        weights = self.preset.weights
        log_mels: Samples = frames[0] * weights["deviation"] + weights["mean"]
        return log_mels

    def _kept_down(self, frames: Iterator[Samples], loudest_power: float) -> Iterator[Samples]:
        return (limited(block, loudest_power) for block in frames)

    # --- joins ------------------------------------------------------------------------------------------

    def _led_in(self, sound: GeneratedSound, join: int, lead_seconds: float) -> Iterator[Samples]:
        """What was heard before the join, crossfaded into the new sound; without it, the new sound faded in."""
        lead = min(round(lead_seconds * self.sample_rate_hz), join - self._tape.start_sample)
        heard = self._tape.read(join - lead, join)
        overlap = min(lead, self.seam_samples)
        new = _without_first(sound.blocks, join - overlap - sound.start_sample)
        if not overlap:
            return self._faded_in(new)
        leaving = heard[lead - overlap :]
        return chain([heard[: lead - overlap]], _begun(new, overlap, lambda start: crossfade(leaving, start)))

    def _faded_in(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        return _begun(blocks, self._cold_fade_samples, lambda start: fade_in(start, len(start)))

    def _faded_out(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        return _ended(blocks, self._cold_fade_samples, lambda end: fade_out(end, len(end)))


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


def _vocoded(vocoder: PhaseVocoder, frames: Iterator[Samples], length: int | None) -> Iterator[Samples]:
    """The sound of log-mel frames, ended after ``length`` samples (None: with the frames)."""

    def blocks() -> Iterator[Samples]:
        for block in frames:
            yield soft_clipped(vocoder.push(block))
        yield soft_clipped(vocoder.flush())

    return blocks() if length is None else _limited(blocks(), length)


def _limited(blocks: Iterator[Samples], length: int) -> Iterator[Samples]:
    """The first ``length`` samples or frames."""
    for block in blocks:
        yield block[:length]
        length -= min(length, len(block))


def _without_first(blocks: Iterator[Samples], count: int) -> Iterator[Samples]:
    """All but the first ``count`` samples or frames."""
    for block in blocks:
        yield block[count:]
        count -= min(count, len(block))


def _begun(blocks: Iterator[Samples], count: int, begin: Callable[[Samples], Samples]) -> Iterator[Samples]:
    """The first ``count`` samples (fewer, if there are no more) put through ``begin``."""
    held, waiting = [], count
    for block in blocks:
        if waiting <= 0:
            yield block
            continue
        held.append(block)
        waiting -= len(block)
        if waiting <= 0:
            start = np.concatenate(held)
            yield np.concatenate([begin(start[:count]), start[count:]])
    if waiting > 0 and held:
        yield begin(np.concatenate(held))


def _ended(blocks: Iterator[Samples], count: int, end: Callable[[Samples], Samples]) -> Iterator[Samples]:
    """The last ``count`` samples (fewer, if there are no more) put through ``end``."""
    held = np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        ready = max(len(held) - count, 0)
        yield held[:ready]
        held = held[ready:]
    yield end(held)
