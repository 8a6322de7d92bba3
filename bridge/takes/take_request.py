"""What the instrument is asked for to make a job's take: by the player, and by ``render`` when it makes it again."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bridge.audio.shared_samples import Samples
from bridge.processes.job import GivenNote, Job
from melnet_music.notes.note_map import Note

if TYPE_CHECKING:
    from melnet_music.instrument.instrument import Instrument
    from melnet_music.instrument.prompt_state import Prompt
    from melnet_music.instrument.take_request import LiveNotes, TakeRequest
    from melnet_music.sampling.batch import DrawnTake

ENTRY_FADE_SECONDS = 0.005
"""Of a continuation that begins on a line some time after what it continues."""


def request_of(job: Job, request_type: type[TakeRequest], live: LiveNotes | None = None) -> TakeRequest:
    """The request for a job's take.

    Args:
        request_type: ``TakeRequest`` of the instrument's module, which only the caller imports: it imports numba.
        live: the notes of a job that follows what is played, or whose notes are planned.
    """
    return request_type(
        seconds=job.skip_seconds + job.seconds,
        seed=job.seed,
        temperature=job.temperature,
        bias=job.bias,
        lead_seconds=job.lead_seconds,
        tail_seconds=job.tail_seconds,
        chunk_frames=job.chunk_frames,
        notes=live or (None if job.notes is None else notes_of(job.notes)),
        rests=job.follow != "free",
        at_leisure=job.variation_of is not None,
    )


def with_alternatives(request: TakeRequest, others: Iterable[tuple[int, LiveNotes | None, DrawnTake]]) -> TakeRequest:
    """The request for a take, and for others that are drawn with it.

    Args:
        others: seed, plan of the notes (None: they are the take's), and what gets the frames.
    """
    from melnet_music.instrument.take_request import Alternative

    made = (Alternative(seed, request.notes if plan is None else plan, drawn) for seed, plan, drawn in others)
    return replace(request, alternatives=tuple(made))


def notes_of(given: Iterable[GivenNote]) -> tuple[Note, ...]:
    """Notes as the instrument takes them."""
    return tuple(Note(onset_s, end_s, key, velocity) for onset_s, end_s, key, velocity in given)


def given_notes(notes: Iterable[Note]) -> tuple[GivenNote, ...]:
    """The inverse of `notes_of`."""
    return tuple((note.onset_s, note.end_s, note.pitch, note.velocity) for note in notes)


def notes_in_sound(job: Job) -> tuple[Note, ...]:
    """The notes that a take was given, in seconds from where its sound begins; those that end before are left out."""
    begin_s = job.lead_seconds - job.skip_seconds
    shifted = (
        Note(max(0.0, begin_s + onset_s), begin_s + end_s, key, velocity)
        for onset_s, end_s, key, velocity in job.notes or ()
    )
    return tuple(note for note in shifted if note.end_s > 0)


def prompt_of(instrument: Instrument, request: TakeRequest, job: Job) -> Prompt:
    """What the job's take depends on besides its request: the audio that it continues or repaints; nothing to generate.

    Raises:
        ValueError: the part to be repainted is not on the tape.
    """
    match job.kind:
        case "continue":
            return instrument.prompt(request)
        case "inpaint":
            return instrument.prompt(request, (job.start_seconds, job.stop_seconds))
        case "generate":
            return {}


def blocks_of(instrument: Instrument, request: TakeRequest, job: Job) -> Generator[Samples, None, None]:
    """The job's audio, block by block; closing it stops the engine.

    Raises:
        ValueError: the instrument cannot do this.
    """
    match job.kind:
        case "continue":
            skipped = round(job.skip_seconds * instrument.sample_rate_hz)
            blocks = instrument.continuation(request)
            yield from _entering(blocks, skipped, instrument.sample_rate_hz) if skipped else blocks
        case "generate":
            yield from instrument.generation(request)
        case "inpaint":
            yield from instrument.inpainting(request, job.start_seconds, job.stop_seconds)


def _entering(blocks: Iterator[Samples], skipped: int, sample_rate_hz: int) -> Iterator[Samples]:
    """A take from its sample ``skipped`` on, faded in."""
    fade = round(ENTRY_FADE_SECONDS * sample_rate_hz)
    rise = np.arange(1, fade + 1, dtype=np.float32) / np.float32(fade + 1)
    place = -skipped
    for block in blocks:
        first, place = place, place + len(block)
        if place <= 0:
            continue
        entered = np.array(block[max(0, -first) :])
        begin = max(0, first)
        faded = min(len(entered), max(0, fade - begin))
        entered[:faded] *= rise[begin : begin + faded]
        yield entered
