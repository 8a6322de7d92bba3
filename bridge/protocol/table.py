"""The one table of commands and properties: parsing, checking, encoding and the reference are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bridge.clock.transport import FASTEST_BPM, GRIDS, SLOWEST_BPM
from bridge.protocol.types import (
    CLOCKS,
    CURVES,
    FOLLOW_CHOICES,
    INT32_MAX,
    JOB_ANSWER,
    LATE_CHOICES,
    PRESET_OWN,
    Argument,
    Command,
)

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

ID = Argument("id", "int", "your own number for the job", low=0, high=INT32_MAX)
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
        JOB_ANSWER,
        fixed=(ID,),
        keys=(SECONDS, BARS, *_HOW, LEAD, *_NOTES, *_WHEN),
    ),
    Command(
        "generate",
        "Play something from nothing.",
        JOB_ANSWER,
        fixed=(ID,),
        keys=(SECONDS, BARS, *_HOW, *_NOTES, *_WHEN),
    ),
    Command(
        "inpaint",
        "Repaint bars of the tape, in place: the loop plays it from its next pass on. Or, with `start` and `stop`, "
        "a part of what was heard, to be played.",
        JOB_ANSWER,
        fixed=(ID,),
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
        JOB_ANSWER,
        fixed=(ID,),
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
    Command("cancel", "Drop your job; if it sounds, fade it out.", "`done`; the job's own `fail`", fixed=(ID,)),
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
        fixed=(ID,),
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
