"""The player's one loop: requests, input, one step of a load and one of the running request, takes to the ring.

A queued request is a generator that yields between its steps (of a job: one engine block), so that to cancel it is to
close it, and nothing else waits longer than a step. A load is stepped beside it; alternatives to takes are made where
nothing else is to be done.
"""

from __future__ import annotations

import time
from contextlib import suppress
from multiprocessing.connection import Connection

from bridge.player.cancelling import cancel, panic
from bridge.player.editing import change_tape, export_tape, restore_tape, use_sound
from bridge.player.heartbeat import beat
from bridge.player.jobs import accept, retime
from bridge.player.listening import HeardReports, hear_input, listen, measure_surprise, record_notes, take_in_input
from bridge.player.loading import PresetLoader, list_presets
from bridge.player.making import NotesAhead, make_take
from bridge.player.priming import clear_prompt, prime_file, render_phrase
from bridge.player.serving import serve_takes
from bridge.player.state import HEARD_AT_ONCE_SECONDS, CutShortError, PlayerState, RunningRequest, Steps
from bridge.player.steps import advance
from bridge.player.variations.making import may_make_variation, step_variation
from bridge.player.variations.playing import play_again
from bridge.processes.job import Job
from bridge.processes.messages import (
    STOP,
    BeginPhrase,
    Cancel,
    ExportTape,
    Key,
    Listen,
    ListPresets,
    Load,
    MeasureSurprise,
    Panic,
    Pedal,
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
    UseBars,
    UseSound,
)

_AHEAD_SECONDS = 30.0
"""How far ahead of the ring a take is generated that need not hurry."""
_RESERVE_SECONDS = 2.0
"""With so much more ready than is needed, a sounding take is not made further while what goes on from it is."""
_HAND_SECONDS, _ANSWER_AHEAD_SECONDS = 10.0, 2.0
"""A planned take is made no farther ahead of what sounds, so long after a key was struck: it is to answer soon."""
_POLL_SECONDS, _IDLE_POLL_SECONDS = 0.01, 0.2
"""How long a request is waited for while there is something to watch, and while there is nothing."""


class PlayerLoop:
    """Belongs to the player process's one thread."""

    def __init__(self, connection: Connection, state: PlayerState) -> None:
        self._connection = connection
        self._state = state
        self._loader = PresetLoader(state)
        self._heard_reports = HeardReports(state)
        self._notes_ahead = NotesAhead(state)

    def run(self) -> None:
        """Play until told to stop.

        Raises:
            EOFError, OSError: the daemon is gone.
        """
        state = self._state
        while self._receive():
            beat(state)
            state.round_began = time.monotonic()
            take_in_input(state)
            if state.live_input.holds_some and state.can_spare_time():
                hear_input(state, HEARD_AT_ONCE_SECONDS)
            self._loader.step()
            if self._may_step():
                self._step()
            elif may_make_variation(state):
                step_variation(state)
            serve_takes(state)
            if not self._hurries():
                self._notes_ahead.read()
            self._heard_reports.tell()
        self._save_what_is_made()

    def _save_what_is_made(self) -> None:
        running = self._state.running
        if running and isinstance(running.request, Job):
            with suppress(StopIteration, CutShortError):
                running.steps.throw(CutShortError)

    def _receive(self) -> bool:
        """Carry out what came, waiting for a request only if there is nothing else to do. False: stop."""
        state = self._state
        watches = state.takes or state.live_input.listening or state.load
        resting_seconds = _POLL_SECONDS if watches else _IDLE_POLL_SECONDS
        # asked first: one may become ripe before the next line asks whether one is
        next_start_in_seconds = state.job_queue().next_start_in_seconds()
        patience_seconds = 0.0 if self._is_busy() else min(resting_seconds, next_start_in_seconds)
        beat(state)  # what took long is over
        while self._connection.poll(patience_seconds):
            request = self._connection.recv()
            if request == STOP:
                return False
            self._carry_out(request)
            patience_seconds = 0.0
        return True

    def _carry_out(self, request: PlayerRequest) -> None:
        """Carry out a request at once, or put it into the queue."""
        state = self._state
        match request:
            case Panic():
                panic(state, request)
            case Cancel():
                cancel(state, request)
            case Listen():
                listen(state, request)
            case UseSound():
                use_sound(state, request)
            case UseBars():
                state.bars = request
            case MeasureSurprise():
                measure_surprise(state, request)
            case Key() | Pedal():
                record_notes(state, state.played.take(request))
            case BeginPhrase():
                state.played.begin_phrase()
                state.tell(Report(request.number, "done"))
            case StartLoop() | StopLoop() | Undo() | Recall():
                change_tape(state, request)
            case RestoreTape():
                restore_tape(state, request)
            case ListPresets():
                list_presets(state, request)
            case Job() | RenderPhrase():
                try:
                    accept(state, request)
                except RequestError as error:
                    state.tell(Refusal(request.number, error.code, str(error)))
            case Retime():
                retime(state, request)
            case Load() | PrimeFile() | PrimeClear() | ExportTape():
                state.waiting.append(request)

    def _is_busy(self) -> bool:
        """Whether there is anything to do at once."""
        return self._hurries() or may_make_variation(self._state)

    def _hurries(self) -> bool:
        """Whether somebody waits for what is to be done."""
        return self._may_step() or self._loader.can_go_on

    def _may_step(self) -> bool:
        """Whether the running request, or else the next one, is to make a step now."""
        state = self._state
        load, swap = state.load, state.load.swap if state.load else None
        load_hurries = (load and load.loading and load.loading.measures) or (swap and swap.making)
        if load_hurries and state.takes and state.can_spare_time(_RESERVE_SECONDS):
            return False
        if state.running is None:
            return not (swap and swap.active) and state.job_queue().next_index() is not None
        if not isinstance(state.running.request, Job) or not state.takes:
            return True
        take = state.takes[-1]
        if take.job.number != state.running.request.number:
            return True  # a phrase is being rendered for it
        answers = take.answers and self._is_answered()
        if take.job.is_live or answers:
            if swap and swap.wants_sound:
                return True
            clock, others = state.clock(), list(state.takes)[:-1]
            before_seconds = sum(each.left_seconds(state.output, clock) for each in others)
            return take.needs_block(state.output, before_seconds, _ANSWER_AHEAD_SECONDS if answers else 0.0)
        hurried = take is state.takes[0] and not take.opened
        return hurried or take.backlog_seconds < _AHEAD_SECONDS

    def _is_answered(self) -> bool:
        """Whether somebody plays, and no other take waits for the one that could answer to be made."""
        state = self._state
        waits = any(isinstance(each, Job) for each in state.waiting)
        return not waits and time.monotonic() - state.played.last_seconds < _HAND_SECONDS

    def _step(self) -> None:
        """One step of the running request; if there is none, the next one begins."""
        state = self._state
        if state.running is None:
            place = state.job_queue().next_index()
            if place is None:
                return  # since `_may_step` has looked there is too little time left before another's turn
            request = state.waiting[place]
            del state.waiting[place]
            state.running = RunningRequest(request, self._steps_of(request))
        running = state.running
        if not advance(state, running.steps, running.request.number):
            state.running = None

    def _steps_of(self, request: QueuedRequest) -> Steps:
        match request:
            case PrimeFile():
                return prime_file(self._state, request)
            case PrimeClear():
                return clear_prompt(self._state, request)
            case ExportTape():
                return export_tape(self._state, request)
            case RenderPhrase():
                return render_phrase(self._state, request)
            case Job():
                return play_again(self._state, request) if request.plays else make_take(self._state, request)
            case Load():
                raise AssertionError("a load is stepped beside the queue")
