"""Jobs that end before they are done: cancelled, dropped by a panic, or with a tape that is gone."""

from __future__ import annotations

import time
from collections.abc import Collection

from bridge.midi.played_notes import PlayedNotes
from bridge.player.listening import record_notes
from bridge.player.state import PlayerState
from bridge.processes.job import Job
from bridge.processes.messages import Cancel, Panic, Refusal, Report, VariationLost
from bridge.protocol.errors import FailCode
from bridge.takes.take import Take
from bridge.takes.take_chain import Successor


def panic(state: PlayerState, request: Panic) -> None:
    """Drop all jobs and alternatives, release all keys, and silence the output and the loop at once."""
    lose_variations(state, state.variations.numbers(), "cancelled", "panic dropped all jobs")
    jobs = [take.job.number for take in state.takes]
    running = state.running.request if state.running else None
    jobs += [each.number for each in (running, *state.waiting) if isinstance(each, Job)]
    for number in dict.fromkeys(jobs):
        drop(state, number)
        state.tell(Refusal(number, "cancelled", "panic dropped all jobs"))
    record_notes(state, state.played.release_all(time.monotonic()))
    state.played = PlayedNotes()
    state.output.answer_hush()
    state.tape.stop_loop()
    state.tell(Report(request.number, "done"))


def cancel(state: PlayerState, request: Cancel) -> None:
    """Drop one job, or alternatives; of a take that was handed over to another preset, what goes on from it."""
    job_number, unbegun = request.job_number, {each.number for job in _jobs(state) for each in job.variations}
    dropped = lose_variations(state, request.variations, "cancelled", "it was cancelled")
    for variation in unbegun.intersection(request.variations):
        state.variations.never(variation)
        state.tell(VariationLost(variation, "cancelled", "it was cancelled"))
        dropped = True
    if job_number is not None:
        number = next((take.job.number for take in state.takes if take.follows == job_number), job_number)
        if drop(state, number):
            state.tell(Refusal(number, "cancelled", "it was cancelled"))
            dropped = True
    if dropped:
        state.tell(Report(request.number, "done"))
    else:
        state.tell(Refusal(request.number, "unknown_id", "that job is over"))


def lose_variations(state: PlayerState, numbers: Collection[int], code: FailCode, message: str) -> bool:
    """Forget alternatives that are not made yet, and tell it; False: there are none of these."""
    lost = state.variations.drop(numbers)
    for number in lost:
        state.tell(VariationLost(number, code, message))
    return bool(lost)


def _jobs(state: PlayerState) -> list[Job]:
    running = state.running.request if state.running else None
    jobs = [each for each in (running, *state.waiting) if isinstance(each, Job)]
    return [*jobs, *(take.job for take in state.takes)]


def drop(state: PlayerState, number: int) -> bool:
    """Forget a job and its alternatives, wherever it stands; fade it out if it sounds. False: there is no such job.

    Whoever is told of the job knows that its alternatives are gone with it.
    """
    state.variations.take_back(number)
    if state.running and state.running.request.number == number:
        state.running.steps.close()
        state.running = None
        if state.accepted_at.pop(number, None) is not None:
            return True  # its phrase was being rendered
    for take in state.takes:
        if take.job.number == number:
            _silence(state, take)
            state.takes.remove(take)
            if isinstance(take, Successor) and not take.told_started:
                state.tell_started(take)
            return True
    for request in state.waiting:
        if request.number == number:
            state.waiting.remove(request)
            state.accepted_at.pop(number, None)
            return True
    return False


def drop_jobs_on_tape(state: PlayerState) -> None:
    """Refuse all jobs that repaint the tape: it is blank now."""
    why = "the sound device has another rate, and the tape is blank"
    lose_variations(state, state.variations.numbers(on_tape=True), "refused", why)
    jobs = [take.job for take in state.takes] + [request for request in state.waiting if isinstance(request, Job)]
    for job in jobs:
        if job.span:
            drop(state, job.number)
            state.tell(Refusal(job.number, "refused", why))


def _silence(state: PlayerState, take: Take) -> None:
    """Take a take's sound out of the ring, if it has any there, and leave the other takes theirs."""
    behind = state.takes[1] if len(state.takes) > 1 and state.takes[1].opened else None
    if take is behind and state.output.take_back(take.sound_from):
        state.output.finish()
    elif take is behind or (take is state.takes[0] and take.has_sound):
        state.output.cut()
        if behind and take is not behind:
            behind.rewind()
