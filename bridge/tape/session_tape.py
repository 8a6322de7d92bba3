"""The tape in the player: input, takes and notes are recorded on it, edits cover them, the loop plays from it.

All positions are device times. A loop repeats a part of the tape with its edits; when they change, it changes from its
next pass on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bridge.audio.input_latency import InputLatency
from bridge.audio.loop_player import LoopPlayer
from bridge.audio.shared_samples import Samples
from bridge.clock.device_clock import DeviceClock
from bridge.processes.job import Job
from bridge.takes.take_request import notes_in_sound
from bridge.tape.edit_history import FADE_SECONDS, Edit, EditHistory, edited
from bridge.tape.note_tape import NoteTape, TapedNote, taped
from bridge.tape.tape_export import TakeOnTape
from bridge.tape.tape_memory import TapeMemory
from melnet_music.notes.note_map import Note
from melnet_music.sound.resample import StreamResampler, resample

PASS_GUARD_SECONDS = 0.05
"""A pass that begins sooner than this keeps what it has."""


@dataclass(frozen=True)
class Loop:
    """A part of the tape that is repeated."""

    first: int
    stop: int
    origin: int
    """Device time at which a pass begins."""

    @property
    def length(self) -> int:
        return self.stop - self.first

    def pass_at_or_after(self, sample: float) -> int:
        """Where the first pass begins that is not before a device time, nor before the loop's first."""
        passes = max(0, -int((self.origin - sample) // self.length))
        return self.origin + passes * self.length


class SessionTape:
    """Belongs to the player's one thread."""

    def __init__(self, memory: TapeMemory, loop_player: LoopPlayer) -> None:
        self._memory, self._loop_player = memory, loop_player
        self.notes = NoteTape()
        self._edits = EditHistory()
        self._made: list[TakeOnTape] = []
        self._loop: Loop | None = None
        self._rate_hz = memory.rate_hz
        self._place: InputLatency | None = None
        self._resampler: StreamResampler | None = None
        self._ratio = 1.0
        self._count = self._first_count = 0
        self._unplaced: list[Samples] = []

    def use_device(self, rate_hz: int | None) -> bool:
        """Record at this device's rate from now on; a tape of another rate is cleared. None: there is no device now.

        Returns:
            Whether the tape was cleared, and the loop with it.
        """
        self._place = None
        if rate_hz is None or rate_hz == self._rate_hz:
            return False
        had_another = self._rate_hz != 0
        if had_another:
            self._loop = None
            self._made.clear()
            self._edits.clear()
            self.notes.clear()
            self._loop_player.stop(0)
        self._memory.begin(rate_hz)
        self._rate_hz = rate_hz
        return had_another

    @property
    def rate_hz(self) -> int:
        """Of all its samples; 0: there was no device yet."""
        return self._rate_hz

    # --- recording input --------------------------------------------------------------------------------

    def begin_input(self, input_hz: int, first_count: int) -> None:
        """Begin to record input.

        Args:
            first_count: the input's count of the first sample, at its own rate.
        """
        if not self._rate_hz:
            return
        self._place = InputLatency(self._rate_hz)
        self._ratio = self._rate_hz / input_hz
        self._resampler = None if input_hz == self._rate_hz else StreamResampler(input_hz, self._rate_hz)
        self._count = self._first_count = round(first_count * self._ratio)
        self._unplaced = []

    def record_input(
        self, samples: Samples, stamp: tuple[int, float], clock: DeviceClock | None, late_samples: int
    ) -> None:
        """Record float32[N] of input, in order and without gaps since `begin_input`.

        Args:
            stamp: count and monotonic seconds of a block of it.
            clock: the output's.
            late_samples: how much later input comes than the output that was heard with it: both latencies together.
        """
        if self._place is None or clock is None:
            return
        count, came_seconds = stamp
        self._place.stamp(round(count * self._ratio), clock.sample_at(came_seconds) - late_samples)
        self._unplaced.append(self._resampler.push(samples) if self._resampler else samples.copy())
        if self._place.offset is None:
            return
        placed = np.concatenate(self._unplaced)
        self._memory.write("heard", self._count + self._place.offset, placed)
        self._count += len(placed)
        self._unplaced.clear()

    @property
    def input_begin(self) -> int | None:
        """Device time of the first sample since `begin_input`; None: not known yet."""
        if self._place is None or self._place.offset is None:
            return None
        return self._first_count + self._place.offset

    @property
    def slips(self) -> int:
        """How often input and output were found to lie apart by more than jitter since `begin_input`."""
        return self._place.slips if self._place else 0

    # --- recording takes --------------------------------------------------------------------------------

    def record_take(self, at: int, samples: Samples, take: int = 0, file: str = "") -> None:
        """Record a take that sounded.

        Args:
            at: device time of its first sample.
            samples: float32[N] at the device's rate.
            take: its number; 0: this is the part of a take before another preset continued it.
        """
        if not self._rate_hz:
            return
        self._memory.write("made", at, samples)
        oldest = self._memory.span[0]
        self._made = [each for each in self._made if each.stop > oldest]
        self._made.append(TakeOnTape(take, at, at + len(samples), file, repainted=False))

    def record_take_notes(self, at: int, job: Job) -> None:
        """Record the notes that a take was given, which sounded from device time ``at`` on."""
        self.notes.add("made", taped(notes_in_sound(job), at, self._rate_hz))

    # --- reading ----------------------------------------------------------------------------------------

    def holds(self, first: int, stop: int) -> bool:
        """Whether all of this was recorded or made."""
        return self._memory.holds(first, stop)

    @property
    def span(self) -> tuple[int, int]:
        """The first device time that it holds, and the one past the last; equal if it is blank."""
        return self._memory.span

    def audio(self, first: int, stop: int) -> Samples:
        """float32[stop - first] of the tape with the edits in force."""
        return edited(self._memory.read(first, stop), first, self._edits.current, self._rate_hz)

    # --- edits ------------------------------------------------------------------------------------------

    @property
    def takes(self) -> tuple[int, ...]:
        """Numbers of the takes that are edits in force, the top one last."""
        return tuple(edit.take for edit in self._edits.current)

    def takes_in(self, first: int, stop: int) -> list[TakeOnTape]:
        """The takes that sounded there since this player started, then the edits in force there, the top one last."""
        edits = [
            TakeOnTape(each.take, each.first, each.stop, each.file, repainted=True) for each in self._edits.current
        ]
        return [take for take in (*self._made, *edits) if take.first < stop and take.stop > first]

    def notes_in(self, first: int, stop: int) -> list[Note]:
        """The notes that were played there or that takes were given there; of takes that are covered only the rest.

        In seconds from ``first``; cut off at both ends.
        """
        edits = self._edits.current
        layers = [(self.notes.between("made", first, stop), edits)]
        layers += [(list(edit.notes), edits[place:]) for place, edit in enumerate(edits, 1)]
        made = [
            note
            for notes, above in layers
            for note in notes
            if note.start < stop and note.stop > first
            if not any(edit.first <= note.start < edit.stop for edit in above)
        ]
        return [
            Note(
                (max(first, n.start) - first) / self._rate_hz,
                (min(stop, n.stop) - first) / self._rate_hz,
                n.key,
                n.velocity,
            )
            for n in sorted([*self.notes.between("played", first, stop), *made])
        ]

    def played_in(self, first: int, stop: int) -> list[Note]:
        """The notes that were played there on keys, in seconds from ``first``, and cut off at its end."""
        return [
            Note((n.start - first) / self._rate_hz, (min(stop, n.stop) - first) / self._rate_hz, n.key, n.velocity)
            for n in self.notes.between("played", first, stop)
            if n.start >= first
        ]

    @property
    def history(self) -> EditHistory:
        """The edits in force, and what can be undone and redone."""
        return self._edits

    def add(self, edit: Edit, instead_of: int | None = None) -> None:
        """Put an edit on top of the others, or where the take ``instead_of`` is."""
        self._edits.forget(self._memory.span[0])
        if instead_of is not None and instead_of in self.takes:
            self._edits.replace(instead_of, edit)
        else:
            self._edits.add(edit)

    def undo(self) -> bool:
        """Undo the last edit; False: there is none."""
        return self._edits.undo()

    def redo(self) -> bool:
        """Redo the edit that was undone last; False: there is none."""
        return self._edits.redo()

    # --- the loop ---------------------------------------------------------------------------------------

    @property
    def loop(self) -> Loop | None:
        return self._loop

    def start_loop(self, first: int, stop: int, at: int) -> None:
        """Repeat a part of the tape from device time ``at`` on.

        Raises:
            ValueError: it is too long for the loop's memory.
        """
        loop = Loop(first, stop, at)
        self._loop_player.put(self._stretch(loop), at, at)
        self._loop = loop

    def refresh_loop(self, now_sample: float) -> int | None:
        """Play the edits as they are now from the next pass on; returns its device time; None: there is no loop."""
        if self._loop is None:
            return None
        at = self._loop.pass_at_or_after(now_sample + PASS_GUARD_SECONDS * self._rate_hz)
        self._loop_player.put(self._stretch(self._loop), self._loop.origin, at)
        return at

    def stop_loop(self, at: int = 0) -> None:
        """Fade the loop out at a device time; 0: at once."""
        self._loop = None
        self._loop_player.stop(at)

    def _stretch(self, loop: Loop) -> Samples:
        """The loop's sound, its end crossfaded with what comes before its beginning: passes join without a click."""
        fade = min(round(FADE_SECONDS * self._rate_hz), loop.length // 2)
        sound = self.audio(loop.first - fade, loop.stop)
        before, stretch = sound[:fade], sound[fade:].copy()
        rise = np.arange(1, fade + 1, dtype=np.float32) / np.float32(fade)
        stretch[loop.length - fade :] += rise * (before - stretch[loop.length - fade :])
        return stretch


def edit_of(
    take: int,
    audio: Samples,
    sample_rate_hz: int,
    margin_seconds: float,
    span: tuple[int, int],
    rate_hz: int,
    file: str = "",
    notes: Sequence[Note] = (),
) -> Edit:
    """A repainted part as an edit.

    Args:
        audio: the take, at its own rate, with a margin of the tape before and after the part.
        span: the part in device time.
        rate_hz: the device's.
        file: the take's.
        notes: that the take was given, in seconds from where the part begins.
    """
    sound = resample(audio, sample_rate_hz, rate_hz)
    begin = round(margin_seconds * rate_hz)
    part = sound[begin : begin + span[1] - span[0]]
    samples = np.pad(part, (0, span[1] - span[0] - len(part))).astype(np.float32)
    given = (TapedNote(n.start, min(n.stop, span[1]), n.key, n.velocity) for n in taped(notes, span[0], rate_hz))
    return Edit(take, span[0], samples, file, tuple(note for note in given if note.start < span[1]))
