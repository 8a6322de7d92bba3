"""The plan of a take's notes after what an instrument has heard, or within it, or why there can be none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from melnet_music.instrument.instrument import Instrument
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.live import HeardAhead
from melnet_music.notes.score.network import ScoreModel
from melnet_music.notes.score.planned_notes import PlannedNotes, TakeGrid
from melnet_music.notes.score.settings import FEWEST_NOTES, PlanSettings


class NotPlannableError(ValueError):
    """The preset plays no notes, or too few were heard: a take can still be made without a plan."""


def check_plannable(instrument: Instrument, *, from_heard: bool, known: Sequence[Note] | None = None) -> None:
    """
    Args:
        from_heard: whether a plan is to go on from the notes that were heard.
        known: these, where they are not to be those that the ear told.

    Raises:
        NotPlannableError: there can be no plan; the message says why.
    """
    if not instrument.follows_notes:
        raise NotPlannableError(f"preset {instrument.preset_name!r} plays no notes that it is given")
    if not from_heard:
        return
    heard = instrument.heard_notes() if known is None else known
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
    known: Sequence[Note] | None = None,
    ahead: HeardAhead | None = None,
) -> PlannedNotes:
    """A plan for a take whose new sound begins at the end of what was heard.

    Args:
        grid: beats and bars around that place.
        from_heard: go on from the notes of the last minute; else out of nothing.
        known: these, in the instrument's seconds; None: those that its ear told.
        ahead: may have read them, or some of them.

    Raises:
        NotPlannableError: the preset plays no notes, or too few were heard.
    """
    check_plannable(instrument, from_heard=from_heard, known=known)
    before = heard_before(instrument, known) if from_heard else []
    return PlannedNotes(model, before, grid, settings, seed, ahead=ahead if from_heard else None)


def heard_before(instrument: Instrument, known: Sequence[Note] | None = None) -> list[Note]:
    """The notes of the last minute, in seconds from the end of what was heard.

    Args:
        known: these, in the instrument's seconds; None: those that its ear told.
    """
    now_s = instrument.heard_seconds
    heard = instrument.heard_notes() if known is None else known
    return [replace(note, onset_s=note.onset_s - now_s, end_s=note.end_s - now_s) for note in heard]


def plan_part(
    instrument: Instrument,
    model: ScoreModel,
    grid: TakeGrid,
    settings: PlanSettings,
    seed: int,
    start_seconds: float,
    stop_seconds: float,
    known: Sequence[Note] | None = None,
) -> PlannedNotes:
    """A plan for a part of what was heard, between the notes before it and those after it.

    Args:
        grid: beats and bars around the beginning of the part.
        known: the notes, in the instrument's seconds; None: those that its ear told.

    Raises:
        NotPlannableError: the preset plays no notes, too few were heard around the part, or it is shorter than a step.
    """
    check_plannable(instrument, from_heard=False)
    heard = [
        replace(note, onset_s=note.onset_s - start_seconds, end_s=note.end_s - start_seconds)
        for note in (instrument.heard_notes() if known is None else known)
    ]
    part_s = stop_seconds - start_seconds
    before, after = [n for n in heard if n.onset_s < 0], [n for n in heard if n.onset_s >= part_s]
    if not heard and not instrument.has_ear:
        raise _no_ear(instrument)
    if len(before) + len(after) < FEWEST_NOTES:
        raise NotPlannableError(f"{len(before) + len(after)} notes were heard around the part: too few to plan it from")
    if grid.step_at(part_s) <= grid.start:
        raise NotPlannableError(f"the part of {part_s:.3g} s is shorter than a step of the grid")
    return PlannedNotes(model, before, grid, settings, seed, part_s, after)


def _no_ear(instrument: Instrument) -> NotPlannableError:
    return NotPlannableError(f"there is no ear for the sound of preset {instrument.preset_name!r}")
