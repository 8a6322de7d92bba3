"""Makes a job of a command: what is not given is taken from the properties, or from the take that is made again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from bridge.processes.job import Again, Job, JobKind, Planning, Span, Variation
from bridge.protocol.errors import CommandError
from bridge.protocol.plan_arguments import (
    DENSITY,
    NOTES_FILE,
    PLAN,
    PLAN_SETTINGS,
    PLAN_TEMPERATURE,
    REGISTER,
    RENEW,
    SCALE,
)
from bridge.protocol.repaint_arguments import START, STOP
from bridge.protocol.table import AHEAD, BARS, FOLLOW, FROM_BAR, LATE, SECONDS, SEED, TO_BAR
from bridge.protocol.take_arguments import TAKE, VARIATIONS
from bridge.protocol.types import INT32_MAX, PRESET_OWN, Argument, Follow, Invocation, Late, Renew, Value
from bridge.stage.allowed_folders import AllowedFolders
from bridge.stage.device_transport import DeviceTransport, LineBeat
from bridge.stage.properties import Properties, check_scale
from bridge.stage.requested_bars import Arguments, RequestedBars
from bridge.takes.notes_file import check_notes_file
from bridge.takes.take_list import ListedTake, TakeList
from bridge.tape.tape_memory import TapeMemory


class JobRequests:
    """All methods raise CommandError where a command asks for what cannot be. Belongs to the daemon's one thread."""

    def __init__(
        self,
        *,
        bars: RequestedBars,
        transport: DeviceTransport,
        tape: TapeMemory,
        takes: TakeList,
        properties: Properties,
        folders: AllowedFolders,
        next_number: Callable[[], int],
    ) -> None:
        """``next_number``: of a request."""
        self._folders = folders
        self._bars, self._transport, self._tape, self._takes = bars, transport, tape, takes
        self._properties, self._next_number = properties, next_number

    def job(self, invocation: Invocation, *, phrase_is_played: bool) -> tuple[Job, LineBeat | None]:
        """A job, and the line that it waits for; None: it waits for none."""
        arguments = invocation.arguments
        if SCALE.name in arguments:
            check_scale(str(arguments[SCALE.name]))
        if TAKE in invocation.command.keys:
            take = requested_take(self._takes, arguments.get(TAKE.name))
            if invocation.command.name == "take/play":
                line = self._bars.line(arguments)
                return self._played(arguments, take, line), line
            line = None if take.job.span else self._bars.line(arguments)
            made_again = self._rerolled if invocation.command.name == "take/reroll" else self._rendered
            return made_again(arguments, take, line), line
        line = None if FROM_BAR.name in arguments or TO_BAR.name in arguments else self._bars.line(arguments)
        return self._new_take(invocation, line, phrase_is_played=phrase_is_played), line

    def _rerolled(self, arguments: Arguments, take: ListedTake, line: LineBeat | None) -> Job:
        """The take once more, with the seed after its own if none is given; its notes planned anew if that is asked."""
        renew = cast(Renew, arguments.get(RENEW.name, RENEW.default))
        job, given = take.job, [argument.name for argument in PLAN_SETTINGS if argument.name in arguments]
        if renew == "notes":
            if job.planning is None:
                raise CommandError(
                    "refused",
                    f"the notes of take {take.number} were not planned: reroll its sound, or make a take with plan on",
                )
            job = replace(job, planning=_changed(job.planning, arguments))
        elif given:
            raise CommandError("refused", f"{given[0]} is of planned notes, which stay: ask for renew notes")
        seed = int(arguments.get(SEED.name, next_seed(job.seed)))
        return self._again(arguments, job, line, seed, Again(take.number, take.file, renew))

    def _rendered(self, arguments: Arguments, take: ListedTake, line: LineBeat | None) -> Job:
        """The take once more, with its own seed if none is given, and with the notes of a file."""
        if NOTES_FILE.name not in arguments:
            raise CommandError("missing_argument", "give notes, a MIDI file such as take/export writes")
        path = self._folders.path(str(arguments[NOTES_FILE.name]))
        try:
            check_notes_file(path)
        except (OSError, ValueError) as error:
            raise CommandError("bad_file", str(error)) from error
        seed = int(arguments.get(SEED.name, take.job.seed))
        return self._again(arguments, take.job, line, seed, Again(take.number, take.file, notes_file=str(path)))

    def _played(self, arguments: Arguments, take: ListedTake, line: LineBeat | None) -> Job:
        """The sound of the take once more."""
        if take.job.span:
            raise CommandError(
                "refused",
                f"take {take.number} repaints bars of the tape: take/recall puts it on them, and a loop plays it",
            )
        if not take.file:
            raise CommandError("bad_file", f"take {take.number} could not be written when it was made, and is gone")
        again = Again(take.number, take.file, plays_seconds=take.seconds)
        return self._again(arguments, take.job, line, take.job.seed, again)

    def _again(self, arguments: Arguments, job: Job, line: LineBeat | None, seed: int, again: Again) -> Job:
        return replace(
            job,
            number=self._next_number(),
            seed=seed,
            line=self._bars.device_line(line),
            late=cast(Late, arguments.get(LATE.name, self._properties.values[LATE.name])),
            again=again,
            ends_phrase=False,  # it goes on from the phrase that the first one ended
            variations=(),
        )

    def _new_take(self, invocation: Invocation, line: LineBeat | None, *, phrase_is_played: bool) -> Job:
        arguments, kind = invocation.arguments, cast(JobKind, invocation.command.name)
        span, start, stop = self._part(arguments) if kind == "inpaint" else (None, 0.0, 0.0)
        keys = {key.name for key in invocation.command.keys}

        def chosen(name: str) -> Value | None:
            return arguments.get(name, self._properties.values[name]) if name in keys else None

        temperature, bias, chunk_frames = chosen("temperature"), chosen("bias"), chosen("chunk_frames")
        number, seed = self._next_number(), int(chosen(SEED.name) or 0)
        alternatives = int(arguments.get(VARIATIONS.name, 1)) - 1
        seeds = [next_seed(seed, place) for place in range(1, 1 + alternatives)]
        return Job(
            number,
            kind,
            seed=seed,
            seconds=stop - start if kind == "inpaint" else self._length_seconds(arguments, chosen(SECONDS.name), line),
            lead_seconds=float(chosen("lead") or 0.0),
            tail_seconds=float(chosen("tail") or 0.0),
            start_seconds=start,
            stop_seconds=stop,
            temperature=None if temperature is None else float(temperature),
            bias=None if bias is None else float(bias),
            chunk_frames=None if chunk_frames is None else int(chunk_frames),
            line=self._bars.device_line(line),
            late=cast(Late, chosen(LATE.name)),
            span=span,
            follow=cast(Follow, chosen(FOLLOW.name) or "off"),
            ahead_seconds=float(chosen(AHEAD.name) or 0.0),
            ends_phrase=kind == "continue" and phrase_is_played,
            planning=self._planning(chosen, span) if chosen(PLAN.name) in ("on", PRESET_OWN) else None,
            variations=tuple(Variation(self._next_number(), each) for each in seeds),
        )

    def _planning(self, chosen: Callable[[str], Value | None], span: Span | None) -> Planning:
        scale = str(chosen(SCALE.name))
        temperature, density, register = (
            float(chosen(argument.name) or 0.0) for argument in (PLAN_TEMPERATURE, DENSITY, REGISTER)
        )
        transport, rate_hz = self._transport, self._transport.rate_hz
        timeline = transport.timeline_around(span[0] / rate_hz) if span else transport.recent_timeline
        by_preset = chosen(PLAN.name) == PRESET_OWN  # of the preset that plays when the take is begun
        return Planning(temperature, density, scale, register, timeline, rate_hz, by_preset=by_preset)

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
            span = self._bars.span(arguments)
            start, stop = 0.0, (span[1] - span[0]) / self._tape.rate_hz
        else:
            start, stop = (float(place or 0.0) for place in seconds)
        if stop <= start:
            raise CommandError("out_of_range", f"stop {stop:g} s must be after start {start:g} s")
        if stop - start > SECONDS.high:
            raise CommandError("out_of_range", f"at most {SECONDS.high:g} s are repainted, got {stop - start:.4g} s")
        return span, start, stop


def next_seed(seed: int, place: int = 1) -> int:
    """The seed that the take has that comes so many after the one with ``seed``."""
    return (seed + place) % (INT32_MAX + 1)


def _changed(planning: Planning, arguments: Arguments) -> Planning:
    """With the settings that are given."""

    def chosen(argument: Argument, now: float) -> float:
        return float(arguments.get(argument.name, now))

    return replace(
        planning,
        temperature=chosen(PLAN_TEMPERATURE, planning.temperature),
        density=chosen(DENSITY, planning.density),
        register=chosen(REGISTER, planning.register),
        scale=str(arguments.get(SCALE.name, planning.scale)),
    )


def requested_take(takes: TakeList, number: Value | None) -> ListedTake:
    """The finished take of that number; None: the last one. Raises CommandError: there is none."""
    try:
        take = takes.find(None if number is None else int(number))
    except ValueError as error:
        raise CommandError("unknown_take", str(error)) from error
    if not take.ready:
        raise CommandError(
            "refused", f"take {take.number} is not made yet: `variation` says when it is, and take/list whether"
        )
    return take
