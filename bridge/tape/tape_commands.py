"""Commands on the tape: the loop, undo and redo, export, repainting a part in its place, another attempt at a take."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bridge.audio.shared_samples import Samples
from bridge.processes.job import Again, Job
from bridge.processes.messages import (
    Edited,
    ExportTape,
    PlacedTake,
    Recall,
    RequestError,
    RestoreTape,
    StartLoop,
    StopLoop,
    Undo,
)
from bridge.takes.take_files import Origin, read_prompt, read_take
from bridge.takes.take_request import notes_of
from bridge.tape.edit_history import Edit
from bridge.tape.session_tape import SessionTape, edit_of
from bridge.tape.tape_export import export_bars
from melnet_music.sound.audio_file import read_audio
from melnet_music.sound.resample import resample

if TYPE_CHECKING:
    from melnet_music.instrument.instrument import Instrument
    from melnet_music.instrument.prompt_state import Prompt

_LOG = logging.getLogger(__name__)

_KEPT_TAKES = 16
_BEFORE_SECONDS, _AFTER_SECONDS = 30.0, 6.0
"""How much of the tape is heard on both sides of a repainted part: more than a model's context and lookahead."""
_MARGIN_SECONDS = 0.05
"""A take that repaints a part of the tape includes so much of the tape on both sides, for its crossfades."""

TapeRequest = StartLoop | StopLoop | Undo | Recall


@dataclass(frozen=True, eq=False)
class KeptTake:
    """What another attempt at a take needs."""

    job: Job
    """As it was made."""
    origin: Origin
    prompt: Prompt
    edit: Edit | None
    """Of a take on the tape."""


class TapeCommands:
    """Belongs to the player's one thread."""

    def __init__(self, tape: SessionTape) -> None:
        self._tape = tape
        self._kept: dict[int, KeptTake] = {}
        """The last takes, by number."""

    # --- changes ----------------------------------------------------------------------------------------

    def change(self, request: TapeRequest, now_sample: float) -> int | None:
        """Change loop or edits; returns the device time from which that is heard, None if it is not.

        Raises:
            ValueError: there is nothing to stop, undo or redo, the take's files are gone, or the loop is too long.
        """
        match request:
            case StartLoop():
                self._tape.start_loop(*request.span, request.at)
                return request.at
            case StopLoop():
                if self._tape.loop is None:
                    raise RequestError("refused", "there is no loop to stop")
                self._tape.stop_loop(request.at)
                return request.at
            case Undo():
                if not (self._tape.redo() if request.redo else self._tape.undo()):
                    raise RequestError("refused", f"there is nothing to {'redo' if request.redo else 'undo'}")
            case Recall():
                topmost = self._tape.history.topmost(*request.take.span)
                self._tape.add(self._edit_of(request.take), topmost if topmost in request.alternatives else None)
        return self._tape.refresh_loop(now_sample)

    @property
    def edited(self) -> Edited:
        """The edit history, to be reported."""
        history = self._tape.history
        return Edited(tuple(tuple(edit.take for edit in version) for version in history.versions), history.place)

    def restore(self, request: RestoreTape) -> None:
        """Take over edit history and loop of a player that died; the sound of its tape is still there."""
        edits: dict[int, Edit] = {}
        for take in request.takes:
            try:
                edits[take.take] = self._edit_of(take)
            except ValueError as error:
                _LOG.warning("take %d is not on the tape any more: %s", take.take, error)
        versions = [tuple(edits[take] for take in version if take in edits) for version in request.edited.versions]
        self._tape.history.restore(versions, request.edited.place)
        if request.loop:
            self._tape.start_loop(*request.loop.span, request.loop.at)

    def _edit_of(self, take: PlacedTake) -> Edit:
        kept = self._kept.get(take.take)
        if kept and kept.edit:
            return kept.edit
        path = _file_of(take.take, take.file)
        job, clip = read_take(path.with_suffix(".json")).job, read_audio(path)
        rate_hz, sound, notes = self._tape.rate_hz, clip.samples[:, 0], notes_of(job.notes or ())
        return edit_of(take.take, sound, clip.sample_rate_hz, job.lead_seconds, take.span, rate_hz, take.file, notes)

    def export(self, request: ExportTape, instrument: Instrument) -> Iterator[None]:
        """Write bars to files as they are now, step by step.

        Raises:
            RequestError: the tape holds them no longer, or they cannot be written.
        """
        first, stop = request.span
        if not self._tape.holds(first, stop):
            raise RequestError("refused", "these bars are on the tape no more")
        audio, rate_hz = self._tape.audio(first, stop), self._tape.rate_hz
        takes, notes = self._tape.takes_in(first, stop), self._tape.notes_in(first, stop)
        yield
        yield from export_bars(request, audio, rate_hz, takes, notes, instrument)

    # --- takes ------------------------------------------------------------------------------------------

    def instrument_for(self, instrument: Instrument, job: Job) -> tuple[Instrument, Job]:
        """The instrument that makes a job's take, and the job with its times as that instrument counts them.

        It is ``instrument`` itself, or one that shares its weights and has heard something else: the tape around the
        part to be repainted, or the prompt of the earlier take.

        Raises:
            ValueError: the prompt of the earlier take is gone, or was heard by another preset.
        """
        if job.again:
            return self._as_it_was(instrument, job, job.again)
        if job.span:
            return self._on_the_tape(instrument, job, *job.span)
        return instrument, job

    def _as_it_was(self, instrument: Instrument, job: Job, again: Again) -> tuple[Instrument, Job]:
        kept = self._kept.get(again.take)
        if kept is None:
            path = _file_of(again.take, again.file).with_suffix(".json")
            saved = read_take(path)
            kept = KeptTake(saved.job, saved.origin, read_prompt(path, saved.prompt) if saved.prompt else {}, None)
        return self.beside(instrument, kept, job, again)

    def beside(self, instrument: Instrument, kept: KeptTake, job: Job, again: Again) -> tuple[Instrument, Job]:
        """What `instrument_for` returns for another attempt at a take that is kept.

        Raises:
            RequestError: it was made with another preset, or its notes were not planned and are to be planned anew.
        """
        if kept.origin.preset_digest != instrument.preset_digest:
            raise RequestError(
                "refused",
                f"take {again.take} was made with preset {kept.origin.preset!r} (digest {kept.origin.preset_digest}), "
                f"and {instrument.preset_name!r} plays now: load the former to make it again",
            )
        _check_renewal(kept.job, again)
        beside = instrument.beside(np.zeros(0, np.float32))
        if kept.prompt:
            beside.remember(kept.prompt)
        return beside, _made_again(kept.job, job)

    def as_made(self, job: Job) -> Job:
        """A job that makes a take again, with that take's settings; unchanged if these are only on disk.

        Raises:
            RequestError: its notes were not planned, and are to be planned anew.
        """
        kept = self._kept.get(job.again.take) if job.again else None
        if job.again is None or kept is None or job.plays:
            return job
        _check_renewal(kept.job, job.again)
        return _made_again(kept.job, job)

    def _on_the_tape(self, instrument: Instrument, job: Job, first: int, stop: int) -> tuple[Instrument, Job]:
        (oldest, newest), rate = self._tape.span, self._tape.rate_hz
        step = rate // math.gcd(rate, instrument.sample_rate_hz)  # whole steps lie on samples of both rates
        before = min(first - oldest, round(_BEFORE_SECONDS * rate)) // step * step
        after = min(newest - stop, round(_AFTER_SECONDS * rate))
        margin = math.ceil(_MARGIN_SECONDS * rate / step) * step
        audio = self._tape.audio(first - before, stop + after)
        return instrument.beside(resample(audio, rate, instrument.sample_rate_hz)), replace(
            job,
            start_seconds=before / rate,
            stop_seconds=(before + stop - first) / rate,
            lead_seconds=min(margin, before) / rate,
            tail_seconds=min(margin, after) / rate,
        )

    def keep(self, job: Job, origin: Origin, prompt: Prompt, audio: Samples, file: str) -> KeptTake:
        """Keep what another attempt at a take needs; put it on the tape if it repaints a part of it.

        Args:
            job: as `instrument_for` returned it.
            audio: the take, at its origin's rate.
            file: where it is written.
        """
        edit = None
        if job.span:
            rate_hz, notes = origin.sample_rate_hz, notes_of(job.notes or ())
            edit = edit_of(job.number, audio, rate_hz, job.lead_seconds, job.span, self._tape.rate_hz, file, notes)
            self._tape.add(edit, job.again.take if job.again else None)
        kept = self._kept[job.number] = KeptTake(replace(job, variations=()), origin, prompt, edit)
        while len(self._kept) > _KEPT_TAKES:
            del self._kept[next(iter(self._kept))]
        return kept


def _file_of(take: int, file: str) -> Path:
    if not file:
        raise RequestError("bad_file", f"take {take} could not be written when it was made, and is gone")
    return Path(file)


def _check_renewal(made: Job, again: Again) -> None:
    if again.renew == "notes" and not made.was_planned:
        raise RequestError(
            "refused", f"the notes of take {again.take} were not planned: reroll its sound, or make a take with plan on"
        )


def _made_again(made: Job, job: Job) -> Job:
    if job.again and job.again.renew == "notes" and made.planning and job.planning:
        was = made.planning
        wanted = replace(job.planning, timeline=was.timeline, rate_hz=was.rate_hz, in_own_bars=was.in_own_bars)
        made = replace(made, notes=None, planning=replace(wanted, begins_at=was.begins_at))
    elif not made.was_planned:
        made = replace(made, planning=None)  # it could not be planned, and stays as it was made
    return replace(
        made,
        number=job.number,
        seed=job.seed,
        line=job.line,
        late=job.late,
        span=job.span,
        again=job.again,
        phrase=None,  # it is in the prompt
        ends_phrase=False,
        variation_of=job.variation_of,
    )
