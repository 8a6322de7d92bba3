"""The plan of a take's notes after what an instrument has heard, or within it, or why there can be none."""

from __future__ import annotations

from dataclasses import replace

from melnet_music.instrument.instrument import Instrument
from melnet_music.notes.score.network import ScoreModel
from melnet_music.notes.score.planned_notes import PlannedNotes, TakeGrid
from melnet_music.notes.score.settings import PlanSettings

FEWEST_NOTES = 4
"""Fewer are nothing to go on from."""


class NotPlannableError(ValueError):
    """The preset plays no notes, or too few were heard: a take can still be made without a plan."""


def check_plannable(instrument: Instrument, *, from_heard: bool) -> None:
    """
    Args:
        from_heard: whether a plan is to go on from the notes that were heard.

    Raises:
        NotPlannableError: there can be no plan; the message says why.
    """
    if not instrument.follows_notes:
        raise NotPlannableError(f"preset {instrument.preset_name!r} plays no notes that it is given")
    if not from_heard:
        return
    heard = instrument.heard_notes()
    if not heard and not instrument.has_ear:
        raise _no_ear(instrument)
    if len(heard) < FEWEST_NOTES:
        raise NotPlannableError(f"{len(heard)} notes were heard in the last minute: play some to go on from")


def plan_take(
    instrument: Instrument,
    model: ScoreModel,
    grid: TakeGrid,
    settings: PlanSettings,
    seed: int,
    *,
    from_heard: bool,
) -> PlannedNotes:
    """A plan for a take whose new sound begins at the end of what was heard.

    Args:
        grid: beats and bars around that place.
        from_heard: go on from the notes of the last minute; else out of nothing.

    Raises:
        NotPlannableError: the preset plays no notes, or too few were heard.
    """
    check_plannable(instrument, from_heard=from_heard)
    now_s = instrument.heard_seconds
    heard = instrument.heard_notes() if from_heard else ()
    before = [replace(note, onset_s=note.onset_s - now_s, end_s=note.end_s - now_s) for note in heard]
    return PlannedNotes(model, before, grid, settings, seed)


def plan_part(
    instrument: Instrument,
    model: ScoreModel,
    grid: TakeGrid,
    settings: PlanSettings,
    seed: int,
    start_seconds: float,
    stop_seconds: float,
) -> PlannedNotes:
    """A plan for a part of what was heard, between the notes before it and those after it.

    Args:
        grid: beats and bars around the beginning of the part.

    Raises:
        NotPlannableError: the preset plays no notes, too few were heard around the part, or it is shorter than a step.
    """
    check_plannable(instrument, from_heard=False)
    known = [
        replace(note, onset_s=note.onset_s - start_seconds, end_s=note.end_s - start_seconds)
        for note in instrument.heard_notes()
    ]
    part_s = stop_seconds - start_seconds
    before, after = [n for n in known if n.onset_s < 0], [n for n in known if n.onset_s >= part_s]
    if not known and not instrument.has_ear:
        raise _no_ear(instrument)
    if len(before) + len(after) < FEWEST_NOTES:
        raise NotPlannableError(f"{len(before) + len(after)} notes were heard around the part: too few to plan it from")
    if grid.step_at(part_s) <= grid.start:
        raise NotPlannableError(f"the part of {part_s:.3g} s is shorter than a step of the grid")
    return PlannedNotes(model, before, grid, settings, seed, part_s, after)


def _no_ear(instrument: Instrument) -> NotPlannableError:
    return NotPlannableError(f"there is no ear for the sound of preset {instrument.preset_name!r}")
