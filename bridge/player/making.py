"""Making a take: the steps from its prompt to its last block and its files."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bridge.clock.device_clock import Line
from bridge.player.jobs import fit_to_heard, fit_to_line
from bridge.player.listening import hear_input
from bridge.player.priming import hear_phrase
from bridge.player.state import CutShortError, PlayerState, Steps
from bridge.player.variations.together import DrawnVariation, drawn_with
from bridge.processes.job import Job, Planning
from bridge.processes.messages import Moved, RequestError, UseBars, VariationLost, Warn
from bridge.takes.keys_meanwhile import KeysMeanwhile
from bridge.takes.notes_file import given_in_file, read_notes_in_steps
from bridge.takes.notes_in_sound import NotesInSound
from bridge.takes.planning import as_the_preset_plans, followed, go_over, placed
from bridge.takes.take import Take
from bridge.takes.take_chain import Successor
from bridge.takes.take_files import Origin, save_take
from bridge.takes.take_request import blocks_of, given_notes, notes_of, prompt_of, request_of, with_alternatives
from bridge.tape.live_input import HELD_SECONDS
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.settings import FEWEST_NOTES

if TYPE_CHECKING:
    from melnet_music.instrument.instrument import Instrument
    from melnet_music.instrument.prompt_state import Prompt
    from melnet_music.notes.score.planned_notes import PlannedNotes

_LOG = logging.getLogger(__name__)

_PREPARING_STEP_SECONDS = 0.01
_AHEAD_EVERY_SECONDS, _AHEAD_CALLS = 0.25, 12
"""Notes are read ahead so often at most; and when nothing more is heard, so often until all are."""
_KNOWN_SECONDS = 60.0
"""How far back notes that were played on keys are gone on from."""


def make_take(state: PlayerState, job: Job) -> Steps:
    """Begin a job's take after all that came in until now, and make it.

    Raises:
        RequestError, ValueError: the instrument cannot do this.
    """
    instrument = state.loaded_instrument()
    hear_input(state, HELD_SECONDS)
    if job.phrase:
        yield from hear_phrase(state, job.phrase, request_of(job, state.request_type))
    job = fit_to_line(state, fit_to_heard(state, job), instrument.sample_rate_hz)
    instrument, job = state.tape_commands.instrument_for(instrument, job)
    if job.again and job.again.notes_file:
        notes = yield from read_notes_in_steps(Path(job.again.notes_file))
        job = replace(job, notes=given_in_file(job, notes))
    take = Take(
        job,
        accepted_at=state.accepted_at.pop(job.number),
        sample_rate_hz=instrument.sample_rate_hz,
        output_hz=None if job.span else state.sound.output_hz,
        rate=state.pace.rate,
        block_seconds=instrument.chunk_seconds,
    )
    state.takes.append(take)
    yield from make_blocks(state, instrument, take)


class NotesAhead:
    """Reads heard notes while there is nothing else to do, so that the plan of a take that may come begins at once."""

    def __init__(self, state: PlayerState) -> None:
        self._state = state
        self._read: tuple[Instrument, float, UseBars] | None = None
        """What was last to be read: by which instrument, up to which second, in which bars."""
        self._calls, self._due_seconds = 0, 0.0

    def read(self) -> None:
        """Call it whenever there is time for some milliseconds."""
        state, now = self._state, time.monotonic()
        instrument, bars = state.instrument, state.bars
        if instrument is None or bars is None or now < self._due_seconds or not state.planner.is_ready:
            return
        self._due_seconds = now + _AHEAD_EVERY_SECONDS
        heard = instrument, instrument.heard_seconds, bars
        self._calls = self._calls + 1 if heard == self._read else 0
        self._read = heard
        if self._calls >= _AHEAD_CALLS:
            return
        planning = placed(Planning(1.0, 1.0, "free", 0.0, bars.timeline, bars.rate_hz), _input_end(state, instrument))
        state.planner.read_ahead(instrument, planning, _known_notes(state, instrument, Job(0, "continue", 0, 0.0)))


def make_blocks(state: PlayerState, instrument: Instrument, take: Take, drawn: DrawnVariation | None = None) -> Steps:
    """All of a take, block by block, and its files. `CutShortError` thrown into it ends the take there.

    Args:
        drawn: what was drawn of it while the take was made that it is an alternative to.
    """
    take.job = as_the_preset_plans(take.job, instrument)
    if take.job.planning and take.job.is_planned:
        take.held = True
        if not take.job.planning.by_preset:
            yield from _wait_for_planner(state)
        if take.job.span and not take.job.again and instrument.follows_notes:
            yield from instrument.listen_again()  # what its plan is to fit between
        take.held = False
    began, sounded = time.monotonic(), False
    follower = state.played.follow() if take.job.is_live else None
    known: Sequence[Note] | None = None
    if take.job.is_planned:
        if isinstance(take, Successor) and take.planned_before:
            known = _known_of_old(instrument, take)
        else:
            known = _known_notes(state, instrument, take.job)
    plan = drawn.plan if drawn else _plan(state, instrument, take, known)
    job = take.job
    if take.output_hz and (plan or job.plays_plan):
        take.planned = NotesInSound(job, take.output_hz)
        take.planned.know(notes_of(job.notes or ()))
    request = request_of(job, state.request_type, follower or plan)
    others = drawn_with(state.planner, instrument, job, planned=plan is not None, known=known)
    if others:
        request = with_alternatives(request, ((each.seed, each.plan, each.drawn) for each in others))
    prompt = prompt_of(instrument, request, job)
    if plan and known is not None:
        from melnet_music.notes.ear.heard_notes import note_rows

        prompt["notes"] = note_rows(known)
    if job.kind == "continue":
        lead = round(job.lead_seconds * instrument.sample_rate_hz)
        take.prompt_audio = prompt["audio"][: len(prompt["audio"]) - lead]
    # a repainted part, and one that skips or follows, has no first sound before much of it is made; and before that of
    # one that is drawn with others their notes are planned too
    is_variation = job.variation_of is not None  # made at leisure, which says nothing of the pace
    tells_first_sound = not (job.kind == "inpaint" or job.skip_seconds or follower or is_variation or others)
    keys = KeysMeanwhile(plan) if plan and not is_variation and job.kind != "inpaint" and take.output_hz else None
    take.answers = keys is not None
    cut_short, bars = False, state.bars
    with closing(blocks_of(instrument, request, job)) as blocks:
        for block in blocks:
            if not np.isfinite(block).all():
                raise RequestError("failed", "the engine made samples that are not finite")
            take.add(block, time.monotonic() - state.round_began)
            if plan and take.planned:
                take.planned.know(plan.given)
            if not sounded and take.generated_seconds > job.lead_seconds:
                sounded = True
                if tells_first_sound:
                    state.pace = replace(state.pace, first_sound_seconds=time.monotonic() - began)
            try:
                yield
            except CutShortError:
                cut_short = True
                break
            if plan and not is_variation and state.bars is not bars:
                bars = state.bars
                _follow_bars(state, take, plan, others)
            if keys:
                _tell_keys(state, take, keys)
    if cut_short:
        _lose_variations(state, take)
    if cut_short and not take.generated_seconds:
        return
    take.finish_generation()
    if follower or plan:
        take.job = replace(take.job, notes=follower.given if follower else given_notes(plan.given if plan else ()))
    if not is_variation:
        state.pace = replace(state.pace, rate=take.estimate.rate)
    takes = drawn.takes if drawn else 1 + len(others)
    _keep(state, instrument, take, prompt, others, takes, cut_short=cut_short)


def _wait_for_planner(state: PlayerState) -> Steps:
    state.planner.prepare()
    while state.planner.prepares:
        time.sleep(_PREPARING_STEP_SECONDS)
        yield


def _known_notes(state: PlayerState, instrument: Instrument, job: Job) -> Sequence[Note] | None:
    """What was heard, where notes are known better than by ear, in the instrument's seconds; None: they are not."""
    if job.again or not state.tape.rate_hz:
        return None
    tape, rate_hz, now_s = state.tape, state.tape.rate_hz, instrument.heard_seconds
    if job.span:
        first = job.span[0] - round(job.start_seconds * rate_hz)
        taped, told = tape.notes_in(first, first + round(now_s * rate_hz)), instrument.heard_notes()
        sides = [(0.0, job.start_seconds), (job.stop_seconds, now_s)]
        return [note for begin_s, end_s in sides for note in _believed(taped, told, begin_s, end_s)]
    if job.kind != "continue":
        return None
    played: list[Note] = []
    if job.phrase:
        played = [_later(note, now_s - job.phrase.seconds) for note in notes_of(job.phrase.notes)]
    elif state.live_input.listening and tape.input_begin is not None:
        listened_s = state.live_input.heard_samples / instrument.sample_rate_hz
        stop = tape.input_begin + round(listened_s * rate_hz)
        length_s = min(_KNOWN_SECONDS, listened_s)
        first = stop - round(length_s * rate_hz)
        played = [_later(note, now_s - length_s) for note in tape.played_in(first, stop)]
    return played if len(played) >= FEWEST_NOTES else None


def _known_of_old(instrument: Instrument, successor: Successor) -> Sequence[Note] | None:
    """What a take was planned that another preset takes over, after what the ear told before it; None: too little."""
    now_s = instrument.heard_seconds
    begin_s = now_s + successor.old_begins_at
    planned = [_later(note, begin_s) for note in successor.planned_before]
    known = [note for note in instrument.heard_notes() if note.onset_s < begin_s]
    known += [replace(note, end_s=min(note.end_s, now_s)) for note in planned if note.onset_s < now_s]
    return known if len(known) >= FEWEST_NOTES else None


def _believed(taped: Sequence[Note], told: Sequence[Note], begin_s: float, end_s: float) -> list[Note]:
    """The notes of the tape that begin in a stretch; where it has none to speak of, those that the ear told."""
    known, heard = ([note for note in notes if begin_s <= note.onset_s < end_s] for notes in (taped, told))
    return known if len(known) >= FEWEST_NOTES else heard


def _later(note: Note, by_s: float) -> Note:
    return replace(note, onset_s=note.onset_s + by_s, end_s=note.end_s + by_s)


def _plan(state: PlayerState, instrument: Instrument, take: Take, known: Sequence[Note] | None) -> PlannedNotes | None:
    """The plan of a take's notes, whose place its job keeps; None: there is none, and why it cannot be is told once.

    Args:
        known: see `TakePlanner.plan`.

    Raises:
        RequestError: it was to be planned anew, and cannot be.
    """
    job, planning = take.job, take.job.planning
    if planning is None or not job.is_planned:
        return None
    if not (job.again or job.span or planning.in_own_bars) and state.bars and state.bars.rate_hz == planning.rate_hz:
        planning = replace(planning, timeline=state.bars.timeline)
    if planning.begins_at is None:
        planning = placed(planning, _join_seconds(state, instrument, take, planning.rate_hz))
    job = replace(job, planning=planning)
    try:
        plan = state.planner.plan(instrument, job, known)
    except ValueError as error:
        if job.again:
            raise RequestError("refused", f"its notes cannot be planned anew: {error}") from error
        if state.planner.is_news(str(error), by_preset=planning.by_preset):
            more = "; the preset plans by itself, and this is said once" if planning.by_preset else ""
            state.tell(Warn(job.number, f"its notes are not planned: {error}{more}"))
        if planning.by_preset:
            take.job = replace(take.job, planning=None)
        return None
    take.job = job
    return plan


def _tell_keys(state: PlayerState, take: Take, keys: KeysMeanwhile) -> None:
    """Have a take that sounds go on from what is played on keys meanwhile too."""
    origin = take.origin_sample(state.output)
    if origin is None or not take.output_hz:
        return
    rate_hz, now = take.output_hz, time.monotonic()
    begin = origin + round((take.job.lead_seconds - take.job.skip_seconds) * rate_hz)

    def played_in(begin_s: float, end_s: float) -> list[Note]:
        first, stop = (begin + round(each * rate_hz) for each in (begin_s, end_s))
        ended = [_later(note, begin_s) for note in state.tape.played_in(first, stop)]
        held = [
            replace(note, onset_s=(state.heard_sample_at(note.onset_s) - begin) / rate_hz, end_s=now_s)
            for note in state.played.sounding(now)
        ]
        return [*ended, *(note for note in held if begin_s <= note.onset_s < end_s)]

    now_s = (state.heard_sample_at(now) - begin) / rate_hz
    keys.tell(now_s, played_in)


def _follow_bars(state: PlayerState, take: Take, plan: PlannedNotes, others: Sequence[DrawnVariation]) -> None:
    """Have a take's plan go over to the transport's bars as they are now; its job keeps those that it followed.

    Args:
        others: are drawn with it, and go over with it.
    """
    planning, bars = take.job.planning, state.bars
    if planning is None or planning.begins_at is None or bars is None or take.job.span:
        return
    if take.job.again:
        planning = replace(planning, in_own_bars=True)  # its bars are those of the first attempt
    if not planning.in_own_bars:
        if bars.rate_hz != planning.rate_hz:
            return  # another sound device, whose time is another
        if take.line and take.job.kind != "inpaint":
            planning = replace(planning, begins_at=_on_line(take.job, take.line, planning.rate_hz))
    go_over(plan, planning, bars.timeline)
    take.job = replace(take.job, planning=followed(planning, plan.grid))
    for each in others:
        if each.plan:
            go_over(each.plan, planning, bars.timeline)
            each.planning = followed(planning, each.plan.grid)


def _on_line(job: Job, line: Line, rate_hz: int) -> float:
    return line.first_sample / rate_hz + job.lead_seconds - job.skip_seconds


def _join_seconds(state: PlayerState, instrument: Instrument, take: Take, rate_hz: int) -> float | None:
    """Device time in seconds of the beginning of a take's new sound, or of the part it repaints; None: not known."""
    job = take.job
    if isinstance(take, Successor):
        return state.output.device_time(take.origin_count) / rate_hz + job.lead_seconds
    if job.span:
        return job.span[0] / rate_hz
    if take.line and job.kind != "inpaint":
        return _on_line(job, take.line, rate_hz)
    begin = state.tape.input_begin
    if job.kind == "generate" or not state.live_input.listening or begin is None:
        return None
    # it is in time with what it continues or repaints
    return _input_end(state, instrument) if job.kind == "continue" else begin / rate_hz + job.start_seconds


def _input_end(state: PlayerState, instrument: Instrument) -> float | None:
    """Device time in seconds up to which the input was heard; None: it is not listened to."""
    begin = state.tape.input_begin
    if not state.live_input.listening or begin is None:
        return None
    return begin / state.tape.rate_hz + state.live_input.heard_samples / instrument.sample_rate_hz


def _keep(
    state: PlayerState,
    instrument: Instrument,
    take: Take,
    prompt: Prompt,
    others: Sequence[DrawnVariation],
    takes: int,
    *,
    cut_short: bool,
) -> None:
    """Save a take; keep a whole one for another attempt, and put it on the tape if it repaints a part of it.

    Args:
        others: were drawn with it.
        takes: how many were drawn together.
    """
    job = take.job
    origin = Origin(
        instrument.preset_name,
        instrument.preset_digest,
        instrument.engine_name,
        instrument.sample_rate_hz,
        instrument.fourier,
        takes,
    )
    try:
        folder = state.settings.takes_folder
        take.file = str(save_take(folder, take.audio, job, origin, prompt, cut_short=cut_short))
    except ValueError as error:
        if job.variation_of is not None:
            raise RequestError("bad_file", str(error)) from error
        _LOG.warning("%s", error)
        state.tell(Warn(job.number, str(error)))
    if cut_short or job.variation_of is not None:
        return
    kept = state.tape_commands.keep(job, origin, prompt, take.audio, take.file)
    state.variations.put(job.variations, kept, others)
    take.job = replace(job, variations=())
    if job.span:
        _play_repainted(state, take)


def _lose_variations(state: PlayerState, take: Take) -> None:
    """Tell that a take's alternatives will not be made, since it is not made to its end itself."""
    for each in take.job.variations:
        state.tell(VariationLost(each.number, "refused", f"take {take.job.number} ended before it was made whole"))
    take.job = replace(take.job, variations=())


def _play_repainted(state: PlayerState, take: Take) -> None:
    """Have the loop play a take on the tape from its next pass on."""
    line = take.job.line
    state.tell(state.tape_commands.edited)
    heard_at = state.tape.refresh_loop(state.now_sample())
    take.heard_at = heard_at if state.clock() else None
    if take.heard_at is not None and line and take.heard_at > line.first_sample:
        state.tell(Moved(take.job.number, take.heard_at))
