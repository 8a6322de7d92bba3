"""The edits of the tape, with undo and redo.

An edit is a take that replaces part of the tape's sound; later edits cover earlier ones. A take is crossfaded with what
was there in its first and last milliseconds; outside of it nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bridge.audio.shared_samples import Samples
from bridge.tape.note_tape import TapedNote

FADE_SECONDS = 0.006
"""Of the crossfade at both ends of an edit: short, since the take's phase follows what comes before it."""

_KEPT_VERSIONS = 129
"""So that 128 changes can be undone."""


@dataclass(frozen=True, eq=False)
class Edit:
    """A take at its place on the tape."""

    take: int
    """Its number in this session."""
    first: int
    """Device time of its first sample."""
    samples: Samples
    """At the device's rate."""
    file: str = ""
    """The take's WAV file; empty: it could not be written."""
    notes: tuple[TapedNote, ...] = ()
    """That the take was given."""

    @property
    def stop(self) -> int:
        return self.first + len(self.samples)


def edited(tape: Samples, first: int, edits: Iterable[Edit], rate_hz: int) -> Samples:
    """The tape with its edits: float32[N].

    Args:
        tape: float32[N], its own sound from device time ``first`` on.
        edits: oldest first.
        rate_hz: the device's.
    """
    out = tape.copy()
    for edit in edits:
        begin, end = max(first, edit.first), min(first + len(out), edit.stop)
        if begin >= end:
            continue
        there = out[begin - first : end - first]
        weights = _weights(len(edit.samples), rate_hz)[begin - edit.first : end - edit.first]
        new = edit.samples[begin - edit.first : end - edit.first]
        there[:] = np.where(weights == 1.0, new, there + weights * (new - there))
    return out


def _weights(length: int, rate_hz: int) -> Samples:
    fade = min(round(FADE_SECONDS * rate_hz), length // 2)
    rise = np.arange(1, fade + 1, dtype=np.float32) / np.float32(fade + 1)
    return np.concatenate([rise, np.ones(length - 2 * fade, np.float32), rise[::-1]])


class EditHistory:
    """The edits in force, and the versions that undo and redo go to. Belongs to one thread."""

    def __init__(self) -> None:
        self._versions: list[tuple[Edit, ...]] = [()]
        self._place = 0

    @property
    def current(self) -> tuple[Edit, ...]:
        """The edits in force, the top one last."""
        return self._versions[self._place]

    @property
    def versions(self) -> tuple[tuple[Edit, ...], ...]:
        """All of them, from the oldest that can be undone to the last that can be redone."""
        return tuple(self._versions)

    @property
    def place(self) -> int:
        """Which of the versions is in force."""
        return self._place

    def restore(self, versions: Sequence[tuple[Edit, ...]], place: int) -> None:
        """Take over the versions of another history."""
        self._versions, self._place = list(versions), place

    def add(self, edit: Edit) -> None:
        """Put a take on top of the others; what was undone cannot be redone any more."""
        self._change((*self.current, edit))

    def replace(self, take: int, edit: Edit) -> None:
        """Put a take where another one is; what was undone cannot be redone any more."""
        self._change(tuple(edit if each.take == take else each for each in self.current))

    def topmost(self, first: int, stop: int) -> int | None:
        """The take of the last edit in force that reaches into a part of the tape; None: there is none."""
        return next((e.take for e in reversed(self.current) if e.first < stop and e.stop > first), None)

    def _change(self, version: tuple[Edit, ...]) -> None:
        self._versions = [*self._versions[: self._place + 1], version][-_KEPT_VERSIONS:]
        self._place = len(self._versions) - 1

    def undo(self) -> bool:
        """Back to the version before; False: there is none."""
        if self._place == 0:
            return False
        self._place -= 1
        return True

    def redo(self) -> bool:
        """On to the version that was undone; False: there is none."""
        if self._place + 1 == len(self._versions):
            return False
        self._place += 1
        return True

    def forget(self, before: int) -> None:
        """Drop edits that end before a device time: the tape holds nothing earlier."""
        self._versions = [tuple(edit for edit in version if edit.stop > before) for version in self._versions]

    def clear(self) -> None:
        """Remove all edits, and all that can be undone or redone."""
        self._versions, self._place = [()], 0
