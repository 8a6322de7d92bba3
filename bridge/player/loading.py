"""Loading a preset beside the requests in the queue, and handing the sounding take over to it.

Takes are made while it waits for its preset, and for its line; only what was requested after it waits for it.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.midi.mapping_file import read_preset_map
from bridge.player.heartbeat import beat, beat_before_disk
from bridge.player.making import make_blocks
from bridge.player.preset_loading import LOADING_SECONDS, PresetLoading
from bridge.player.priming import hear_again
from bridge.player.state import CutShortError, LoadInProgress, PlayerState, RunningRequest, Steps
from bridge.player.steps import advance
from bridge.processes.job import Job
from bridge.processes.messages import (
    AT_SAMPLE,
    EngineReplaced,
    HandedOver,
    ListPresets,
    Load,
    Loaded,
    PlannedNotesDropped,
    Refusal,
    Report,
    Warn,
)
from bridge.takes.job_queue import Pace
from bridge.takes.preset_swap import PresetSwap
from bridge.takes.take import Take
from bridge.takes.take_files import discard_take, shorten_take

if TYPE_CHECKING:
    from melnet_music.instrument.instrument import Instrument
    from melnet_music.instrument.take_speed import TakeSpeed

_LOG = logging.getLogger(__name__)

_SILENT_SECONDS = 2.0
"""The score model takes longer to make ready only where there is something to compile."""


def list_presets(state: PlayerState, request: ListPresets) -> None:
    """Tell names and titles of the presets that have weights."""
    beat_before_disk(state)
    from melnet_music.model import preset  # brings pydantic along

    try:
        presets = [(each.name, each.title) for each in preset.list_presets() if each.has_weights]
    except ValueError as error:
        state.tell(Refusal(request.number, "failed", str(error)))
    else:
        state.tell(Report(request.number, "done", tuple(presets)))


class PresetLoader:
    """Carries out the load requests, the first of them at a time."""

    def __init__(self, state: PlayerState) -> None:
        self._state = state
        self._steps: Steps | None = None

    def step(self) -> None:
        """One step of the first load that was requested, if the sounding take can spare the time."""
        state = self._state
        if state.load is None:
            request = next((each for each in state.waiting if isinstance(each, Load)), None)
            if request is None:
                return
            state.load = LoadInProgress(request)
            self._steps = self._load(state.load)
        assert self._steps is not None
        if state.can_spare_time() and not advance(state, self._steps, state.load.request.number):
            state.load = self._steps = None

    @property
    def can_go_on(self) -> bool:
        """Whether a load has something to do now."""
        load = self._state.load
        return bool(load and not load.idle and self._state.can_spare_time())

    def _load(self, load: LoadInProgress) -> Steps:
        state, preset = self._state, load.request.preset
        make, engine, threads = state.make_instrument, state.settings.engine, state.settings.threads
        load.loading = PresetLoading(preset, lambda: make(preset, engine=engine, threads=threads))
        while load.loading.goes_on:
            yield from _wait(load)
        instrument, speed = load.loading.result()
        load.loading = None
        instrument.on_engine_failure(partial(self._tell_engine_failure, instrument))
        state.planner.give_ear(instrument)
        if instrument.plans_notes:
            yield from _prepare_planner(state, load)
        yield from hear_again(state, instrument)
        load.swap = PresetSwap(
            load.request,
            instrument,
            speed,
            ring=state.output,
            make=partial(make_blocks, state),
            tell=state.tell,
        )
        while (old := self._take_to_hand_over()) or self._must_wait(load.request):
            if old and (yield from self._hand_over(old, load, load.swap, instrument)):
                self._use_instrument(load.request, instrument, speed)
                return
            yield from _wait(load)
        yield from hear_again(state, instrument)
        self._use_instrument(load.request, instrument, speed)
        values = (("preset", instrument.preset_name), ("real_time_factor", state.pace.rate))
        state.tell(Report(load.request.number, "started" if load.swap.promised else "done", values))

    def _tell_engine_failure(self, instrument: Instrument, message: str) -> None:
        """To the status, and to who asked for what is made now; the log says it in any case."""
        if instrument is self._state.instrument:
            self._state.tell(EngineReplaced(instrument.engine_name, message))
        if running := self._state.running:
            self._state.tell(Warn(running.request.number, message))

    def _use_instrument(self, request: Load, instrument: Instrument, speed: TakeSpeed) -> None:
        """From here on what waits is made by it."""
        state = self._state
        previous, state.instrument = state.instrument, instrument
        if state.measures_surprise:
            instrument.measure_surprise(True)
        state.pace = Pace(speed.real_time_factor, speed.first_sound_seconds, instrument.chunk_seconds)
        if state.prompt_memory.sample_rate_hz != instrument.sample_rate_hz:
            state.prompt_memory.forget(instrument.sample_rate_hz)
        if previous and previous.sample_rate_hz != instrument.sample_rate_hz:
            state.live_input.change_rate()
        state.waiting = deque(each for each in state.waiting if each.number != request.number)
        loaded = Loaded(
            instrument.preset_name,
            request.preset,
            instrument.preset_digest,
            instrument.engine_name,
            state.pace.rate,
            instrument.chunk_seconds,
            read_preset_map(instrument.preset_folder),
            instrument.plans_notes,
            instrument.engine_why,
        )
        beat(state)  # whoever hears of it may count on the usual patience again, not on that of a load
        state.tell(loaded)

    def _must_wait(self, request: Load) -> bool:
        """Whether a load waits: for takes, or for an earlier request that could begin now."""
        state = self._state
        before = takewhile(lambda each: each.number != request.number, state.waiting)
        queue = state.job_queue()
        turns = (queue.start_due_in_seconds(each) if isinstance(each, Job) else 0.0 for each in before)
        return bool(state.takes or state.running) or any(turn <= 0.0 for turn in turns)

    def _take_to_hand_over(self) -> Take | None:
        """The take that sounds, if it can go on with another preset: what is repainted is played to its end."""
        state = self._state
        running = state.running.request if state.running else None
        if not state.takes or not (running is None or isinstance(running, Job)):
            return None
        take = state.takes[0]
        on_tape = running is not None and running.span
        sounds = take.has_sound and take.told_started and state.output.read > take.sound_from
        return take if sounds and take.job.kind != "inpaint" and not on_tape else None

    def _hand_over(
        self, old: Take, load: LoadInProgress, swap: PresetSwap, instrument: Instrument
    ) -> Generator[None, None, bool]:
        """Have the loaded instrument go on with the take; False: it was over before."""
        state = self._state
        with closing(swap.steps(old, state.clock)) as steps:
            for rests in steps:
                if rests:
                    yield from hear_again(state, instrument)
                load.idle = rests
                yield
                load.idle = False
                if old not in state.takes or not old.has_sound:
                    return False
        if swap.taken_over is None:
            return False
        self._replace_take(old, swap)
        for _ in hear_again(state, instrument):
            beat(state)
        return True

    def _replace_take(self, old: Take, swap: PresetSwap) -> None:
        """The new take is in the ring: end the old one on the line, and have what comes behind made anew."""
        state = self._state
        assert swap.taken_over is not None
        successor, steps, join = swap.taken_over
        old.keep_first(join.old_samples)
        if state.running and state.running.request.number == old.job.number:
            with suppress(StopIteration):
                state.running.steps.throw(CutShortError)
        else:
            if state.running:
                state.running.steps.close()
            self._shorten_file(old)
        for take in [take for take in reversed(state.takes) if take is not old]:
            if take.file and not take.job.plays:
                discard_take(Path(take.file))
            if take.planned:
                state.tell(PlannedNotesDropped(take.job.number))
            state.accepted_at[take.job.number] = take.accepted_at
            variations = take.job.variations or state.variations.take_back(take.job.number)
            state.waiting.appendleft(replace(take.job, variations=variations))
        state.takes = deque([successor])
        state.running = RunningRequest(successor.job, steps)
        gaps, missing_samples = old.gaps(state.output)
        values = (
            ("take", old.job.number),
            ("seconds", old.generated_seconds),
            ("seed", old.job.seed),
            ("gaps", gaps),
            ("missing_samples", missing_samples),
            ("file", old.file),
            ("goes_on_as", successor.job.number),
            (AT_SAMPLE, swap.line_sample),
        )
        state.tell(HandedOver(old.job.number, successor.job, values))

    def _shorten_file(self, take: Take) -> None:
        if not take.file or take.job.plays:
            return
        try:
            shorten_take(Path(take.file), round(take.generated_seconds * take.sample_rate_hz))
        except ValueError as error:
            _LOG.warning("%s", error)
            self._state.tell(Warn(take.job.number, str(error)))


def _prepare_planner(state: PlayerState, load: LoadInProgress) -> Steps:
    """Make the score model ready, which takes no take's time then."""
    state.planner.prepare()
    began, told = time.monotonic(), False
    while state.planner.prepares and time.monotonic() - began < LOADING_SECONDS:
        if not told and time.monotonic() - began > _SILENT_SECONDS:
            told = True
            _LOG.warning("still loading: a first start compiles the score model too")
        yield from _wait(load)


def _wait(load: LoadInProgress) -> Steps:
    """Wait for what others do."""
    load.idle = True
    yield
    load.idle = False
