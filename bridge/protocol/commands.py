"""The one table of commands and properties: parsing, checking, encoding and the README are made from it.

Every command lives under ``/melnet``. Fixed arguments come first, in order; then key-value pairs in any
order. Clients that only know floats (Pure Data) are served: 7.0 stands for 7, 0 and 1 stand for false and
true, and whole numbers stand for floats.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from bridge.clock.transport import FASTEST_BPM, GRIDS, SLOWEST_BPM

NAMESPACE = "/melnet"
NO_ID = -1
"""Stands for the id in an answer to a command that has none."""
INT32_MAX = 2**31 - 1
PRESET_OWN = "preset"
"""The word that gives a property back to the preset."""
_SHOWN_CHARACTERS = 60

Value = int | float | bool | str
Late = Literal["play", "next", "drop"]
Clock = Literal["internal", "midi", "link"]
CLOCKS: tuple[Clock, ...] = get_args(Clock)
LATE_CHOICES: tuple[Late, ...] = get_args(Late)
CurveKind = Literal["linear", "log", "toggle"]
CURVES: tuple[CurveKind, ...] = get_args(CurveKind)
"""Of a MIDI control, from all the way down to all the way up."""
Follow = Literal["off", "free", "rest"]
FOLLOW_CHOICES: tuple[Follow, ...] = get_args(Follow)
Kind = Literal["float", "int", "bool", "text", "value"]
FailCode = Literal[
    "malformed",
    "unknown_command",
    "unknown_key",
    "unknown_property",
    "repeated_key",
    "missing_argument",
    "wrong_type",
    "out_of_range",
    "too_long",
    "too_far_ahead",
    "busy",
    "id_in_use",
    "unknown_id",
    "unknown_take",
    "refused",
    "forbidden_path",
    "bad_file",
    "unknown_preset",
    "no_input",
    "too_late",
    "cancelled",
    "player_died",
    "failed",
]

FAIL_CODES: Mapping[FailCode, str] = {
    "malformed": "the datagram is no OSC message or bundle",
    "unknown_command": "no command at this address",
    "unknown_key": "the command has no such key",
    "unknown_property": "there is no such property",
    "repeated_key": "a key came twice",
    "missing_argument": "a fixed argument, or the value of a key, is not there",
    "wrong_type": "the value is of another type",
    "out_of_range": "the number is NaN, infinite or outside the range",
    "too_long": "the text is longer than allowed",
    "too_far_ahead": "the bundle's timetag is too far in the future",
    "busy": "too much is waiting already",
    "id_in_use": "a job of yours with this id is still running",
    "unknown_id": "no job of yours with this id is waiting or running",
    "unknown_take": "no take of this session has this number",
    "refused": "the instrument cannot do this, for the reason given",
    "forbidden_path": "the path is outside the allowed folders",
    "bad_file": "the file is missing, empty, silent or no audio",
    "unknown_preset": "the preset cannot be loaded",
    "no_input": "there is no audio input to listen to",
    "too_late": "it cannot be ready in time, and `late drop` was asked for",
    "cancelled": "the job was cancelled, or the daemon stopped",
    "player_died": "the player process died, or hung and was killed; it is being restarted",
    "failed": "something broke inside; the daemon's log says what",
}


class CommandError(ValueError):
    """A command that cannot be obeyed, with all that ``/melnet/fail`` says about it."""

    def __init__(self, code: FailCode, message: str, *, command: str = "", job_id: int = NO_ID) -> None:
        super().__init__(message)
        self.code: FailCode = code
        self.command = command
        self.job_id = job_id


@dataclass(frozen=True)
class Argument:
    """One typed value. ``default`` None: required when fixed; a property's or the preset's own when a key."""

    name: str
    kind: Kind
    help: str
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    default: Value | None = None
    longest: int = 1024
    """Most characters of a text."""
    choices: tuple[str, ...] = ()
    """Of a text; none: any."""
    or_word: str = ""
    """Taken in place of a number, and OSC's nil for this word; none: no word is."""

    def check(self, value: object) -> Value:
        """The value in this argument's own type.

        Raises:
            CommandError: wrong type, NaN, infinite, out of range or too long.
        """
        if self.or_word and (value is None or value == self.or_word):
            return self.or_word
        if self.kind == "text":
            return self._check_text(value)
        if self.kind == "value":
            if isinstance(value, str):
                return self._check_text(value)
            if isinstance(value, (bool, int, float)):
                return value
            raise self._wrong_type(value)
        if self.kind == "bool":
            if isinstance(value, (bool, int, float)) and value in (0, 1):
                return bool(value)
            raise self._wrong_type(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong_type(value)
        # The comparison is false for NaN.
        if not self.low <= value <= self.high or math.isinf(value):
            raise CommandError("out_of_range", f"{self.name} must be {self.range_text()}, got {shown(value)}")
        if self.kind == "float":
            return float(value)
        if value != int(value):
            raise CommandError("wrong_type", f"{self.name} must be a whole number, got {shown(value)}")
        return int(value)

    def _check_text(self, value: object) -> str:
        if not isinstance(value, str):
            raise self._wrong_type(value)
        if not value:
            raise CommandError("missing_argument", f"{self.name} is empty")
        if len(value) > self.longest:
            raise CommandError(
                "too_long",
                f"{self.name} may have {self.longest} characters, got {len(value)}: {shown(value)}",
            )
        if not value.isprintable():
            raise CommandError("wrong_type", f"{self.name} holds unprintable characters: {shown(value)}")
        if self.choices and value not in self.choices:
            raise CommandError("out_of_range", f"{self.name} is {shown(value)}{nearest(value, self.choices)}")
        return value

    def _wrong_type(self, value: object) -> CommandError:
        kinds = {"float": "a number", "int": "a whole number", "bool": "0 or 1", "text": "text"}
        wanted = kinds.get(self.kind, "a number or text") + (f" or {self.or_word!r}" if self.or_word else "")
        return CommandError("wrong_type", f"{self.name} must be {wanted}, got {shown(value)}")

    def range_text(self) -> str:
        if self.kind == "text":
            return ", ".join(f"`{choice}`" for choice in self.choices) or "text"
        if self.kind == "bool":
            return "0 or 1"
        bounds = f"{self.low:g} to {self.high:g}" if self.high < INT32_MAX else f"{self.low:g} or more"
        return f"{bounds} {self.unit}".rstrip()


@dataclass(frozen=True)
class Command:
    """One address below ``/melnet``."""

    name: str
    help: str
    answer: str
    fixed: tuple[Argument, ...] = ()
    keys: tuple[Argument, ...] = ()
    sets: str = ""
    """The property whose value is this command's one argument; none: it is not such a command."""

    @property
    def address(self) -> str:
        return f"{NAMESPACE}/{self.name}"

    @property
    def is_job(self) -> bool:
        """Whether it makes a take, of which is told until it is finished."""
        return self.answer == _JOB_ANSWER


@dataclass(frozen=True)
class Invocation:
    """A checked command: fixed arguments and keys by name; keys that did not come are absent."""

    command: Command
    arguments: Mapping[str, Value] = field(default_factory=dict)

    @property
    def job_id(self) -> int:
        return int(self.arguments.get("id", NO_ID))


# Bounds are exact in float32, so that a bound sent over the wire is inside.
SECONDS = Argument("seconds", "float", "length of the new audio", unit="s", low=0.125, high=300, default=8.0)
SEED = Argument(
    "seed",
    "int",
    "seed of the next take; goes up by one with every take that names none",
    low=0,
    high=INT32_MAX,
    default=1,
)
TEMPERATURE = Argument("temperature", "float", "scales every sigma; the preset's own until set", low=0.0625, high=2)
BIAS = Argument("bias", "float", "sharpens the mixture; the preset's own until set", low=0, high=10)
LEAD = Argument(
    "lead",
    "float",
    "how much of what was heard is played before the new audio",
    unit="s",
    low=0,
    high=60,
    default=0.0,
)
TAIL = Argument(
    "tail",
    "float",
    "how much of what was heard is played after the repainted part",
    unit="s",
    low=0,
    high=60,
    default=0.0,
)
CHUNK_FRAMES = Argument(
    "chunk_frames",
    "int",
    "frames generated together; the preset's own until set",
    unit="frames",
    low=1,
    high=1024,
)
LEVEL = Argument("level", "float", "linear gain of the output", low=0, high=1, default=1.0)
TEMPO = Argument(
    "tempo", "float", "quarter notes a minute", unit="bpm", low=SLOWEST_BPM, high=FASTEST_BPM, default=120.0
)
METER = Argument("meter", "text", "such as 4/4 or 6/8; changes on the next bar line", longest=8, default="4/4")
CLOCK = Argument(
    "clock", "text", "whose tempo and bars these are: the daemon's own, a MIDI clock's or an Ableton Link session's",
    choices=CLOCKS, default="internal",
)  # fmt: skip
CLOCK_OFFSET = Argument(
    "clock_offset",
    "float",
    "so much later than the beats of `midi` or `link` a line is heard; below 0: earlier",
    unit="ms",
    low=-500,
    high=500,
    default=0.0,
)
CLOCK_OUT = Argument(
    "clock_out", "text", "whether a MIDI clock is sent to the ports of `--midi-clock-out`",
    choices=("off", "on"), default="on",
)  # fmt: skip
QUANTISE = Argument(
    "quantise", "text", "the line of the music that a take begins on; `none`: at once", choices=GRIDS, default="none"
)
LATE = Argument(
    "late",
    "text",
    "what becomes of a take that cannot be ready for its line: begin it as soon as it can, on the next line, or not",
    choices=LATE_CHOICES,
    default="next",
)
INPUT_OFFSET = Argument(
    "input_offset",
    "float",
    "so much later than the devices report the input is laid on the tape; less than 0: earlier",
    unit="ms",
    low=-500,
    high=500,
    default=0.0,
)
FOLLOW = Argument(
    "follow",
    "text",
    "what a take does with the notes that are played meanwhile: `off` nothing; `free` plays them, and what it likes "
    "while none sounds; `rest` plays them and nothing else",
    choices=FOLLOW_CHOICES,
    default="off",
)
AHEAD = Argument(
    "ahead",
    "float",
    "how far ahead of what sounds a take is made that follows notes; more where the engine is slow",
    unit="s",
    low=0,
    high=30,
    default=0.25,
)
AT_BAR = Argument("at_bar", "int", "begin on the line of this bar; the first is 1", low=1, high=1_000_000)
BARS = Argument("bars", "int", "length of the new audio in bars, instead of `seconds`", low=1, high=64)
START = Argument("start", "float", "begin, from the start of what was heard", unit="s", low=0, high=86400)
STOP = Argument("stop", "float", "end, from the start of what was heard", unit="s", low=0, high=86400)
FROM_BAR = Argument("from_bar", "int", "the first of the bars; bars count from 1", low=1, high=1_000_000)
TO_BAR = Argument("to_bar", "int", "the last of the bars", low=1, high=1_000_000)
TAKE = Argument("take", "int", "number of a take, as `finished` told it", low=1, high=INT32_MAX)
AT_BEAT = Argument("at_beat", "float", "with `at_bar`: on this beat of the bar; the first is 1", low=1, high=64)

PROPERTIES: Mapping[str, Argument] = {
    argument.name: argument
    for argument in (
        LEVEL, TEMPO, METER, CLOCK, CLOCK_OFFSET, CLOCK_OUT, QUANTISE, LATE, SEED, SECONDS, TEMPERATURE, BIAS,
        CHUNK_FRAMES, LEAD, TAIL, FOLLOW, AHEAD, INPUT_OFFSET,
    )
}  # fmt: skip
"""What ``get`` and ``set`` know: level and transport, and the defaults of every job."""

_ID = Argument("id", "int", "your own number for the job", low=0, high=INT32_MAX)
_NAME = Argument("name", "text", "a property", longest=64)
_HOW = (SEED, TEMPERATURE, BIAS, CHUNK_FRAMES)
_NOTES = (FOLLOW, AHEAD)
_WHEN = (QUANTISE, AT_BAR, AT_BEAT, LATE)
_SETTERS = tuple(
    Command(
        f"set/{name}",
        argument.help,
        "`done`",
        fixed=(replace(argument, or_word=PRESET_OWN if argument.default is None else ""),),
        sets=name,
    )
    for name, argument in PROPERTIES.items()
)
"""One address a property, for controllers that send a value and nothing else."""
_JOB_ANSWER = "`done`, `started`, `progress`, `finished`"

_TABLE = (
    Command("ping", "Is anybody there?", "`pong`"),
    Command("version", "Version of the daemon.", "`version.reply`"),
    Command("status", "Preset, engine, sound device, listening, jobs, underruns.", "`status.reply`"),
    Command(
        "transport",
        "Where the music is: bar, beat, tempo, meter; whose clock that is, and what it does.",
        "`transport.reply`",
    ),
    Command(
        "transport/locate",
        "Make it this bar now; what waits for a line waits for the same bar and beat.",
        "`done`",
        fixed=(Argument("bar", "int", "the first is 1", low=1, high=1_000_000),),
        keys=(Argument("beat", "float", "of the bar; the first is 1", low=1, high=64, default=1.0),),
    ),
    Command(
        "continue",
        "Continue what was heard.",
        _JOB_ANSWER,
        fixed=(_ID,),
        keys=(SECONDS, BARS, *_HOW, LEAD, *_NOTES, *_WHEN),
    ),
    Command(
        "generate",
        "Play something from nothing.",
        _JOB_ANSWER,
        fixed=(_ID,),
        keys=(SECONDS, BARS, *_HOW, *_NOTES, *_WHEN),
    ),
    Command(
        "inpaint",
        "Repaint bars of the tape, in place: the loop plays it from its next pass on. Or, with `start` and `stop`, "
        "a part of what was heard, to be played.",
        _JOB_ANSWER,
        fixed=(_ID,),
        keys=(FROM_BAR, TO_BAR, START, STOP, *_HOW, LEAD, TAIL, *_WHEN),
    ),
    Command(
        "loop/start",
        "Repeat bars of the tape: what came in and what was made. Begins on the next line.",
        "`done`",
        fixed=(FROM_BAR, TO_BAR),
        keys=(QUANTISE,),
    ),
    Command("loop/stop", "End the loop on the next line.", "`done`", keys=(QUANTISE,)),
    Command(
        "tape/export",
        "Write bars of the tape into an allowed folder, as the loop would play them: a WAV file, a JSON file with "
        "bars, tempo, meter and takes, log-mel frames (`.npz`), and a MIDI file of what notes are known. Waits for the "
        "jobs before it.",
        "`done`",
        fixed=(FROM_BAR, TO_BAR, Argument("path", "text", "a WAV file to be")),
    ),
    Command("take/list", "The last takes of this session, one `take/list.reply` each.", "`take/list.reply`, `done`"),
    Command("take/undo", "Take back the last change of the tape.", "`done`"),
    Command("take/redo", "Make it again.", "`done`"),
    Command("take/recall", "Lay a take over the bars of the tape that it was made for.", "`done`", fixed=(TAKE,)),
    Command(
        "take/reroll",
        "Make a take again, the last one if none is named: from what it was made from, with another seed.",
        _JOB_ANSWER,
        fixed=(_ID,),
        keys=(TAKE, SEED, *_WHEN),
    ),
    Command(
        "take/export",
        "Copy a take's WAV file, what `render` needs to make it again, and a MIDI file of the notes that it was given, "
        "into an allowed folder.",
        "`done`",
        fixed=(TAKE, Argument("path", "text", "a WAV file to be")),
    ),
    Command(
        "note",
        "A key is struck, or let go with velocity 0: for a take that follows, or for a phrase.",
        "`done`",
        fixed=(
            Argument("key", "int", "MIDI note number; 60 is middle C", low=0, high=127),
            Argument("velocity", "int", "0: let go", low=0, high=127),
        ),
    ),
    Command(
        "pedal",
        "The sustain pedal: what sounds goes on until it is up.",
        "`done`",
        fixed=(Argument("down", "bool", ""),),
    ),
    Command(
        "notes/prompt/start",
        "Play a phrase for the model: it begins with its first note. `continue` ends it too, and goes on from it.",
        "`done`",
    ),
    Command(
        "notes/prompt/stop",
        "The phrase is over: the model plays it to itself, and has heard it. Waits for the jobs before it.",
        "`done`",
        keys=(SEED,),
    ),
    Command(
        "midi/learn",
        "Give a property the MIDI control that is moved next; it keeps it after a restart.",
        "`done` once one is moved",
        fixed=(_NAME,),
        keys=(
            Argument("low", "float", "value with the control all the way down", low=-1024, high=65536),
            Argument("high", "float", "value with the control all the way up", low=-1024, high=65536),
            Argument(
                "curve", "text", "equal differences, equal ratios, or another end with every press", choices=CURVES
            ),
        ),
    ),
    Command("midi/forget", "Take its learned controls from a property.", "`done`", fixed=(_NAME,)),
    Command("midi/map", "What the MIDI controls do, one `midi/map.reply` each.", "`midi/map.reply`, `done`"),
    Command("cancel", "Drop your job; if it sounds, fade it out.", "`done`; the job's own `fail`", fixed=(_ID,)),
    Command("panic", "Silence at once; drop everybody's jobs and everything held back.", "`done`"),
    Command(
        "load",
        "Load a preset; it hears the last minute again. A take that sounds goes on with it from a line on.",
        "`done`, `started`",
        fixed=(Argument("preset", "text", "name or folder of a preset", longest=512),),
        keys=_WHEN,
    ),
    Command("presets", "Which presets there are.", "`presets.reply`"),
    Command(
        "subscribe",
        "Be told the value of every property at once; then of properties that change, of everybody's jobs, of player "
        "and sound device, until the lease ends.",
        "`done`, `event`",
        keys=(Argument("lease", "float", "ask again before it is over", unit="s", low=1, high=3600, default=60.0),),
    ),
    Command("unsubscribe", "Be told no more.", "`done`"),
    Command(
        "sync",
        "Be told when all your commands before this one are carried out; jobs are not waited for.",
        "`synced`",
        fixed=(_ID,),
    ),
    Command(
        "reply",
        "Have your answers sent to another port of your machine, or of a `host` that `serve --reply-host` names; 0: to "
        "the one that you send from.",
        "`done`",
        fixed=(Argument("port", "int", "a UDP port", low=0, high=65535),),
        keys=(Argument("host", "text", "a host that was named", longest=255),),
    ),
    Command("get", "Value of a property.", "`get.reply`", fixed=(_NAME,)),
    Command(
        "set",
        f"Set a property; the word `{PRESET_OWN}` gives it back to the preset.",
        "`done`",
        fixed=(
            _NAME,
            Argument("value", "value", "its new value", longest=64),
        ),
    ),
    *_SETTERS,
    Command("listen/start", "Prime the model with the audio input, while it is played.", "`done`"),
    Command("listen/stop", "Stop listening to the audio input.", "`done`"),
    Command(
        "prime/file",
        "Prime the model with an audio file inside the allowed folders. Waits for the jobs before it.",
        "`done`",
        fixed=(Argument("path", "text", "an audio file"),),
        keys=(
            Argument("start", "float", "where to begin in the file", unit="s", low=0, high=86400, default=0.0),
            Argument("seconds", "float", "how much to hear at most", unit="s", low=0.125, high=300, default=60.0),
        ),
    ),
    Command("prime/clear", "Forget what was heard. Waits for the jobs before it.", "`done`"),
)

COMMANDS: Mapping[str, Command] = {command.name: command for command in _TABLE}


def parse(address: str, values: Sequence[object]) -> Invocation:
    """Turn an OSC message into a checked command.

    Raises:
        CommandError: it cannot be; the error carries the command and the job id as far as they are known.
    """
    name = address.removeprefix(f"{NAMESPACE}/")
    command = COMMANDS.get(name) if name != address else None
    if command is None:
        raise CommandError(
            "unknown_command", f"unknown address {shown(address)}{_near_addresses(address, name)}", command=name[:64]
        )
    if len(values) == 1 and values[0] is None and not command.fixed:
        values = []  # OSCQuery has no type for no arguments but nil, so some clients send it
    arguments: dict[str, Value] = {}
    try:
        arguments.update(_fixed(command, values))
        for argument, value in _pairs(command, values[len(command.fixed) :]):
            if argument.name in arguments:
                raise CommandError("repeated_key", f"key {argument.name!r} came twice")
            arguments[argument.name] = argument.check(value)
    except CommandError as error:
        error.command = command.name
        error.job_id = _job_id(command, values)
        raise
    return Invocation(command, arguments)


def encode(invocation: Invocation) -> tuple[str, list[Value]]:
    """The OSC address and arguments of a command: what ``parse`` undoes."""
    command, arguments = invocation.command, invocation.arguments
    values = [arguments[argument.name] for argument in command.fixed]
    for key in command.keys:
        if key.name in arguments:
            values += [key.name, arguments[key.name]]
    return command.address, values


def find_property(name: str) -> Argument:
    """The property of that name.

    Raises:
        CommandError: there is none; the message names the near match and all of them.
    """
    if name not in PROPERTIES:
        raise CommandError("unknown_property", f"unknown property {shown(name)}{nearest(name, PROPERTIES)}")
    return PROPERTIES[name]


def check_property(name: str, value: Value) -> Value | None:
    """The checked new value of a property; None where it is given back to the preset.

    Raises:
        CommandError: no such property, or a value it cannot have.
    """
    argument = find_property(name)
    if value == PRESET_OWN and argument.default is None:
        return None
    return argument.check(value)


def shown(value: object) -> str:
    """A foreign value as it may stand in a message: printable and short."""
    text = repr(value[: _SHOWN_CHARACTERS + 1] if isinstance(value, (str, bytes)) else value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def command_table_markdown() -> str:
    """The commands, the properties and the codes of ``fail`` as the README's tables."""
    lines = ["| address | arguments | keys | what it does | answer |", "|---|---|---|---|---|"]
    for command in _TABLE:
        if command.sets:  # these stand in the table of properties
            continue
        fixed = ", ".join(_described(argument) for argument in command.fixed)
        keys = ", ".join(_described(argument) for argument in command.keys)
        lines.append(f"| `{command.address}` | {fixed} | {keys} | {command.help} | {command.answer} |")
    lines += ["", "| property | address | range | at start | what it is |", "|---|---|---|---|---|"]
    addresses = {command.sets: command.address for command in _TABLE}
    for name, argument in PROPERTIES.items():
        default = argument.default
        shown_default = "the preset's" if default is None else default if isinstance(default, str) else f"{default:g}"
        lines.append(
            f"| `{name}` | `{addresses[name]}` | {argument.range_text()} | {shown_default} | {argument.help} |"
        )
    lines += ["", "| code | meaning |", "|---|---|"]
    lines += [f"| `{code}` | {meaning} |" for code, meaning in FAIL_CODES.items()]
    return "\n".join(lines) + "\n"


def _fixed(command: Command, values: Sequence[object]) -> Iterator[tuple[str, Value]]:
    if len(values) < len(command.fixed):
        missing = command.fixed[len(values)]
        wanted = " ".join(argument.name for argument in command.fixed)
        raise CommandError("missing_argument", f"{missing.name} is missing; want {command.address} {wanted}")
    for argument, value in zip(command.fixed, values, strict=False):
        yield argument.name, argument.check(value)


def _pairs(command: Command, values: Sequence[object]) -> Iterator[tuple[Argument, object]]:
    keys = {key.name: key for key in command.keys}
    for index in range(0, len(values), 2):
        name = values[index]
        if not isinstance(name, str):
            raise CommandError("wrong_type", f"want the name of a key, got {shown(name)}{nearest('', keys)}")
        if name not in keys:
            raise CommandError("unknown_key", f"unknown key {shown(name)}{nearest(name, keys)}")
        if index + 1 == len(values):
            raise CommandError("missing_argument", f"key {name!r} has no value")
        yield keys[name], values[index + 1]


def _job_id(command: Command, values: Sequence[object]) -> int:
    """The job id that a faulty command names, as far as it can be told."""
    if command.fixed[:1] != (_ID,) or not values:
        return NO_ID
    try:
        return int(_ID.check(values[0]))
    except CommandError:
        return NO_ID


def _near_addresses(address: str, name: str) -> str:
    """The nearest one, and those beside it: all of them are too many for a message."""
    near = difflib.get_close_matches(address[:64], [each.address for each in _TABLE], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    group = f"{name.partition('/')[0]}/"
    beside = [each.name for each in _TABLE if each.name.startswith(group)]
    first_words = dict.fromkeys(each.name.partition("/")[0] for each in _TABLE)
    return f"{hint} Valid below {NAMESPACE}/: {', '.join(beside or first_words)}"


def nearest(name: str, known: Iterator[str] | Sequence[str] | Mapping[str, object]) -> str:
    choices = list(known)
    if not choices:
        return "; there are none"
    # difflib's cost grows with the product of the lengths.
    near = difflib.get_close_matches(name[:64], choices, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"{hint} Valid: {', '.join(choices)}"


def _described(argument: Argument) -> str:
    if argument.kind in ("text", "value") and not argument.choices:
        return f"`{argument.name}`"
    return f"`{argument.name}` ({argument.range_text()})"
