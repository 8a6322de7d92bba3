"""What a take is asked for, and the checks of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from melnet_music.model.preset import Preset
from melnet_music.notes.note_map import Note
from melnet_music.sampling.batch import DrawnTake

LONGEST_TAKE_SECONDS = 600.0


class LiveNotes(Protocol):
    """Notes that come while a take is made."""

    @property
    def known_ahead(self) -> bool:
        """Whether they are the same however early they are asked for; else a chunk is drawn as late as it can be."""

    def until_now(self, start_s: float, frames: int, frame_s: float) -> Sequence[Note]:
        """The notes that sound in a chunk. Called once for every chunk, in order, before it is drawn.

        Later calls must return the same notes for the time of this chunk.

        Args:
            start_s: where the chunk's first frame lies, in seconds from where the new sound begins.
            frames: number of frames in the chunk.
            frame_s: seconds from one frame to the next.
        """


@dataclass(frozen=True, eq=False)
class Alternative:
    """Another take from the same place, whose frames are drawn beside those of the one that is asked for."""

    seed: int
    notes: tuple[Note, ...] | LiveNotes | None
    """As `TakeRequest.notes`."""
    drawn: DrawnTake
    """Gets the frames."""


@dataclass(frozen=True)
class TakeRequest:
    """What to make. None stands for the preset's own value."""

    seconds: float
    """New audio of a continuation or generation; ignored by an inpainting."""
    seed: int
    temperature: float | None = None
    """More than 0, at most 2."""
    bias: float | None = None
    """0 to 10."""
    lead_seconds: float = 0.0
    """Heard audio before the new sound that the take begins with."""
    tail_seconds: float = 0.0
    """Heard audio after the new sound that the take ends with (inpainting only)."""
    chunk_frames: int | None = None
    """Frames drawn together, a multiple of the preset's group: fewer are ready sooner, more see further ahead."""
    notes: tuple[Note, ...] | LiveNotes | None = None
    """Notes that the new sound plays, in seconds from where it begins. None: unconditioned; an empty tuple: a rest."""
    rests: bool = True
    """Whether it rests where none of these notes sounds; else it is unconditioned there."""
    at_leisure: bool = False
    """Whether it is made beside what is more urgent: in short steps, with nothing done between them. The same bits."""
    alternatives: tuple[Alternative, ...] = ()
    """Takes that are drawn with it in one call of the engine; of more than the engine draws, the first ones."""

    def alternative(self, other: Alternative) -> TakeRequest:
        """What one of them would be asked for alone."""
        return replace(self, seed=other.seed, notes=other.notes, alternatives=())


def check_request(request: TakeRequest, preset: Preset) -> None:
    """Check a request against a preset.

    Raises:
        ValueError: a value is out of range, or the preset cannot follow notes.
    """
    group, chunk = preset.config.model.frames_per_group, request.chunk_frames
    if not 0 < request.seconds <= LONGEST_TAKE_SECONDS:
        raise ValueError(f"seconds is {request.seconds:g}, want more than 0 and at most {LONGEST_TAKE_SECONDS:g}")
    if request.seed < 0:
        raise ValueError(f"seed is {request.seed}, want 0 or more")
    if chunk is not None and (chunk < group or chunk % group):
        raise ValueError(f"chunk_frames is {chunk}, want a multiple of {group} (this preset's time splits)")
    for name, seconds in (("lead_seconds", request.lead_seconds), ("tail_seconds", request.tail_seconds)):
        if not seconds >= 0:
            raise ValueError(f"{name} is {seconds:g}, want 0 or more")
    if request.temperature is not None and not 0 < request.temperature <= 2:
        raise ValueError(f"temperature is {request.temperature:g}, want more than 0 and at most 2")
    if request.bias is not None and not 0 <= request.bias <= 10:
        raise ValueError(f"bias is {request.bias:g}, want 0 to 10")
    if request.notes is not None and not preset.config.model.note_conditioning:
        raise ValueError(f"preset {preset.name!r} follows no notes: it was built without note_conditioning")
