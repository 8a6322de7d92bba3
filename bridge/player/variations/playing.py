"""Playing the sound of a take that is there once more, from its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bridge.player.state import CutShortError, PlayerState, Steps
from bridge.processes.job import Job
from bridge.processes.messages import RequestError
from bridge.takes.notes_in_sound import NotesInSound
from bridge.takes.take import Take
from bridge.takes.take_files import read_take
from bridge.takes.take_request import notes_of
from melnet_music.sound.audio_file import read_audio

_AT_ONCE_SECONDS = 10.0
_READ_RATE = 100.0
"""Seconds of a file that are surely read in a second."""


def play_again(state: PlayerState, job: Job) -> Steps:
    """Read a take's file, and have it sound as a take does that was just made.

    Raises:
        RequestError: its files are gone.
    """
    assert job.again is not None
    path = Path(job.again.file)
    try:
        made, clip = read_take(path.with_suffix(".json")).job, read_audio(path)
    except ValueError as error:
        raise RequestError("bad_file", str(error)) from error
    rate_hz, sound = clip.sample_rate_hz, clip.samples[:, 0]
    take = Take(
        replace(made, number=job.number, line=job.line, late=job.late, again=job.again),
        accepted_at=state.accepted_at.pop(job.number),
        sample_rate_hz=rate_hz,
        output_hz=state.sound.output_hz,
        rate=_READ_RATE,
        block_seconds=0.0,
    )
    take.expected_seconds, take.file = len(sound) / rate_hz, job.again.file
    if take.output_hz and take.job.plays_plan:
        take.planned = NotesInSound(take.job, take.output_hz)
        take.planned.know(notes_of(take.job.notes or ()))
    state.takes.append(take)
    at_once = round(_AT_ONCE_SECONDS * rate_hz)
    for first in range(0, len(sound), at_once):
        take.add(sound[first : first + at_once], _AT_ONCE_SECONDS / _READ_RATE)
        try:
            yield
        except CutShortError:  # another preset goes on from it, or the daemon stops
            break
    take.finish_generation()
