"""Alternatives that are drawn with their take, in the same calls of an engine that draws several at once.

Their frames are kept until the take is made; what is left to do for them then is the sound.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.processes.job import Job, Planning
from bridge.takes.planning import TakePlanner

if TYPE_CHECKING:
    from melnet_music.instrument.instrument import Instrument
    from melnet_music.notes.note_map import Note
    from melnet_music.notes.score.planned_notes import PlannedNotes
    from melnet_music.sampling.batch import DrawnTake

_LOG = logging.getLogger(__name__)

_MOST_PLANNED = 7
"""To plan notes is the processor's work: 20 ms for each before the first sound, and 2 ms a chunk, on one core."""
_MOST_SECONDS = 2400.0
"""Of sound whose frames are kept: with `piano`, 180 MB."""
_MOST_SECONDS_AT_ONCE, _AFTER_SECONDS = 24.0, 4.0
"""A part is repainted in one chunk with what is seen of what follows it; of all takes together, so much. Counted from
the shapes, `piano` takes 0.16 GB of a card's memory for a second."""


@dataclass
class DrawnVariation:
    """An alternative that is drawn while its take is made."""

    number: int
    seed: int
    drawn: DrawnTake
    plan: PlannedNotes | None
    """Of its notes; None: they are its take's, or there are none."""
    planning: Planning | None
    """How they are planned, in the bars as they are by now."""
    takes: int
    """How many are drawn together."""


def drawn_with(
    planner: TakePlanner, instrument: Instrument, job: Job, *, planned: bool, known: Sequence[Note] | None
) -> list[DrawnVariation]:
    """The alternatives to a job's take that are to be drawn with it, the first of them in order.

    Args:
        job: its planning is placed, if it has a plan.
        planned: whether it has one; each of them then has one of its own.
        known: the notes that plan goes on from, see `TakePlanner.plan`.
    """
    if job.is_live or not job.variations:
        return []  # whoever plays meanwhile is to be answered soon
    from melnet_music.sampling.batch import DrawnTake  # which the daemon's start need not wait for

    seconds = max(1.0, job.skip_seconds + job.seconds)
    most = min(instrument.most_takes, int(_MOST_SECONDS / seconds))
    if job.kind == "inpaint":
        most = min(most, int(_MOST_SECONDS_AT_ONCE / (seconds + _AFTER_SECONDS)))
    chosen = job.variations[: max(0, min(most - 1, _MOST_PLANNED) if planned else most - 1)]
    plans: list[PlannedNotes | None] = []
    for each in chosen:
        try:
            plans.append(planner.plan(instrument, replace(job, seed=each.seed), known) if planned else None)
        except ValueError as error:
            _LOG.info("an alternative is made by itself: %s", error)
            break
    takes = 1 + len(plans)
    return [
        DrawnVariation(each.number, each.seed, DrawnTake(), plan, job.planning, takes)
        for each, plan in zip(chosen, plans, strict=False)
    ]
