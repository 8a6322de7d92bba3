"""Reads a command into the player's request: which bars or seconds, from which line on; the rest is the properties'."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from bridge.audio.loop_player import LoopPlayer
from bridge.clock.transport import Grid, Place
from bridge.processes.messages import (
    Again,
    ExportTape,
    Job,
    JobKind,
    Load,
    PrimeFile,
    RenderPhrase,
    Span,
    StartLoop,
    StopLoop,
)
from bridge.protocol.errors import CommandError, shown
from bridge.protocol.table import (
    AHEAD,
    AT_BAR,
    AT_BEAT,
    BARS,
    FOLLOW,
    FROM_BAR,
    LATE,
    QUANTISE,
    SECONDS,
    SEED,
    START,
    STOP,
    TAKE,
    TO_BAR,
)
from bridge.protocol.types import INT32_MAX, Follow, Invocation, Late, Value
from bridge.stage.device_transport import DeviceTransport, LineBeat
from bridge.takes.take_list import ListedTake, TakeList
from bridge.tape.tape_export import files_of
from bridge.tape.tape_memory import TapeMemory

_LOOP_GUARD_SECONDS = 0.1
"""A loop is not begun sooner: its request has to reach the player, and the player the speaker."""

Arguments = Mapping[str, Value]


class JobRequestReader:
    """All methods raise CommandError where a command asks for what cannot be. Belongs to the daemon's one thread."""

    def __init__(
        self,
        *,
        transport: DeviceTransport,
        tape: TapeMemory,
        loop: LoopPlayer,
        book: TakeList,
        properties: Mapping[str, Value | None],
        allowed_folders: Sequence[Path],
        next_number: Callable[[], int],
    ) -> None:
        """``properties`` are read anew for every command; ``next_number``: of a request."""
        self._transport, self._tape, self._loop, self._take_list = transport, tape, loop, book
        self._properties, self._next_number = properties, next_number
        self._allowed_folders = [folder.resolve() for folder in allowed_folders]

    # --- takes ------------------------------------------------------------------------------------------

    def job(self, invocation: Invocation, *, phrase_is_played: bool) -> tuple[Job, LineBeat | None]:
        """A take, and the line that it waits for; None: it waits for none."""
        arguments = invocation.arguments
        if invocation.command.name == "take/reroll":
            take = self.take(arguments.get(TAKE.name))
            line = None if take.job.span else self._line(arguments)
            return self._reroll(arguments, take, line), line
        line = None if FROM_BAR.name in arguments or TO_BAR.name in arguments else self._line(arguments)
        return self._new_take(invocation, line, phrase_is_played=phrase_is_played), line

    def _reroll(self, arguments: Arguments, take: ListedTake, line: LineBeat | None) -> Job:
        """The take once more, with the seed after its own if none is given."""
        return replace(
            take.job,
            number=self._next_number(),
            seed=int(arguments.get(SEED.name, take.job.seed + 1 if take.job.seed < INT32_MAX else 0)),
            line=self._transport.in_device_time(line) if line else None,
            late=cast(Late, arguments.get(LATE.name, self._properties[LATE.name])),
            again=Again(take.number, take.file),
            ends_phrase=False,  # it goes on from the phrase that the first one ended
        )

    def _new_take(self, invocation: Invocation, line: LineBeat | None, *, phrase_is_played: bool) -> Job:
        arguments, kind = invocation.arguments, cast(JobKind, invocation.command.name)
        span, start, stop = self._part(arguments) if kind == "inpaint" else (None, 0.0, 0.0)
        keys = {key.name for key in invocation.command.keys}

        def chosen(name: str) -> Value | None:
            return arguments.get(name, self._properties[name]) if name in keys else None

        temperature, bias, chunk_frames = chosen("temperature"), chosen("bias"), chosen("chunk_frames")
        return Job(
            self._next_number(),
            kind,
            seed=int(chosen(SEED.name) or 0),
            seconds=stop - start if kind == "inpaint" else self._length_seconds(arguments, chosen(SECONDS.name), line),
            lead_seconds=float(chosen("lead") or 0.0),
            tail_seconds=float(chosen("tail") or 0.0),
            start_seconds=start,
            stop_seconds=stop,
            temperature=None if temperature is None else float(temperature),
            bias=None if bias is None else float(bias),
            chunk_frames=None if chunk_frames is None else int(chunk_frames),
            line=self._transport.in_device_time(line) if line else None,
            late=cast(Late, chosen(LATE.name)),
            span=span,
            follow=cast(Follow, chosen(FOLLOW.name) or "off"),
            ahead_seconds=float(chosen(AHEAD.name) or 0.0),
            ends_phrase=kind == "continue" and phrase_is_played,
        )

    def _length_seconds(self, arguments: Arguments, seconds: Value | None, line: LineBeat | None) -> float:
        """Of new audio: as asked in seconds, or in bars from where it begins."""
        if BARS.name not in arguments:
            return float(seconds or 0.0)
        if SECONDS.name in arguments:
            raise CommandError("repeated_key", "give bars or seconds, not both")
        length = self._transport.bars_seconds(int(arguments[BARS.name]), line)
        if length > SECONDS.high:
            raise CommandError("out_of_range", f"these bars last {length:.4g} s; at most {SECONDS.high:g} s are made")
        return length

    def _part(self, arguments: Arguments) -> tuple[Span | None, float, float]:
        """What is to be repainted: bars of the tape and their length from 0, or seconds of what was heard."""
        bars = [arguments.get(name) for name in (FROM_BAR.name, TO_BAR.name)]
        seconds = [arguments.get(name) for name in (START.name, STOP.name)]
        given = bars if bars != [None, None] else seconds
        if None in given or (given is bars and seconds != [None, None]):
            raise CommandError("missing_argument", "give from_bar and to_bar, or start and stop")
        span = None
        if given is bars:
            span = self._bars(*(int(bar or 0) for bar in bars))
            start, stop = 0.0, (span[1] - span[0]) / self._tape.rate_hz
        else:
            start, stop = (float(place or 0.0) for place in seconds)
        if stop <= start:
            raise CommandError("out_of_range", f"stop {stop:g} s must be after start {start:g} s")
        if stop - start > SECONDS.high:
            raise CommandError("out_of_range", f"at most {SECONDS.high:g} s are repainted, got {stop - start:.4g} s")
        return span, start, stop

    def take(self, number: Value | None) -> ListedTake:
        """One that was made; None: the last one."""
        try:
            return self._take_list.find(None if number is None else int(number))
        except ValueError as error:
            raise CommandError("unknown_take", str(error)) from error

    def phrase(self, arguments: Arguments) -> RenderPhrase:
        """What was played, to be rendered."""
        return RenderPhrase(self._next_number(), int(arguments.get(SEED.name, self._properties[SEED.name] or 0)))

    # --- presets and files ------------------------------------------------------------------------------

    def load(self, arguments: Arguments) -> tuple[Load, LineBeat | None]:
        """A preset, and the line on which it takes over; None: as soon as it can."""
        line = self._line(arguments)
        request = Load(
            self._next_number(),
            str(arguments["preset"]),
            self._next_number(),
            self._transport.in_device_time(line) if line else None,
            cast(Late, arguments.get(LATE.name, self._properties[LATE.name])),
        )
        return request, line

    def prime_file(self, invocation: Invocation) -> PrimeFile:
        """A file, or a part of it, to be heard."""
        arguments = invocation.arguments
        given = {key.name: arguments.get(key.name, key.default) for key in invocation.command.keys}
        return PrimeFile(
            self._next_number(),
            str(self.allowed_path(str(arguments["path"]))),
            start_seconds=float(given["start"] or 0.0),
            seconds=float(given["seconds"] or 0.0),
        )

    def export_bars(self, arguments: Arguments) -> ExportTape:
        """Bars of the tape, to be written."""
        from_bar, to_bar = int(arguments[FROM_BAR.name]), int(arguments[TO_BAR.name])
        span, path = self._bars(from_bar, to_bar), self.allowed_path(str(arguments["path"]))
        try:
            files_of(path)
        except ValueError as error:
            raise CommandError("bad_file", str(error)) from error
        bars = tuple(self._transport.bar_line(bar) for bar in range(from_bar, to_bar + 1))
        return ExportTape(self._next_number(), str(path), span, bars)

    def allowed_path(self, text: str) -> Path:
        """The file meant by a path from the wire: absolute, or relative to an allowed folder."""
        for folder in self._allowed_folders:
            try:
                path = (folder / text).resolve()
                # A missing file in the last folder is for the player to report.
                chosen = path.exists() or folder == self._allowed_folders[-1]
            except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links
                raise CommandError("bad_file", f"{shown(text)}: {error}") from error
            if chosen and path.is_relative_to(folder):
                return path
        folders = ", ".join(str(folder) for folder in self._allowed_folders) or "none; see --allow-folder"
        raise CommandError("forbidden_path", f"{shown(text)} is outside the allowed folders: {folders}")

    # --- the loop ---------------------------------------------------------------------------------------

    def start_loop(self, arguments: Arguments) -> StartLoop:
        """Bars of the tape, to be repeated from a line on."""
        span = self._bars(int(arguments[FROM_BAR.name]), int(arguments[TO_BAR.name]))
        longest = self._loop.room_samples
        if span[1] - span[0] > longest:
            raise CommandError("out_of_range", f"a loop lasts at most {longest / self._tape.rate_hz:.0f} s")
        return StartLoop(self._next_number(), span, self._loop_line(arguments))

    def stop_loop(self, arguments: Arguments) -> StopLoop:
        """The end of the loop, on a line."""
        return StopLoop(self._next_number(), self._loop_line(arguments))

    def _loop_line(self, arguments: Arguments) -> int:
        """The device time of the line that a loop begins or ends on: of a bar, unless told otherwise."""
        grid = arguments.get(QUANTISE.name, self._properties[QUANTISE.name])
        if QUANTISE.name not in arguments and grid == "none":
            grid = "bar"
        beat = self._transport.beat_in(_LOOP_GUARD_SECONDS)
        return self._transport.in_device_time(self._transport.line_from(beat, cast(Grid, grid))).first_sample

    # --- lines and bars ---------------------------------------------------------------------------------

    def _line(self, arguments: Arguments) -> LineBeat | None:
        """The line that is asked for; None: none."""
        if AT_BAR.name in arguments:
            place = Place(int(arguments[AT_BAR.name]) - 1, float(arguments.get(AT_BEAT.name, 1.0)) - 1.0)
            return self._transport.line_at(place) if self._transport.has_device else None
        if AT_BEAT.name in arguments:
            raise CommandError("missing_argument", "at_beat is a beat of a bar: give at_bar too")
        grid = arguments.get(QUANTISE.name, self._properties[QUANTISE.name])
        return self._transport.next_line(cast(Grid, grid)) if self._transport.has_device else None

    def _bars(self, from_bar: int, to_bar: int) -> Span:
        """Device times of whole bars of the tape, both included."""
        if to_bar < from_bar:
            raise CommandError("out_of_range", f"to_bar {to_bar} is before from_bar {from_bar}")
        if not self._transport.has_device:
            raise CommandError("refused", "there is no sound device, and so no tape")
        first, stop = (
            self._transport.in_device_time(self._transport.line_at(Place(bar, 0.0))).first_sample
            for bar in (from_bar - 1, to_bar)
        )
        if not self._tape.holds(first, stop):
            raise CommandError("refused", f"bars {from_bar} to {to_bar} are not on the tape: {self._tape_text()}")
        return first, stop

    def _tape_text(self) -> str:
        first, stop = self._tape.span
        if first == stop:
            return "it is blank; what is listened to and what sounds is laid on it"
        begin, end = self._transport.place_of(first), self._transport.place_of(stop)
        return f"it holds bar {begin.bar + 1}, beat {begin.beat + 1:.3g}, to bar {end.bar + 1}, beat {end.beat + 1:.3g}"
