"""The player process: owns the instrument, hears the input, makes takes and feeds the output ring.

One thread, one loop: obey what is to be done at once, hear, let the request in turn make one step (of a job:
one engine block), feed the ring. A request in turn is a generator that yields between its steps, so that to
cancel it is to close it, and nothing else waits longer than a step. A load goes beside them in the same way, so that
takes are made while it waits for its preset, and for its line; only what was requested after it waits for it.
"""

from __future__ import annotations

import importlib
import logging
import os
import time
from collections import deque
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from multiprocessing.connection import Connection
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bridge.audio.input_ring import InputRing
from bridge.audio.loop_player import LoopPlayer
from bridge.audio.output_ring import OutputRing
from bridge.audio.shared_samples import Samples
from bridge.clock.device_clock import DeviceClock, Line, read_device_clock
from bridge.midi.mapping_file import read_preset_map
from bridge.midi.played_notes import PlayedNotes
from bridge.player.preset_loading import MOST_SECONDS, PresetLoading
from bridge.processes.messages import (
    AT_SAMPLE,
    STOP,
    BeginPhrase,
    Cancel,
    ExportTape,
    HandedOver,
    Heard,
    Job,
    Key,
    Listen,
    ListPresets,
    Load,
    Loaded,
    Moved,
    Panic,
    Pedal,
    Phrase,
    PlayerEvent,
    PlayerRequest,
    PrimeClear,
    PrimeFile,
    QueuedRequest,
    Recall,
    Refusal,
    RenderPhrase,
    Report,
    RequestError,
    RestoreTape,
    Retime,
    StartLoop,
    StopLoop,
    Undo,
    UseSound,
    Warn,
)
from bridge.protocol.types import Value
from bridge.takes import start_time
from bridge.takes.job_queue import JobQueue, Pace
from bridge.takes.preset_swap import PresetSwap
from bridge.takes.take import Take
from bridge.takes.take_chain import Successor
from bridge.takes.take_files import Origin, discard_take, save_take, shorten_take
from bridge.takes.take_request import blocks_of, notes_of, prompt_of, request_of
from bridge.tape.live_input import HELD_SECONDS, LiveInput
from bridge.tape.note_tape import TapedNote
from bridge.tape.prompt_memory import PromptMemory
from bridge.tape.session_tape import PASS_GUARD_SECONDS, SessionTape
from bridge.tape.tape_commands import TapeCommands, TapeRequest
from bridge.tape.tape_memory import TapeMemory
from melnet_music.instrument.phrase import rendered_phrase
from melnet_music.sound.audio_file import read_audio
from melnet_music.sound.resample import StreamResampler

if TYPE_CHECKING:
    from melnet_music.instrument.instrument import Instrument, Prompt, TakeRequest, TakeSpeed
    from melnet_music.notes.note_map import Note

_LOG = logging.getLogger(__name__)

INSTRUMENT_FACTORY = "melnet_music.instrument.instrument:Instrument.load"
_HEARD_AT_ONCE_SECONDS = 1.0
_AHEAD_SECONDS = 30.0
"""How far ahead of the ring a take is generated that need not hurry."""
_MOST_SKIPPED_SECONDS = 20.0
"""A continuation whose line is farther from what was heard does not enter in time with it."""
_RESERVE_SECONDS = 2.0
"""With so much more ready than is needed, a sounding take is not made further while what goes on from it is."""
_PROGRESS_EVERY_SECONDS = 0.5
_NICENESS = 5  # the speaker's callback must get the processor first
_PRIME_FILE_BYTES = 1 << 30
_SILENT_PEAK = 1e-5
_LOADING_SECONDS = MOST_SECONDS
"""How much longer than usual a step may take that waits for compiler or disk."""
_STEP_PATIENCE = 2.0
"""A step of an engine may take so many times as long as expected, and the usual patience besides."""
_REPAINT_CONTEXT_SECONDS = 20.0
"""Before a part is repainted, about so much of what was heard before it is heard anew, in one step."""

Steps: TypeAlias = Generator[None, None, None]


@dataclass(frozen=True)
class PlayerSettings:
    output_ring: str
    input_ring: str
    prompt_memory: str
    tape_memory: str
    loop_lane: str
    engine: str
    threads: int | None
    takes_folder: Path
    instrument_factory: str = INSTRUMENT_FACTORY
    """``module:callable`` that takes a preset, ``engine=`` and ``threads=`` and returns an instrument; the module
    also has its ``TakeRequest``."""


class CutShortError(Exception):
    """The daemon stops: of the take in the making, what there is is kept."""


def play(connection: Connection, settings: PlayerSettings) -> None:
    """Main function of the player process: runs until it is told to stop, or the daemon is gone."""
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    output, audio_input = OutputRing.attach(settings.output_ring), InputRing.attach(settings.input_ring)
    memory, tape = PromptMemory.attach(settings.prompt_memory), TapeMemory.attach(settings.tape_memory)
    loop_player = LoopPlayer.attach(settings.loop_lane)
    output.answer_hush()  # of a dead predecessor's take nothing more is coming
    try:
        Player(connection, settings, output, audio_input, memory, SessionTape(tape, loop_player)).run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        _LOG.info("the daemon is gone, and so is its player")
    finally:
        output.close()
        audio_input.close()
        memory.close()
        tape.close()
        loop_player.close()


class Player:
    """All methods belong to the player process's one thread."""

    def __init__(
        self,
        connection: Connection,
        settings: PlayerSettings,
        output: OutputRing,
        audio_input: InputRing,
        memory: PromptMemory,
        tape: SessionTape,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._output = output
        self._memory = memory
        self._tape = tape
        self._tape_commands = TapeCommands(tape)
        # Imported here, and by name: the instrument brings numba along, which no other process needs.
        module_name, _, factory = settings.instrument_factory.partition(":")
        module = importlib.import_module(module_name)
        self._make_instrument = attrgetter(factory)(module)
        self._request_type: type[TakeRequest] = module.TakeRequest
        self._sound = UseSound(None, None)
        self._instrument: Instrument | None = None
        self._pace = Pace()
        self._waiting: deque[QueuedRequest] = deque()
        self._current: QueuedRequest | None = None
        self._steps: Steps | None = None
        self._load_request: Load | None = None
        self._load_steps: Steps | None = None
        self._load_rests = False
        """Whether it has nothing to do just now."""
        self._loading: PresetLoading | None = None
        self._preset_swap: PresetSwap | None = None
        self._heard_again: int | None = None
        """Up to which sample the instrument that is being loaded has heard what was heard; None: nothing."""
        self._round_began = 0.0
        self._accepted_at: dict[int, float] = {}
        self._takes: deque[Take] = deque()
        """Takes in the making or not played out yet, oldest first; only the first one feeds the ring."""
        self._played = PlayedNotes()
        self._live_input = LiveInput(audio_input, tape)
        self._told_heard = Heard(0.0, 0.0)

    def run(self) -> None:
        """Play until told to stop.

        Raises:
            EOFError, OSError: the daemon is gone.
        """
        while self._take_requests():
            self._beat()
            self._round_began = time.monotonic()
            self._take_input()
            if self._live_input.holds_some and self._can_spare_time():
                self._hear(_HEARD_AT_ONCE_SECONDS)
            self._step_load()
            if self._may_step():
                self._step()
            self._serve_takes()
            self._tell_heard()
        self._keep_what_is_made()

    def _keep_what_is_made(self) -> None:
        if isinstance(self._current, Job) and self._steps:
            with suppress(StopIteration, CutShortError):
                self._steps.throw(CutShortError)

    def _tell(self, event: PlayerEvent) -> None:
        self._connection.send(event)

    def _beat(self) -> None:
        """Show that this process lives; without it for too long, the daemon kills it."""
        self._output.beat(self._longer_seconds())

    def _longer_seconds(self) -> float:
        """How much longer than usual the next beat may take for honest reasons."""
        request = self._current or (self._waiting[0] if self._waiting else None)
        if self._loading or isinstance(request, Load | PrimeFile | ExportTape):
            return _LOADING_SECONDS
        at_once_seconds = _HEARD_AT_ONCE_SECONDS
        if isinstance(request, Job) and request.kind == "inpaint":
            at_once_seconds = _REPAINT_CONTEXT_SECONDS + request.seconds  # all of it is one step
        elif isinstance(request, Job) and request.chunk_frames is not None:
            at_once_seconds = max(at_once_seconds, request.seconds)
        else:
            at_once_seconds = max(at_once_seconds, self._pace.block_seconds)
        return _STEP_PATIENCE * at_once_seconds / self._pace.rate

    # --- requests obeyed at once --------------------------------------------------------------------------

    def _take_requests(self) -> bool:
        """Take in all requests, waiting for one only if there is nothing else to do. False: stop."""
        resting_seconds = 0.01 if self._takes or self._live_input.listening or self._load_request else 0.2
        # asked first: one may become ripe before the next line asks whether one is
        ripe_in_seconds = self._job_queue().ripe_in_seconds()
        patience_seconds = 0.0 if self._is_busy() else min(resting_seconds, ripe_in_seconds)
        self._beat()  # what took long is over
        while self._connection.poll(patience_seconds):
            request = self._connection.recv()
            if request == STOP:
                return False
            self._obey(request)
            patience_seconds = 0.0
        return True

    def _obey(self, request: PlayerRequest) -> None:
        match request:
            case Panic():
                self._panic(request)
            case Cancel():
                self._cancel(request)
            case Listen():
                self._listen(request)
            case UseSound():
                self._use_sound(request)
            case Key() | Pedal():
                self._lay_played(self._played.take(request))
            case BeginPhrase():
                self._played.begin_phrase()
                self._tell(Report(request.number, "done"))
            case StartLoop() | StopLoop() | Undo() | Recall():
                self._change_tape(request)
            case RestoreTape():
                self._tape_commands.restore(request)
                self._tell(self._tape_commands.edited)
            case ListPresets():
                self._list_presets(request)
            case Job() | RenderPhrase():
                try:
                    self._accept(request)
                except RequestError as error:
                    self._tell(Refusal(request.number, error.code, str(error)))
            case Retime():
                self._retime(request)
            case Load() | PrimeFile() | PrimeClear() | ExportTape():
                self._waiting.append(request)

    def _clock(self) -> DeviceClock | None:
        """The sound device's; None: there is none, or it has not begun."""
        return read_device_clock(self._output.clock, self._sound.output_hz) if self._sound.output_hz else None

    def _job_queue(self) -> JobQueue:
        """As it is now."""
        clock, playing, making = self._clock(), 0.0, 0.0
        for take in self._takes:
            if take.has_sound:
                playing = take.left_seconds(self._output, clock, playing)
            if not take.complete:  # one that follows is made while it plays
                making = playing if take.job.is_live else making + take.unmade_seconds / self._pace.safe_rate
        listens = self._live_input.listening and self._tape.input_begin is not None
        return JobQueue(self._pace, clock, time.monotonic(), playing, making, tuple(self._waiting), listens)

    def _accept(self, request: Job | RenderPhrase) -> None:
        if isinstance(request, RenderPhrase):
            self._waiting.append(replace(request, phrase=self._played.end_phrase(time.monotonic())))
            return
        job = replace(request, phrase=self._played.end_phrase(time.monotonic())) if request.ends_phrase else request
        if job.span:
            self._accept_on_tape(job)
            return
        job = self._fitted(job, job.phrase.seconds if job.phrase else 0.0)
        values: list[tuple[str, Value]] = [("seed", job.seed), ("seconds", job.length_seconds)]
        schedule = self._job_queue()
        if schedule.clock is None:
            job = replace(job, line=None)  # there is no sound, and no time to keep
        else:
            phrase = job.phrase
            job, ready_in = schedule.promise(job, lambda line: self._unplayed_seconds(phrase, line))
            start_in = ready_in
            if job.line:
                start_in = schedule.seconds_until(job.line)
                values.append((AT_SAMPLE, job.line.first_sample))
            values += [("start_in", start_in), ("ready_in", ready_in)]
        self._accepted_at[job.number] = time.monotonic()
        self._waiting.append(job)
        self._tell(Report(job.number, "done", tuple(values)))

    def _accept_on_tape(self, job: Job) -> None:
        values: list[tuple[str, Value]] = [("seed", job.seed), ("seconds", job.seconds)]
        ready_in = self._making_seconds() + self._pace.first_sound_seconds + self._pace.making_seconds(job)
        clock, loop = self._clock(), self._tape.loop
        if clock and loop:
            now = time.monotonic()
            at = loop.pass_at_or_after(clock.sample_at(now + ready_in + PASS_GUARD_SECONDS))
            job = replace(job, line=Line(at, loop.length))
            values += [(AT_SAMPLE, at), ("start_in", clock.monotonic_at(at) - now)]
        values.append(("ready_in", ready_in))
        self._accepted_at[job.number] = time.monotonic()
        self._waiting.append(job)
        self._tell(Report(job.number, "done", tuple(values)))

    def _making_seconds(self) -> float:
        """How long it takes to make what was there before."""
        left = sum(take.unmade_seconds for take in self._takes)
        waiting = sum(self._pace.making_seconds(job) for job in self._waiting if isinstance(job, Job))
        return left / self._pace.safe_rate + waiting

    def _fitted(self, job: Job, to_come_seconds: float = 0.0) -> Job:
        """The job with no more lead and tail than there is on the tape, as far as it is heard by now, or will be."""
        if job.again:
            return self._tape_commands.as_made(job)
        if self._instrument is None:
            return job  # what a dead player had heard is still to be heard again
        heard = self._instrument.heard_seconds + to_come_seconds
        if job.kind == "inpaint":
            lead, tail = min(job.lead_seconds, job.start_seconds), min(job.tail_seconds, heard - job.stop_seconds)
            return replace(job, lead_seconds=lead, tail_seconds=max(0.0, tail))
        return replace(job, lead_seconds=min(job.lead_seconds, heard))

    def _unplayed_seconds(self, phrase: Phrase | None, line: Line) -> float:
        """How long it takes to make what lies between a phrase and a line."""
        return self._after_phrase_seconds(phrase, line) / self._pace.safe_rate if phrase else 0.0

    def _after_phrase_seconds(self, phrase: Phrase, line: Line) -> float:
        """How long after a phrase's end a line is."""
        clock = self._clock()
        if clock is None:
            return 0.0
        after = (line.first_sample - self._sample_at(phrase.ended_at_seconds)) / clock.rate_hz
        return after if 0.0 < after < _MOST_SKIPPED_SECONDS else 0.0

    def _joined(self, job: Job, sample_rate_hz: int) -> Job:
        """The job with what it has to skip to be on its line; it is heard up to now."""
        if job.phrase and job.line and not job.lead_seconds:
            return replace(job, skip_seconds=self._after_phrase_seconds(job.phrase, job.line))
        begin = self._tape.input_begin
        if not (job.line and self._job_queue().joins(job)) or begin is None:
            return job
        heard_seconds = self._live_input.heard_samples / sample_rate_hz
        skip_seconds = (job.line.first_sample - begin) / self._tape.rate_hz - heard_seconds
        return replace(job, skip_seconds=skip_seconds) if 0.0 < skip_seconds < _MOST_SKIPPED_SECONDS else job

    def _retime(self, request: Retime) -> None:
        if self._load_request and self._load_request.number == request.job_number:
            self._load_request = replace(self._load_request, line=request.line)
            if self._preset_swap:
                self._preset_swap.retime(request.line)
        for take in self._takes:
            if take.job.number == request.job_number and take.line:
                take.move_to(request.line, self._output)
        for place, waiting in enumerate(self._waiting):
            if isinstance(waiting, Job | Load) and waiting.number == request.job_number and waiting.line:
                self._waiting[place] = replace(waiting, line=request.line)

    def _panic(self, request: Panic) -> None:
        jobs = [take.job.number for take in self._takes]
        jobs += [each.number for each in (self._current, *self._waiting) if isinstance(each, Job)]
        for number in dict.fromkeys(jobs):
            self._drop(number)
            self._tell(Refusal(number, "cancelled", "panic dropped all jobs"))
        self._lay_played(self._played.let_go(time.monotonic()))
        self._played = PlayedNotes()
        self._output.answer_hush()
        self._tape.stop_loop()
        self._tell(Report(request.number, "done"))

    def _cancel(self, request: Cancel) -> None:
        number = next(
            (take.job.number for take in self._takes if take.follows == request.job_number), request.job_number
        )
        if self._drop(number):
            self._tell(Refusal(number, "cancelled", "it was cancelled"))
            self._tell(Report(request.number, "done"))
        else:
            self._tell(Refusal(request.number, "unknown_id", "that job is over"))

    def _drop(self, number: int) -> bool:
        """Forget a job, wherever it stands; fade it out if it sounds. False: there is no such job."""
        if self._current and self._steps and self._current.number == number:
            self._steps.close()
            self._current = self._steps = None
            if self._accepted_at.pop(number, None) is not None:
                return True  # its phrase was being rendered
        for take in self._takes:
            if take.job.number == number:
                self._silence(take)
                self._takes.remove(take)
                if isinstance(take, Successor) and not take.told_started:
                    self._tell_started(take)
                return True
        for request in self._waiting:
            if request.number == number:
                self._waiting.remove(request)
                self._accepted_at.pop(number, None)
                return True
        return False

    def _silence(self, take: Take) -> None:
        """Take a take's sound out of the ring, if it has any there, and leave the other takes theirs."""
        behind = self._takes[1] if len(self._takes) > 1 and self._takes[1].opened else None
        if take is behind and self._output.take_back(take.sound_from):
            self._output.finish()
        elif take is behind or (take is self._takes[0] and take.has_sound):
            self._output.cut()
            if behind and take is not behind:
                behind.rewind()

    def _listen(self, request: Listen) -> None:
        if request.listening and self._sound.input_hz is None:
            self._tell(Refusal(request.number, "no_input", "there is no audio input; start with --audio-in"))
            return
        self._take_input()  # what came before counts, however busy this process was
        self._live_input.listen(request.listening)
        self._tell(Report(request.number, "done"))

    def _use_sound(self, request: UseSound) -> None:
        if request.output_hz != self._sound.output_hz:
            self._output.cut()
            for take in self._takes:
                take.drop_sound()
                if isinstance(take, Successor) and not take.told_started:
                    self._tell_started(take)
        self._sound = request
        if self._tape.use_device(request.output_hz):
            self._refuse_jobs_on_tape()
        self._live_input.use_device(request.input_hz)

    def _refuse_jobs_on_tape(self) -> None:
        jobs = [take.job for take in self._takes] + [request for request in self._waiting if isinstance(request, Job)]
        for job in jobs:
            if job.span:
                self._drop(job.number)
                self._tell(Refusal(job.number, "refused", "the sound device has another rate, and the tape is blank"))

    def _list_presets(self, request: ListPresets) -> None:
        self._output.beat(_LOADING_SECONDS)
        from melnet_music.model.preset import list_presets  # brings pydantic along

        try:
            presets = [(each.name, each.title) for each in list_presets() if each.has_weights]
        except ValueError as error:
            self._tell(Refusal(request.number, "failed", str(error)))
        else:
            self._tell(Report(request.number, "done", tuple(presets)))

    # --- the tape ---------------------------------------------------------------------------------------

    @property
    def _late_samples(self) -> int:
        """How long after what is played with it the input comes, in device time."""
        latency_seconds = self._sound.output_latency_seconds + self._sound.input_latency_seconds
        return round((latency_seconds - self._sound.input_offset_seconds) * (self._sound.output_hz or 0))

    def _now_sample(self) -> float:
        clock = self._clock()
        return clock.sample_at(time.monotonic()) if clock else 0.0

    def _change_tape(self, request: TapeRequest) -> None:
        try:
            at = self._tape_commands.change(request, self._now_sample())
        except ValueError as error:
            code = error.code if isinstance(error, RequestError) else "refused"
            self._tell(Refusal(request.number, code, str(error)))
            return
        self._tell(self._tape_commands.edited)
        values: tuple[tuple[str, Value], ...] = (("edits", len(self._tape.takes)),)
        if at is not None and self._clock():  # while the device is gone nobody knows when
            values += ((AT_SAMPLE, at),)
        self._tell(Report(request.number, "done", values))

    def _keep_take(self, take: Take, origin: Origin, prompt: Prompt) -> None:
        """For another attempt; a take on the tape is heard from the loop's next pass on."""
        job = take.job
        self._tape_commands.keep(job, origin, prompt, take.audio, take.file)
        if job.span is None:
            return
        self._tell(self._tape_commands.edited)
        heard_at = self._tape.refresh_loop(self._now_sample())
        take.heard_at = heard_at if self._clock() else None
        if take.heard_at is not None and job.line and take.heard_at > job.line.first_sample:
            self._tell(Moved(job.number, take.heard_at))

    # --- loading ----------------------------------------------------------------------------------------

    def _step_load(self) -> None:
        """One step of the first load that was requested, if the sounding take can spare the time."""
        if self._load_steps is None:
            self._load_request = next((each for each in self._waiting if isinstance(each, Load)), None)
            if self._load_request is None:
                return
            self._load_steps = self._load(self._load_request)
        assert self._load_request is not None
        if self._can_spare_time() and not self._advance(self._load_steps, self._load_request.number):
            self._load_request = self._load_steps = self._loading = self._preset_swap = None
            self._load_rests = False

    def _load(self, request: Load) -> Steps:
        make, engine, threads = self._make_instrument, self._settings.engine, self._settings.threads
        self._loading = PresetLoading(request.preset, lambda: make(request.preset, engine=engine, threads=threads))
        while self._loading.goes_on:
            yield from self._rest()
        instrument, speed = self._loading.result()
        self._loading, self._heard_again = None, None
        yield from self._hear_again(instrument)
        assert self._load_request is not None  # with its line as it is now
        self._preset_swap = PresetSwap(
            self._load_request, instrument, speed, ring=self._output, make=self._made, tell=self._tell
        )
        while (old := self._to_be_handed_over()) or self._goes_before(request):
            if old and (yield from self._hand_over(old, self._preset_swap, instrument)):
                self._use_instrument(request, instrument, speed)
                return
            yield from self._rest()
        yield from self._hear_again(instrument)
        self._use_instrument(request, instrument, speed)
        values = (("preset", instrument.preset_name), ("real_time_factor", self._pace.rate))
        self._tell(Report(request.number, "started" if self._preset_swap.promised else "done", values))

    def _rest(self) -> Steps:
        """Wait for what others do."""
        self._load_rests = True
        yield
        self._load_rests = False

    def _hear_again(self, instrument: Instrument) -> Steps:
        """What an earlier preset or a dead player had heard and the instrument has not yet, as far as it is kept."""
        at_once = round(_HEARD_AT_ONCE_SECONDS * instrument.sample_rate_hz)
        while True:
            first, audio = self._memory.recall(instrument.sample_rate_hz)
            if self._heard_again is None or not first <= self._heard_again <= first + len(audio):
                self._heard_again = instrument.begin_at(first)
            unheard = audio[self._heard_again - first :][:at_once]
            if not len(unheard):
                return
            instrument.hear(unheard)
            self._heard_again += len(unheard)
            yield  # and meanwhile all may be forgotten

    def _use_instrument(self, request: Load, instrument: Instrument, speed: TakeSpeed) -> None:
        """From here on: what waits is made by it."""
        previous, self._instrument = self._instrument, instrument
        self._pace = Pace(speed.real_time_factor, speed.first_sound_seconds, instrument.chunk_seconds)
        if self._memory.sample_rate_hz != instrument.sample_rate_hz:
            self._memory.forget(instrument.sample_rate_hz)
        if previous and previous.sample_rate_hz != instrument.sample_rate_hz:
            self._live_input.change_rate()
        self._waiting = deque(each for each in self._waiting if each.number != request.number)
        loaded = Loaded(
            instrument.preset_name,
            instrument.preset_digest,
            instrument.engine_name,
            self._pace.rate,
            instrument.chunk_seconds,
            read_preset_map(instrument.preset_folder),
        )
        self._beat()  # whoever hears of it may count on the usual patience again, not on that of a load
        self._tell(loaded)

    def _goes_before(self, request: Load) -> bool:
        """Whether a load waits: for takes, or for an earlier request that waits for nothing but its turn."""
        before = takewhile(lambda each: each.number != request.number, self._waiting)
        schedule = self._job_queue()
        turns = (schedule.turn_in_seconds(each) if isinstance(each, Job) else 0.0 for each in before)
        return bool(self._takes or self._current) or any(turn <= 0.0 for turn in turns)

    def _to_be_handed_over(self) -> Take | None:
        """The take that sounds, if it can go on with another preset: what is repainted is played to its end."""
        if not self._takes or not (self._current is None or isinstance(self._current, Job)):
            return None
        take = self._takes[0]
        on_tape = isinstance(self._current, Job) and self._current.span
        sounds = take.has_sound and take.told_started and self._output.read > take.sound_from
        return take if sounds and take.job.kind != "inpaint" and not on_tape else None

    def _hand_over(self, old: Take, preset_swap: PresetSwap, instrument: Instrument) -> Generator[None, None, bool]:
        """Have the loaded instrument go on with the take; False: it was over before."""
        with closing(preset_swap.steps(old, self._clock)) as steps:
            for rests in steps:
                if rests:
                    yield from self._hear_again(instrument)
                self._load_rests = rests
                yield
                self._load_rests = False
                if old not in self._takes or not old.has_sound:
                    return False
        if preset_swap.taken_over is None:
            return False
        self._go_on(old, preset_swap)
        for _ in self._hear_again(instrument):
            self._beat()
        return True

    def _go_on(self, old: Take, preset_swap: PresetSwap) -> None:
        """The new take is in the ring: end the old one on the line, and have what comes behind made anew."""
        assert preset_swap.taken_over is not None
        successor, steps, join = preset_swap.taken_over
        old.keep_first(join.old_samples)
        if self._steps and self._current and self._current.number == old.job.number:
            with suppress(StopIteration):
                self._steps.throw(CutShortError)
        else:
            if self._steps:
                self._steps.close()
            self._shorten_file(old)
        for take in [take for take in reversed(self._takes) if take is not old]:
            if take.file:
                discard_take(Path(take.file))
            self._accepted_at[take.job.number] = take.accepted_at
            self._waiting.appendleft(take.job)
        self._takes = deque([successor])
        self._current, self._steps = successor.job, steps
        gaps, missing_samples = old.gaps(self._output)
        values = (
            ("take", old.job.number),
            ("seconds", old.generated_seconds),
            ("seed", old.job.seed),
            ("gaps", gaps),
            ("missing_samples", missing_samples),
            ("file", old.file),
            ("goes_on_as", successor.job.number),
            (AT_SAMPLE, preset_swap.line_sample),
        )
        self._tell(HandedOver(old.job.number, successor.job, values))

    def _shorten_file(self, take: Take) -> None:
        if not take.file:
            return
        try:
            shorten_take(Path(take.file), round(take.generated_seconds * take.sample_rate_hz))
        except ValueError as error:
            _LOG.warning("%s", error)
            self._tell(Warn(take.job.number, str(error)))

    # --- notes ------------------------------------------------------------------------------------------

    def _sample_at(self, monotonic_seconds: float) -> float:
        """Device time of what a player heard when he played something."""
        clock = self._clock()
        return clock.sample_at(monotonic_seconds - self._sound.output_latency_seconds) if clock else 0.0

    def _lay_played(self, notes: list[Note]) -> None:
        if self._clock():
            places = [(self._sample_at(note.onset_s), self._sample_at(note.end_s), note) for note in notes]
            laid = [TapedNote(round(start), round(stop), n.pitch, n.velocity) for start, stop, n in places]
            self._tape.notes.add("played", laid)

    def _render(self, phrase: Phrase, request: TakeRequest) -> Steps:
        """Have the instrument play a phrase to itself."""
        instrument = self._loaded_instrument()
        request = replace(request, seconds=phrase.seconds, lead_seconds=0.0, notes=notes_of(phrase.notes), rests=True)
        made = []
        with closing(rendered_phrase(instrument, request)) as blocks:
            for block in blocks:
                made.append(block)
                yield
        at_once = round(_HEARD_AT_ONCE_SECONDS * instrument.sample_rate_hz)
        audio = np.concatenate(made)
        for first in range(0, len(audio), at_once):
            self._take_in(instrument, audio[first : first + at_once])
            yield

    def _render_phrase(self, request: RenderPhrase) -> Steps:
        assert request.phrase is not None
        take_request = request_of(
            Job(request.number, "generate", request.seed, request.phrase.seconds), self._request_type
        )
        self._hear(HELD_SECONDS)
        yield from self._render(request.phrase, take_request)
        values = (("notes", len(request.phrase.notes)), ("seconds", request.phrase.seconds))
        self._tell(Report(request.number, "done", values))

    # --- hearing ----------------------------------------------------------------------------------------

    def _take_input(self) -> None:
        rate_hz = self._instrument.sample_rate_hz if self._instrument else None
        self._live_input.take_in(rate_hz, self._clock(), self._late_samples)

    def _can_spare_time(self, reserve_seconds: float = start_time.MARGIN_SECONDS) -> bool:
        """Whether other work now cannot make a sounding take run dry."""
        sounding = next((take for take in self._takes if take.opened and not take.complete), None)
        return sounding is None or sounding.spare_seconds(self._output) > reserve_seconds

    def _hear(self, most_seconds: float) -> None:
        assert self._instrument is not None
        most_samples = most_seconds * self._instrument.sample_rate_hz
        heard_samples = 0
        while self._live_input.holds_some and heard_samples < most_samples:
            samples = self._live_input.next_held()
            self._take_in(self._instrument, samples)
            heard_samples += len(samples)

    def _take_in(self, instrument: Instrument, samples: Samples) -> None:
        self._beat()  # a minute may be waiting to be heard, all in one step
        instrument.hear(samples)
        self._memory.remember(samples)

    def _tell_heard(self) -> None:
        if self._instrument is None:
            return
        heard = Heard(self._instrument.heard_seconds, self._live_input.missed_samples / self._instrument.sample_rate_hz)
        changed = abs(heard.seconds - self._told_heard.seconds)
        if changed >= 0.25 or (changed and not self._live_input.listening):
            self._tell(heard)
            self._told_heard = heard

    # --- requests in turn ---------------------------------------------------------------------------------

    def _is_busy(self) -> bool:
        """Whether there is anything to do at once."""
        return self._may_step() or bool(self._load_steps and not self._load_rests and self._can_spare_time())

    def _may_step(self) -> bool:
        hurried_load = (self._loading and self._loading.measures) or (self._preset_swap and self._preset_swap.making)
        if hurried_load and self._takes and self._can_spare_time(_RESERVE_SECONDS):
            return False
        if self._preset_swap and self._preset_swap.active and self._steps is None:
            return False
        if self._steps is None:
            return self._job_queue().next_place() is not None
        if not isinstance(self._current, Job) or not self._takes:
            return True
        take = self._takes[-1]
        if take.job.number != self._current.number:
            return True  # a phrase is being rendered for it
        if take.job.is_live:
            if self._preset_swap and self._preset_swap.wants_sound:
                return True
            clock, others = self._clock(), list(self._takes)[:-1]
            return take.is_short(self._output, sum(each.left_seconds(self._output, clock) for each in others))
        hurried = take is self._takes[0] and not take.opened
        return hurried or take.backlog_seconds < _AHEAD_SECONDS

    def _step(self) -> None:
        """One step of the request whose turn it is."""
        if self._steps is None:
            place = self._job_queue().next_place()
            if place is None:
                return  # since `_may_step` has looked there is too little time left before another's turn
            request = self._waiting[place]
            assert not isinstance(request, Load), "it goes beside"
            del self._waiting[place]
            self._current, self._steps = request, self._begin(request)
        assert self._current is not None
        if not self._advance(self._steps, self._current.number):
            self._current = self._steps = None

    def _advance(self, steps: Generator[object, None, None], number: int) -> bool:
        """One step of a request; False: it is over, and if it failed, that is told."""
        try:
            next(steps)
            return True
        except StopIteration:
            return False
        except RequestError as error:
            code, message = error.code, str(error)
        except ValueError as error:
            code, message = "refused", str(error)
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:
            _LOG.exception("request %d failed", number)
            code, message = "failed", f"{type(error).__name__}: {error}"
        self._drop(number)
        self._tell(Refusal(number, code, message))
        return False

    def _begin(self, request: Job | PrimeFile | PrimeClear | RenderPhrase | ExportTape) -> Steps:
        match request:
            case PrimeFile():
                return self._prime_file(request)
            case PrimeClear():
                return self._prime_clear(request)
            case ExportTape():
                return self._export_tape(request)
            case RenderPhrase():
                return self._render_phrase(request)
            case Job():
                return self._make_take(request)

    def _prime_file(self, request: PrimeFile) -> Steps:
        instrument = self._loaded_instrument()
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
        resampler = StreamResampler(clip.sample_rate_hz, instrument.sample_rate_hz)
        audio = np.concatenate([resampler.push(mono), resampler.flush()])
        at_once = round(_HEARD_AT_ONCE_SECONDS * instrument.sample_rate_hz)
        for first in range(0, len(audio), at_once):
            yield
            self._take_in(instrument, audio[first : first + at_once])
        self._tell(Report(request.number, "done", (("seconds", len(audio) / instrument.sample_rate_hz),)))

    def _prime_clear(self, request: PrimeClear) -> Steps:
        instrument = self._loaded_instrument()
        instrument.clear()
        self._memory.forget(instrument.sample_rate_hz)
        self._heard_again = None
        self._live_input.forget()
        self._tell(Report(request.number, "done"))
        yield from ()

    def _export_tape(self, request: ExportTape) -> Steps:
        yield from self._tape_commands.export(request, self._loaded_instrument())
        seconds = (request.span[1] - request.span[0]) / self._tape.rate_hz
        self._tell(Report(request.number, "done", (("seconds", seconds), ("file", request.path))))

    def _make_take(self, job: Job) -> Steps:
        instrument = self._loaded_instrument()
        self._hear(HELD_SECONDS)
        if job.phrase:
            yield from self._render(job.phrase, request_of(job, self._request_type))
        instrument, job = self._tape_commands.scene(
            instrument, self._joined(self._fitted(job), instrument.sample_rate_hz)
        )
        take = Take(
            job,
            accepted_at=self._accepted_at.pop(job.number),
            sample_rate_hz=instrument.sample_rate_hz,
            output_hz=None if job.span else self._sound.output_hz,
            rate=self._pace.rate,
            block_seconds=instrument.chunk_seconds,
        )
        self._takes.append(take)
        yield from self._made(instrument, take)

    def _made(self, instrument: Instrument, take: Take) -> Steps:
        """All of a take, block by block, and its files."""
        job = take.job
        began, sounded = time.monotonic(), False
        live = self._played.follow() if job.is_live else None
        request = request_of(job, self._request_type, live)
        prompt = prompt_of(instrument, request, job)
        if job.kind == "continue":
            lead = round(job.lead_seconds * instrument.sample_rate_hz)
            take.heard = prompt["audio"][: len(prompt["audio"]) - lead]
        cut_short = False
        with closing(blocks_of(instrument, request, job)) as blocks:
            for block in blocks:
                if not np.isfinite(block).all():
                    raise RequestError("failed", "the engine made samples that are not finite")
                take.add(block, time.monotonic() - self._round_began)
                if not sounded and take.generated_seconds > job.lead_seconds:
                    sounded = True
                    if (
                        job.kind != "inpaint" and not job.skip_seconds and not live
                    ):  # these have none before much is made
                        self._pace = replace(self._pace, first_sound_seconds=time.monotonic() - began)
                try:
                    yield
                except CutShortError:
                    cut_short = True
                    break
        if cut_short and not take.generated_seconds:
            return
        take.finish_generation()
        if live:
            job = take.job = replace(job, notes=live.given)
        self._pace = replace(self._pace, rate=take.estimate.rate)
        origin = Origin(
            instrument.preset_name, instrument.preset_digest, instrument.engine_name, instrument.sample_rate_hz
        )
        try:
            folder = self._settings.takes_folder
            take.file = str(save_take(folder, take.audio, job, origin, prompt, cut_short=cut_short))
        except ValueError as error:
            _LOG.warning("%s", error)
            self._tell(Warn(job.number, str(error)))
        if not cut_short:
            self._keep_take(take, origin, prompt)

    def _loaded_instrument(self) -> Instrument:
        if self._instrument is None:
            raise RequestError("refused", "no preset is loaded")
        return self._instrument

    # --- takes ------------------------------------------------------------------------------------------

    def _serve_takes(self) -> None:
        for take in [each for each in self._takes if not each.has_sound and each.complete]:
            self._takes.remove(take)  # it waits for nobody's sound
            self._tell_finished(take)
        while self._takes:
            take = self._takes[0]
            if take.has_sound:
                clock = self._clock()
                if take.misses_its_line(clock) and not self._put_off(take, clock):
                    continue
                take.feed(self._output, clock)
                if not take.told_started and take.sounds(self._output):
                    if isinstance(take, Successor) and take.before:
                        self._tape.lay_made(*take.before)
                        take.before = None
                    self._tell_started(take)
            if not take.over(self._output):
                self._chain(take)
                break
            self._takes.popleft()
            if sounded := take.sounded(self._output):
                self._tape.lay_made(*sounded, take.job.number, take.file)
                self._tape.lay_notes(sounded[0], take.job)
            self._tell_finished(take)
        now = time.monotonic()
        for take in self._takes:
            if now - take.told_progress_at >= _PROGRESS_EVERY_SECONDS:
                take.told_progress_at = now
                self._tell_progress(take)

    def _chain(self, sounding: Take) -> None:
        """Have the take behind the one that sounds begin on its line though the ring is not empty before."""
        if len(self._takes) < 2 or (self._preset_swap and self._preset_swap.active):
            return
        following = self._takes[1]
        if following.opened:
            following.feed(self._output, None)
        else:
            following.chain(self._output, sounding)

    def _put_off(self, take: Take, clock: DeviceClock | None) -> bool:
        """What was asked for a take that is not ready for its line; False: it is dropped."""
        assert take.line is not None
        assert clock is not None
        number, late = take.job.number, take.job.late
        if late == "drop":
            self._drop(number)
            self._tell(Refusal(number, "too_late", "it was made slower than expected, and is not ready for its line"))
            return False
        if late == "play":
            take.line = None
            self._tell(Warn(number, "it was made slower than expected, and begins as soon as it can"))
            return True
        missing = max(start_time.MARGIN_SECONDS - take.spare_seconds(self._output), start_time.LINE_GUARD_SECONDS)
        take.line = take.line.at_or_after(clock.sample_at(time.monotonic() + missing))
        self._tell(Moved(number, take.line.first_sample))
        return True

    def _tell_started(self, take: Take) -> None:
        take.told_started = True
        if isinstance(take, Successor):
            self._tell(take.entry)
            return
        values: list[tuple[str, Value]] = [
            ("waited", time.monotonic() - take.accepted_at),
            ("latency", self._sound.output_latency_seconds),
        ]
        if take.line:
            values.append((AT_SAMPLE, take.line.first_sample))
        self._tell(Report(take.job.number, "started", tuple(values)))

    def _tell_progress(self, take: Take) -> None:
        values = (
            ("generated", take.generated_seconds),
            ("played", take.played_seconds(self._output)),
            ("of", take.expected_seconds),
        )
        self._tell(Report(take.job.number, "progress", values))

    def _tell_finished(self, take: Take) -> None:
        gaps, missing_samples = take.gaps(self._output)
        values: list[tuple[str, Value]] = [
            ("take", take.job.number),
            ("seconds", take.generated_seconds),
            ("seed", take.job.seed),
            ("sounded", take.sounds(self._output)),
            ("gaps", gaps),
            ("missing_samples", missing_samples),
            ("file", take.file),
        ]
        if take.follows is not None:
            values.append(("follows", take.follows))
        if take.heard_at is not None:
            values.append((AT_SAMPLE, take.heard_at))
        self._tell(Report(take.job.number, "finished", tuple(values)))
