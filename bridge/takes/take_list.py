"""The takes of a session in the stage: to be listed, put on the tape again, made again or exported."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from bridge.clock.transport import Timeline
from bridge.processes.job import Job
from bridge.processes.messages import PlacedTake
from bridge.takes.notes_file import write_notes, written_notes
from bridge.takes.take_files import read_take

_REMEMBERED = 256


@dataclass(frozen=True)
class ListedTake:
    """A finished take, or an alternative to one, which may be still to be made."""

    number: int
    job: Job
    """As it was requested."""
    seconds: float
    file: str
    """Its WAV file; empty: it could not be written."""
    variation_of: int | None = None
    """The take that it is an alternative to."""
    ready: bool = True
    """Whether it is made."""

    @property
    def plays(self) -> int | None:
        """The take whose sound it was, played once more."""
        return self.job.again.take if self.job.again and self.job.plays else None

    @property
    def placed(self) -> PlacedTake | None:
        """Its place on the tape; None: it is not there."""
        return PlacedTake(self.number, self.file, self.job.span) if self.job.span else None


class TakeList:
    """The last 256 takes, by number. Belongs to the daemon's one thread."""

    def __init__(self) -> None:
        self._takes: dict[int, ListedTake] = {}

    def add(self, take: ListedTake) -> None:
        """Add a take, or one that has changed; the oldest is dropped."""
        self._takes.pop(take.number, None)
        self._takes[take.number] = take
        while len(self._takes) > _REMEMBERED:
            del self._takes[next(iter(self._takes))]

    def remove(self, number: int) -> None:
        """Drop a take that will not be made."""
        self._takes.pop(number, None)

    def alternatives(self, take: ListedTake) -> tuple[int, ...]:
        """The take that it is an alternative to, or else itself, with all that are alternatives to that one."""
        first = take.number if take.variation_of is None else take.variation_of
        return (first, *(each.number for each in self._takes.values() if each.variation_of == first))

    def forget_tape(self) -> None:
        """The tape was cleared: no take is on it, nor can be put there again."""
        self._takes = {number: replace(take, job=replace(take.job, span=None)) for number, take in self._takes.items()}

    def last(self, count: int) -> list[ListedTake]:
        """The latest, oldest first."""
        return list(self._takes.values())[-count:]

    def get(self, number: int) -> ListedTake | None:
        """The take of that number, if there is one."""
        return self._takes.get(number)

    def find(self, number: int | None) -> ListedTake:
        """The take of that number; None: the last one that is no alternative to another.

        Raises:
            ValueError: there is none.
        """
        last_one = next((take for take in reversed(self._takes.values()) if take.variation_of is None), None)
        if number is None:
            if last_one is None:
                raise ValueError("there is no take yet")
            return last_one
        if number not in self._takes:
            last = f"; the last one is {last_one.number}" if last_one else "; there is none yet"
            raise ValueError(f"no take {number} in this session{last}")
        return self._takes[number]


def export_take(take: ListedTake, target: Path, timeline: Timeline) -> None:
    """Copy a take's WAV, the JSON that makes it again and the prompt that this needs; replaces no other file.

    The notes that it was given, if any, are written beside it as a MIDI file.

    Args:
        timeline: of the MIDI file of a take that was not planned, see `write_notes`.

    Raises:
        ValueError: it was never written, the target exists or cannot be written.
    """
    if not take.file:
        raise ValueError(f"take {take.number} could not be written when it was made, and is gone")
    if target.suffix.lower() != ".wav":
        raise ValueError(f"a take is exported as a WAV file, got {target.name!r}: end its name in .wav")
    source = Path(take.file)
    copies = {source: target, source.with_suffix(".json"): target.with_suffix(".json")}
    saved = read_take(source.with_suffix(".json"))
    if saved.prompt:
        copies[source.parent / saved.prompt] = target.parent / saved.prompt
    notes, midi = written_notes(saved.job), target.with_suffix(".mid")
    for copy in (target, target.with_suffix(".json"), *([midi] if notes else [])):
        if copy.exists():
            raise ValueError(f"{copy} exists already: give another name")
    try:
        for original, copy in copies.items():
            if copy.exists():  # a prompt, which is named by what it holds
                continue
            draft = copy.with_name(f"{copy.name}.part")
            try:
                shutil.copyfile(original, draft)
                draft.replace(copy)
            finally:
                draft.unlink(missing_ok=True)
    except OSError as error:
        raise ValueError(f"cannot export to {target}: {error}") from error
    if notes:
        write_notes(midi, saved.job, timeline)
