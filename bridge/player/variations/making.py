"""Making alternatives to takes, a step at a time, while nothing else is to be done and nothing is due soon."""

from __future__ import annotations

import time
from dataclasses import replace

from bridge.player.making import make_blocks
from bridge.player.state import PlayerState, Steps
from bridge.player.steps import Failed, tried
from bridge.player.variations.together import DrawnVariation
from bridge.processes.job import Job
from bridge.processes.messages import VariationLost, VariationMade
from bridge.takes.take import CHAIN_SECONDS, Take
from bridge.tape.tape_commands import KeptTake

LONGEST_STEP_SECONDS = 0.5
"""No step of an alternative is begun so shortly before something is due. With `piano` on two busy cores the longest
took 0.1 s of a continuation, and 0.4 s of a repainted part."""
_NONE_AFTER = ("refused", "bad_file")
"""What fails for one of them fails for the others too: the preset is another one, or the disk is full."""
_RESERVE_SECONDS = 2.0
"""A sounding take that is not whole yet must have so much more ready than it needs."""


def may_make_variation(state: PlayerState) -> bool:
    """Whether there is an alternative to be made, and a step of it can delay nothing else."""
    if state.variations.is_empty or state.instrument is None or state.load:
        return False
    running = state.running.request if state.running else None
    if isinstance(running, Job) and running.is_live:
        return False  # it is made just before it is heard
    if state.job_queue().next_start_in_seconds() < LONGEST_STEP_SECONDS:
        return False
    return state.can_spare_time(_RESERVE_SECONDS) and not _chains_soon(state)


def _chains_soon(state: PlayerState) -> bool:
    """Whether a take is about to be appended to the one that sounds."""
    if len(state.takes) < 2 or state.takes[1].opened:
        return False
    left_seconds = state.takes[0].left_seconds(state.output, state.clock())
    return left_seconds < CHAIN_SECONDS + LONGEST_STEP_SECONDS


def step_variation(state: PlayerState) -> None:
    """One step of the alternative that is being made, or of the next one; what becomes of it is told."""
    queue = state.variations
    now = queue.in_work(lambda kept, job: _make(state, kept, job, queue.take_drawn(job.number)))
    outcome = tried(now.steps, now.job.number)
    if outcome is True:
        return
    queue.end()
    if isinstance(outcome, Failed):
        lost = [now.job.number]
        if outcome.code in _NONE_AFTER:
            lost += [each.number for each in queue.take_back(now.kept.job.number)]
        for number in lost:
            state.tell(VariationLost(number, outcome.code, outcome.message))


def _make(state: PlayerState, kept: KeptTake, job: Job, drawn: DrawnVariation | None) -> Steps:
    """All of an alternative, and its files.

    Args:
        drawn: its frames, or the first of them; None: it is made from its prompt on.

    Raises:
        RequestError, ValueError: another preset plays now, or its files cannot be written.
    """
    assert job.again is not None
    instrument = state.loaded_instrument()
    if drawn:
        instrument = instrument.going_on(drawn.drawn)
        kept = replace(kept, job=replace(kept.job, planning=drawn.planning))
    instrument, job = state.tape_commands.beside(instrument, kept, job, job.again)
    take = Take(
        job,
        accepted_at=time.monotonic(),
        sample_rate_hz=instrument.sample_rate_hz,
        output_hz=None,
        rate=state.pace.rate,
        block_seconds=instrument.chunk_seconds,
    )
    yield from make_blocks(state, instrument, take, drawn)
    state.tell(VariationMade(job.number, take.generated_seconds, take.file))
