"""Accepting a job: its lead and tail fitted to what was heard, its line and its time promised."""

from __future__ import annotations

import time
from dataclasses import replace

from bridge.clock.device_clock import Line
from bridge.player.state import PlayerState
from bridge.player.variations.queue import making_seconds
from bridge.processes.job import Job, Phrase
from bridge.processes.messages import AT_SAMPLE, Load, RenderPhrase, Report, Retime
from bridge.protocol.types import Value
from bridge.tape.session_tape import PASS_GUARD_SECONDS

_MOST_SKIPPED_SECONDS = 20.0
"""A continuation whose line is farther from what was heard does not enter in time with it."""


def accept(state: PlayerState, request: Job | RenderPhrase) -> None:
    """Put a job, or a phrase to be rendered, into the queue; of a job, tell when it will sound.

    Raises:
        RequestError: it is too late for its line, or no phrase was played.
    """
    if isinstance(request, RenderPhrase):
        state.waiting.append(replace(request, phrase=state.played.end_phrase(time.monotonic())))
        return
    job = replace(request, phrase=state.played.end_phrase(time.monotonic())) if request.ends_phrase else request
    if job.span:
        _accept_on_tape(state, job)
        return
    job = fit_to_heard(state, job, job.phrase.seconds if job.phrase else 0.0)
    values: list[tuple[str, Value]] = [("seed", job.seed), ("seconds", job.length_seconds)]
    queue, made_in = state.job_queue(), _making_seconds(state)
    if queue.clock is None:
        job = replace(job, line=None)  # there is no sound, and no time to keep
    else:
        phrase = job.phrase
        job, ready_in = queue.promise(job, lambda line: _unplayed_seconds(state, phrase, line))
        start_in = ready_in
        if job.line:
            start_in = queue.seconds_until(job.line)
            values.append((AT_SAMPLE, job.line.first_sample))
        values += [("start_in", start_in), ("ready_in", ready_in)]
        made_in = ready_in
    _enqueue(state, job, values, made_in)


def _accept_on_tape(state: PlayerState, job: Job) -> None:
    values: list[tuple[str, Value]] = [("seed", job.seed), ("seconds", job.seconds)]
    ready_in = _making_seconds(state) + state.pace.first_sound_seconds + state.pace.making_seconds(job)
    clock, loop = state.clock(), state.tape.loop
    if clock and loop:
        now = time.monotonic()
        at = loop.pass_at_or_after(clock.sample_at(now + ready_in + PASS_GUARD_SECONDS))
        job = replace(job, line=Line(at, loop.length))
        values += [(AT_SAMPLE, at), ("start_in", clock.monotonic_at(at) - now)]
    values.append(("ready_in", ready_in))
    _enqueue(state, job, values, ready_in)


def _enqueue(state: PlayerState, job: Job, values: list[tuple[str, Value]], ready_in: float) -> None:
    if job.variations:
        # when it is ready, it may be that hardly any of it is made
        seconds = state.variations.seconds + (1 + len(job.variations)) * making_seconds(job)
        for other in state.waiting:
            seconds += len(other.variations) * making_seconds(other) if isinstance(other, Job) else 0.0
        made_in = ready_in + seconds / state.pace.safe_rate
        values += [("variations", 1 + len(job.variations)), ("variations_in", made_in)]
    state.accepted_at[job.number] = time.monotonic()
    state.waiting.append(job)
    state.tell(Report(job.number, "done", tuple(values)))


def _making_seconds(state: PlayerState) -> float:
    """How long it takes to make what was there before."""
    left = sum(take.unmade_seconds for take in state.takes)
    waiting = sum(state.pace.making_seconds(job) for job in state.waiting if isinstance(job, Job))
    return left / state.pace.safe_rate + waiting


def fit_to_heard(state: PlayerState, job: Job, to_come_seconds: float = 0.0) -> Job:
    """The job with no more lead and tail than was heard.

    Args:
        to_come_seconds: what will be heard before the job begins.
    """
    if job.again:
        return state.tape_commands.as_made(job)
    if state.instrument is None:
        return job  # what a dead player had heard is still to be heard again
    heard = state.instrument.heard_seconds + to_come_seconds
    if job.kind == "inpaint":
        lead, tail = min(job.lead_seconds, job.start_seconds), min(job.tail_seconds, heard - job.stop_seconds)
        return replace(job, lead_seconds=lead, tail_seconds=max(0.0, tail))
    return replace(job, lead_seconds=min(job.lead_seconds, heard))


def fit_to_line(state: PlayerState, job: Job, sample_rate_hz: int) -> Job:
    """The job with what it has to skip to begin on its line in time with what was heard up to now.

    Args:
        sample_rate_hz: the instrument's.
    """
    if job.phrase and job.line and not job.lead_seconds:
        return replace(job, skip_seconds=_after_phrase_seconds(state, job.phrase, job.line))
    begin = state.tape.input_begin
    if not (job.line and state.job_queue().continues_input(job)) or begin is None:
        return job
    heard_seconds = state.live_input.heard_samples / sample_rate_hz
    skip_seconds = (job.line.first_sample - begin) / state.tape.rate_hz - heard_seconds
    return replace(job, skip_seconds=skip_seconds) if 0.0 < skip_seconds < _MOST_SKIPPED_SECONDS else job


def _unplayed_seconds(state: PlayerState, phrase: Phrase | None, line: Line) -> float:
    """How long it takes to make what lies between a phrase and a line."""
    return _after_phrase_seconds(state, phrase, line) / state.pace.safe_rate if phrase else 0.0


def _after_phrase_seconds(state: PlayerState, phrase: Phrase, line: Line) -> float:
    """How long after a phrase's end a line is."""
    clock = state.clock()
    if clock is None:
        return 0.0
    after = (line.first_sample - state.heard_sample_at(phrase.ended_at_seconds)) / clock.rate_hz
    return after if 0.0 < after < _MOST_SKIPPED_SECONDS else 0.0


def retime(state: PlayerState, request: Retime) -> None:
    """Move a job or a load that waits for a line to where the line is now."""
    if state.load and state.load.request.number == request.job_number:
        state.load.request = replace(state.load.request, line=request.line)
        if state.load.swap:
            state.load.swap.retime(request.line)
    for take in state.takes:
        if take.job.number == request.job_number and take.line:
            take.move_to(request.line, state.output)
    for place, waiting in enumerate(state.waiting):
        if isinstance(waiting, Job | Load) and waiting.number == request.job_number and waiting.line:
            state.waiting[place] = replace(waiting, line=request.line)
            if isinstance(waiting, Job) and waiting.planning and not waiting.was_planned and request.timeline:
                planning = replace(waiting.planning, timeline=request.timeline)
                state.waiting[place] = replace(waiting, line=request.line, planning=planning)
