"""Feeding the output ring from the takes, on their lines and one behind the other, and telling how far they are."""

from __future__ import annotations

import time

from bridge.clock.device_clock import DeviceClock
from bridge.player.cancelling import drop
from bridge.player.state import PlayerState
from bridge.processes.messages import Moved, Refusal, Warn
from bridge.takes import start_time
from bridge.takes.take import Take
from bridge.takes.take_chain import Successor
from bridge.takes.take_reports import finished_report, progress_report, sounding_report

_PROGRESS_EVERY_SECONDS = 0.5


def serve_takes(state: PlayerState) -> None:
    """Call it once a round of the loop."""
    for take in [each for each in state.takes if not each.has_sound and each.complete]:
        state.takes.remove(take)  # it waits for nobody's sound
        state.tell(finished_report(take, state.output))
    while state.takes:
        take = state.takes[0]
        if take.has_sound:
            clock = state.clock()
            if take.misses_its_line(clock) and not _put_off(state, take, clock):
                continue
            _feed(state, take, clock)
        if not take.over(state.output):
            _chain_next(state, take)
            break
        state.takes.popleft()
        if sounded := take.sounded(state.output):
            state.tape.record_take(*sounded, take.job.number, take.file)
            state.tape.record_take_notes(sounded[0], take.job)
            if sounding := sounding_report(take, state.output, over=True):
                state.tell(sounding)
        state.tell(finished_report(take, state.output))
    _tell_where_they_sound(state)
    _tell_planned_notes(state)
    now = time.monotonic()
    for take in state.takes:
        if now - take.told_progress_at >= _PROGRESS_EVERY_SECONDS:
            take.told_progress_at = now
            state.tell(progress_report(take, state.output))


def _tell_where_they_sound(state: PlayerState) -> None:
    for take in state.takes:
        if (
            not take.told_sounding
            and take.has_sound
            and take.opened
            and (sounding := sounding_report(take, state.output))
        ):
            take.told_sounding = True
            state.tell(sounding)


def _tell_planned_notes(state: PlayerState) -> None:
    for take in state.takes:
        if take.planned and take.has_sound:
            for event in take.planned.tell(take.origin_sample(state.output)):
                state.tell(event)


def _feed(state: PlayerState, take: Take, clock: DeviceClock | None) -> None:
    take.feed(state.output, clock)
    if take.told_started or not take.sounds(state.output):
        return
    if isinstance(take, Successor) and take.before:
        state.tape.record_take(*take.before)
        take.before = None
    state.tell_started(take)


def _chain_next(state: PlayerState, sounding: Take) -> None:
    """Have the take behind the one that sounds begin on its line though the ring is not empty before."""
    if len(state.takes) < 2 or (state.load and state.load.swap and state.load.swap.active):
        return
    following = state.takes[1]
    if following.opened:
        following.feed(state.output, None)
    else:
        following.chain(state.output, sounding)


def _put_off(state: PlayerState, take: Take, clock: DeviceClock | None) -> bool:
    """Do what was asked for a take that is not ready for its line; False: it is dropped."""
    assert take.line is not None
    assert clock is not None
    number, late = take.job.number, take.job.late
    if late == "drop":
        drop(state, number)
        state.tell(Refusal(number, "too_late", "it was made slower than expected, and is not ready for its line"))
        return False
    if late == "play":
        take.line = None
        state.tell(Warn(number, "it was made slower than expected, and begins as soon as it can"))
        return True
    missing = max(start_time.MARGIN_SECONDS - take.spare_seconds(state.output), start_time.LINE_GUARD_SECONDS)
    take.line = take.line.at_or_after(clock.sample_at(time.monotonic() + missing))
    state.tell(Moved(number, take.line.first_sample))
    return True
