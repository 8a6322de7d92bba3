"""What the score model knows at a moment: the notes so far, where it is, and what it computed of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melnet_music.notes.score.features import look_at_pitches, look_at_times, place_of
from melnet_music.notes.score.grid import LOWEST_PITCH, PITCHES, Bars, GridNote
from melnet_music.notes.score.network import Floats, KeptTokens, ScoreModel
from melnet_music.notes.score.tokens import (
    CHROMA_DECAY,
    HORIZON,
    LENGTHS,
    MOST_FUTURE_NOTES,
    NEVER,
    NO_LENGTH,
    NO_PITCH,
    UNKNOWN_VELOCITY,
    Kind,
    length_class,
    velocity_class,
)

_MOST_TOKENS, _FORGOTTEN_TOKENS = 2048, 1024
"""So many are kept at most, for going back; then the oldest are forgotten."""


@dataclass(frozen=True)
class _Token:
    kind: Kind
    step: int
    note: GridNote | None
    chroma: Floats
    """After it."""
    output: Floats
    """Of the model."""
    chord: int
    ends: NDArray[np.int32]
    """``[88]``, the step at which each key's last note ends."""
    last_pitch: int
    last_bass: int


class Counted(NamedTuple):
    """Of some notes."""

    pitch_classes: NDArray[np.int64]
    """``[12]``, how many notes of each, C first."""
    moments: int
    """At which notes begin; those of a chord are one."""
    mean_pitch: float
    """0 where there are no notes."""


@dataclass(frozen=True)
class Filling:
    """A part that is being filled, in steps."""

    start: int
    end: int
    known_until: int
    """Of what follows its end, notes that begin before this step are known."""


class ScoreState:
    """Notes told and planned so far, in order. Copies go on on their own.

    Attributes:
        bars: the meter; written out as far as it is needed.
        pending: the step at which the next note was drawn to begin, but is not drawn itself yet.
        not_before: nothing is planned before this step.
        filling: what is being filled, if anything.
    """

    def __init__(self, model: ScoreModel, bars: Bars, start: int = 0) -> None:
        """
        Args:
            start: the step of a bar line; nothing is known of what was before it.
        """
        self.model, self.bars = model, bars.copy()
        self.pending: int | None = None
        self.not_before = start
        self.filling: Filling | None = None
        self._start = start
        self._roll: NDArray[np.uint8] = np.zeros((1024, PITCHES), np.uint8)
        self._any: NDArray[np.uint8] = np.zeros(1024, np.uint8)
        self._tokens: list[_Token] = []
        self._note_steps: list[int] = []
        self._sums: list[NDArray[np.int64]] = [np.zeros(14, np.int64)]
        self._kept: KeptTokens = model.start()
        self._feed(Kind.START, start, None, 0)

    def copy(self) -> ScoreState:
        """One that goes on on its own."""
        other = object.__new__(ScoreState)
        other.__dict__ = dict(self.__dict__)
        other.bars, other._kept, other._tokens = self.bars.copy(), self._kept.copy(), list(self._tokens)
        other._roll, other._any = self._roll.copy(), self._any.copy()
        other._note_steps, other._sums = list(self._note_steps), list(self._sums)
        return other

    @property
    def cursor(self) -> int:
        """The step of the last token: what follows begins here or later."""
        return self._tokens[-1].step

    @property
    def output(self) -> Floats:
        """``[hidden]`` of the last token."""
        return self._tokens[-1].output

    @property
    def chroma(self) -> Floats:
        """``[12]``, how often each pitch class came of late."""
        return self._tokens[-1].chroma

    def notes(self, since: int = 0) -> list[GridNote]:
        """The notes that begin at a step or after it, in order; the oldest may be forgotten."""
        recent = (token for token in self._recent(since) if token.kind == Kind.NOTE and token.step >= since)
        return [token.note for token in recent if token.note is not None]

    def count_since(self, step: int) -> Counted:
        """The notes that begin at a step or later."""
        sums = self._sums[-1] - self._sums[bisect_left(self._note_steps, step)]
        return Counted(sums[:12], int(sums[13]), float(sums[12]) / max(int(sums[:12].sum()), 1))

    def add(self, notes: Iterable[GridNote]) -> None:
        """Tell of notes, in any order; one of the same onset and key replaces what is there.

        What is later than the first of them is read again, so notes in order cost least. Those from before the start
        of the state, or of what is still kept, or off the keyboard, are left out.
        """
        told = {(note.onset, note.pitch): note for note in notes if self._may_hold(note)}
        if not told:
            return
        first = min(told)
        if first <= self._last_place():
            kept = {(note.onset, note.pitch): note for note in self.notes(first[0])}
            told = {**kept, **told}
            self.rewind(first[0])
        self.pending = None
        for _, note in sorted(told.items()):
            self.append(note)

    def append(self, note: GridNote) -> None:
        """Add a note that is later than all others, or higher at the same onset."""
        self.rest_until(note.onset)
        self._feed(Kind.NOTE, note.onset, note, 0)

    def rest_until(self, step: int) -> None:
        """Let time go by without notes."""
        while step - self.cursor >= HORIZON:
            self._feed(Kind.REST, self.cursor + HORIZON, None, 0)

    def rewind(self, step: int) -> None:
        """Forget all that begins at this step or later."""
        while len(self._tokens) > 1 and self._tokens[-1].step >= step:
            token = self._tokens.pop()
            if token.kind == Kind.NOTE:
                self._note_steps.pop()
                self._sums.pop()
            if token.note is not None:
                self._roll[token.step, token.note.pitch - LOWEST_PITCH] = 0
                self._any[token.step] = self._roll[token.step].any()
        self._kept.count = len(self._tokens)
        self.pending = None

    def begin_filling(self, start: int, end: int, future: Sequence[GridNote]) -> None:
        """From here on the steps from ``start`` to ``end`` are filled, of which the past and the ``future`` are known.

        Raises:
            ValueError: there are notes at or after ``start``, or the part is empty.
        """
        if not self.cursor <= start < end:
            raise ValueError(f"steps {start} to {end} cannot be filled from step {self.cursor}")
        ordered = sorted({(n.onset, n.pitch): n for n in future if n.onset >= end and self._may_hold(n)}.items())
        told = [note for _, note in ordered][:MOST_FUTURE_NOTES]
        whole = len(told) == len(ordered)  # else the last chord may be cut
        known_until = told[-1].onset + int(whole) if told else end
        told = [note for note in told if note.onset < known_until]
        first = len(self._tokens)
        for note in told:
            self._write(note)
        chord = 0
        for note in told:
            chord = chord + 1 if note.onset == self.cursor and self._tokens[-1].note is not None else 0
            self._feed(Kind.FUTURE, note.onset, note, chord)
        self._kept.future = (first, len(self._tokens))
        self.filling = Filling(start, end, known_until)
        self.not_before = start
        self._feed(Kind.START, start, None, 0)

    def look_at_times(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        """Patterns back and ahead, places and bar lines of the `HORIZON` steps from here on."""
        back, ahead, bars_on = (np.empty(HORIZON, np.uint8) for _ in range(3))
        places = np.empty((HORIZON, 4), np.uint8)
        bar = self.bars.bar_at(self.cursor)
        self.bars.reach(self.cursor + 2 * HORIZON)
        self._make_room(self.cursor)
        bars = self.bars
        look_at_times(
            self.cursor, bar, self._any, bars.starts, bars.compound, bars.upbeat, *self._known(), back, ahead, places,
            bars_on,
        )  # fmt: skip
        return back, ahead, places, bars_on

    def look_at_pitches(self, step: int) -> tuple[dict[str, NDArray[np.uint8]], NDArray[np.uint8]]:
        """What is seen of each key for a note at ``step``: patterns, and the lengths ``[88, 9]``."""
        seen = {name: np.empty(PITCHES, np.uint8) for name in ("back", "soon", "ahead", "sounds")}
        lengths = np.empty((PITCHES, 9), np.uint8)
        self._make_room(step)
        bar, bars = self.bars.bar_at(step), self.bars
        look_at_pitches(
            step, bar, self._roll, bars.starts, bars.upbeat, *self._known(), self._tokens[-1].ends, seen["back"],
            seen["soon"], seen["ahead"], lengths, seen["sounds"],
        )  # fmt: skip
        return seen, lengths

    def place(self, step: int) -> tuple[int, int, int, int]:
        """The numbers of `PLACES` of a step."""
        bar = self.bars.bar_at(step)
        phase, quarter, compound, left = place_of(step, bar, self.bars.starts, self.bars.compound, self.bars.upbeat)
        return int(phase), int(quarter), int(compound), int(left)

    @property
    def last_pitches(self) -> tuple[int, int]:
        """The last note's key and the lowest of the last onset, 0 to 87; 88: none."""
        last = self._tokens[-1]
        return last.last_pitch, last.last_bass

    @property
    def lowest_key(self) -> int:
        """The first key that another note at the cursor may have."""
        last = self._tokens[-1]
        return last.note.pitch - LOWEST_PITCH + 1 if last.note is not None and last.kind == Kind.NOTE else 0

    def _known(self) -> tuple[int, int]:
        return (self.filling.end, self.filling.known_until) if self.filling else (0, 0)

    def _may_hold(self, note: GridNote) -> bool:
        oldest = self._tokens[0].step if self._tokens else self._start
        return note.onset >= max(self._start, oldest) and 0 <= note.pitch - LOWEST_PITCH < PITCHES

    def _last_place(self) -> tuple[int, int]:
        last = self._tokens[-1]
        return (last.step, last.note.pitch if last.note is not None else -1)

    def _recent(self, since: int) -> list[_Token]:
        recent: list[_Token] = []
        for token in reversed(self._tokens):
            if token.step < since and token.kind == Kind.NOTE:
                break
            recent.append(token)
        return recent[::-1]

    def _make_room(self, step: int) -> None:
        """The roll is read as far as any step that is asked about: compiled code does not look where it ends."""
        while step >= len(self._roll):
            self._roll = np.concatenate((self._roll, np.zeros_like(self._roll)))
            self._any = np.concatenate((self._any, np.zeros_like(self._any)))

    def _write(self, note: GridNote) -> None:
        self._make_room(note.onset)
        self._roll[note.onset, note.pitch - LOWEST_PITCH] = length_class(note.steps) + 1
        self._any[note.onset] = 1

    def _feed(self, kind: Kind, step: int, note: GridNote | None, chord: int) -> None:
        before = self._tokens[-1] if self._tokens else None
        chroma = before.chroma if before is not None else np.zeros(12, np.float32)
        ends = before.ends if before is not None else np.full(PITCHES, NEVER, np.int32)
        last_pitch, last_bass = (before.last_pitch, before.last_bass) if before is not None else (NO_PITCH, NO_PITCH)
        copied, key, length, velocity = 0, NO_PITCH, NO_LENGTH, UNKNOWN_VELOCITY
        since = 0 if before is None else min(abs(step - before.step), HORIZON)
        if before is not None and kind == Kind.START:
            since = HORIZON
        if note is not None:
            key, length = note.pitch - LOWEST_PITCH, length_class(note.steps)
            velocity = velocity_class(note.velocity)
            filling, self.filling = self.filling, None  # a token does not say what is known of the future
            copied = int(self.look_at_pitches(step)[0]["back"][key])
            self.filling = filling
            if kind == Kind.NOTE:
                same = before is not None and before.kind == Kind.NOTE and before.step == step
                chord = before.chord + 1 if before is not None and same else 0
                chroma = chroma * CHROMA_DECAY
                chroma[note.pitch % 12] += 1
                ends = ends.copy()
                ends[key] = step + LENGTHS[length]
                last_pitch, last_bass = key, last_bass if same else key
                self._note_steps.append(step)
                sums = self._sums[-1].copy()
                sums[note.pitch % 12] += 1
                sums[12] += note.pitch
                sums[13] += not same
                self._sums.append(sums)
                self._write(note)
        bar = self.bars.bar_at(step)
        start, end = (int(step) for step in self.bars.starts[bar : bar + 2])
        phase, quarter, compound, left = self.place(step)
        token = {
            "kind": int(kind), "pitch": key, "length": length, "velocity": velocity, "since": since, "copied": copied,
            "chord": min(chord, 7), "bars_left": self._bars_left(bar), "phase": phase, "quarter": quarter,
            "compound": compound, "left": left,
        }  # fmt: skip
        output = self.model.step(self._kept, token, bar + (step - start) / (end - start), step / 12)
        self._tokens.append(_Token(kind, step, note, chroma, output, chord, ends, last_pitch, last_bass))
        if len(self._tokens) > _MOST_TOKENS and self.filling is None:
            self._tokens = self._tokens[_FORGOTTEN_TOKENS:]
            self._kept.forget(_FORGOTTEN_TOKENS)

    def _bars_left(self, bar: int) -> int:
        if self.filling is None:
            return 0
        left = 1
        while self.bars.start(bar + left) < self.filling.end:
            left += 1
        return min(left, 8)
