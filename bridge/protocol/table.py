"""The one table of commands and properties: parsing, checking, encoding and the reference are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bridge.clock.transport import FASTEST_BPM, GRIDS, SLOWEST_BPM
from bridge.protocol.clock_arguments import CLOCK, CLOCK_OFFSET, CLOCK_OUT
from bridge.protocol.errors import FailCode
from bridge.protocol.outgoing import (
    EDIT_DONE,
    JOB_ANSWERS,
    JOB_DONE,
    LISTED_TAKE,
    LOAD_DONE,
    MIDI_MAP_ENTRY,
    PROPERTY,
    STATUS,
    TAPE_PART,
    TRANSPORT,
    VARIED_DONE,
)
from bridge.protocol.plan_arguments import NOTES_FILE, PLAN, PLAN_SETTINGS, RENEW
from bridge.protocol.repaint_arguments import START, STOP
from bridge.protocol.surprise_arguments import SURPRISE_LEVEL, SURPRISE_PROPERTIES
from bridge.protocol.take_arguments import TAKE, VARIATIONS
from bridge.protocol.types import (
    CURVES,
    FOLLOW_CHOICES,
    INT32_MAX,
    LATE_CHOICES,
    PRESET_OWN,
    Argument,
    Command,
    Field,
)

# Bounds are exact in float32, so that a bound sent over the wire is inside.
SECONDS = Argument("seconds", "float", "length of the new audio", unit="s", low=0.125, high=300, default=8.0)
SEED = Argument(
    "seed",
    "int",
    "seed of the next take; goes up by one with every take that names none, and with each of its alternatives",
    low=0,
    high=INT32_MAX,
    default=1,
)
TEMPERATURE = Argument(
    "temperature",
    "float",
    "scales the standard deviations that are drawn from: less is safer, more is wilder",
    low=0.0625,
    high=2,
)
BIAS = Argument("bias", "float", "sharpens the choice between mixture components: more is safer", low=0, high=10)
LEAD = Argument(
    "lead", "float", "how much of what was heard is played before the new audio", unit="s", low=0, high=60, default=0.0
)
TAIL = Argument(
    "tail", "float", "how much of what was heard is played after the repainted part", unit="s", low=0, high=60,
    default=0.0,
)  # fmt: skip
CHUNK_FRAMES = Argument(
    "chunk_frames", "int", "frames generated together: fewer start sooner, more are cheaper", unit="frames",
    low=1, high=1024,
)  # fmt: skip
LEVEL = Argument("level", "float", "linear gain of the output", low=0, high=1, default=1.0)
TEMPO = Argument(
    "tempo", "float", "quarter notes a minute", unit="bpm", low=SLOWEST_BPM, high=FASTEST_BPM, default=120.0
)
METER = Argument("meter", "text", "such as 4/4 or 6/8; changes on the next bar line", longest=8, default="4/4")
QUANTISE = Argument(
    "quantise", "text", "the line of the grid that a take begins on; `none`: at once", choices=GRIDS, default="none"
)
LATE = Argument(
    "late",
    "text",
    "what becomes of a take that misses its line: `play` it as soon as it is ready, on the `next` line, or `drop` it",
    choices=LATE_CHOICES,
    default="next",
)
INPUT_OFFSET = Argument(
    "input_offset",
    "float",
    "how much later than the reported latencies the input is put on the tape; below 0: earlier",
    unit="ms",
    low=-500,
    high=500,
    default=0.0,
)
FOLLOW = Argument(
    "follow",
    "text",
    "what a take does with the notes that are played meanwhile: `off` ignores them; `free` plays them, and improvises "
    "while none sounds; `rest` plays them and is silent otherwise",
    choices=FOLLOW_CHOICES,
    default="off",
)
AHEAD = Argument(
    "ahead", "float", "how far ahead of playback a take that follows notes is made; more where the engine is slow",
    unit="s", low=0, high=30, default=0.25,
)  # fmt: skip
AT_BAR = Argument("at_bar", "int", "begin on this bar; the first is 1", low=1, high=1_000_000)
BARS = Argument("bars", "int", "length of the new audio in bars, instead of `seconds`", low=1, high=64)
FROM_BAR = Argument("from_bar", "int", "the first bar; bars count from 1", low=1, high=1_000_000)
TO_BAR = Argument("to_bar", "int", "the last bar, included", low=1, high=1_000_000)
AT_BEAT = Argument("at_beat", "float", "with `at_bar`: on this beat of the bar; the first is 1", low=1, high=64)

PROPERTIES: Mapping[str, Argument] = {
    argument.name: argument
    for argument in (
        LEVEL, TEMPO, METER, CLOCK, CLOCK_OFFSET, CLOCK_OUT, QUANTISE, LATE, SEED, SECONDS, TEMPERATURE, BIAS,
        CHUNK_FRAMES, LEAD, TAIL, FOLLOW, AHEAD, PLAN, *PLAN_SETTINGS, INPUT_OFFSET, *SURPRISE_PROPERTIES,
    )
}  # fmt: skip
"""What ``get`` and ``set`` know: level and transport, and the defaults of every job."""

ID = Argument("id", "int", "your own number for the job", low=0, high=INT32_MAX)
_NAME = Argument("name", "text", "name of a property", longest=64)
_PATH = Argument("path", "text", "the WAV file to write")
_HOW = (SEED, TEMPERATURE, BIAS, CHUNK_FRAMES)
_PLANNED = (PLAN, *PLAN_SETTINGS)
_NOTES = (FOLLOW, AHEAD, *_PLANNED)
_WHEN = (QUANTISE, AT_BAR, AT_BEAT, LATE)
_OF_THE_TAKE = tuple(replace(each, default=None, help=f"{each.help}; none: the take's") for each in PLAN_SETTINGS)
_NEXT_SEED = "seed of the new take; none: the one after its own"
_SETTERS = tuple(
    Command(
        f"set/{name}",
        argument.help,
        fixed=(replace(argument, or_word=PRESET_OWN if argument.default is None else ""),),
        done=(PROPERTY,),
        fails=("refused",) if name in ("tempo", "clock", SURPRISE_LEVEL.name) else (),
        sets=name,
    )
    for name, argument in PROPERTIES.items()
)
"""One address a property, for controllers that send a value and nothing else."""
_JOB_FAILS: tuple[FailCode, ...] = ("id_in_use", "refused", "too_late", "cancelled", "player_died")

GROUPS: Mapping[str, tuple[Command, ...]] = {
    "Make a take": (
        Command(
            "continue",
            "Continue what was heard.",
            JOB_ANSWERS,
            fixed=(ID,),
            keys=(SECONDS, BARS, *_HOW, LEAD, *_NOTES, *_WHEN, VARIATIONS),
            done=VARIED_DONE,
            fails=_JOB_FAILS,
            example="1 seconds 8.0 seed 7 quantise bar",
        ),
        Command(
            "generate",
            "Play something new, whatever was heard.",
            JOB_ANSWERS,
            fixed=(ID,),
            keys=(SECONDS, BARS, *_HOW, *_NOTES, *_WHEN),
            done=JOB_DONE,
            fails=_JOB_FAILS,
            example="2 bars 4",
        ),
        Command(
            "inpaint",
            "Repaint bars of the tape in place: a loop plays the new sound from its next pass on. Or, with `start` and "
            "`stop`, repaint a part of what was heard, and play it.",
            JOB_ANSWERS,
            fixed=(ID,),
            keys=(FROM_BAR, TO_BAR, START, STOP, *_HOW, LEAD, TAIL, *_PLANNED, *_WHEN, VARIATIONS),
            done=VARIED_DONE,
            fails=_JOB_FAILS,
            example="3 from_bar 3 to_bar 4",
        ),
        Command(
            "cancel",
            "Drop your job; if it sounds, fade it out. The job itself is answered by `fail` with `cancelled`. The "
            "alternatives that were asked for with it and are not made yet are dropped too, also when it is over.",
            fixed=(ID,),
            keys=(replace(TAKE, help="only this one of its alternatives"),),
            fails=("unknown_id", "player_died"),
            example="1",
        ),
        Command(
            "panic",
            "Silence at once; drop the jobs of all clients and all bundles that wait for their time.",
            fails=("player_died",),
        ),
    ),
    "What the model hears": (
        Command(
            "listen/start", "Prime the model with the audio input, as it is played.", fails=("no_input", "player_died")
        ),
        Command("listen/stop", "Stop listening to the audio input.", fails=("no_input", "player_died")),
        Command(
            "prime/file",
            "Prime the model with an audio file inside the allowed folders. Waits for the jobs before it.",
            fixed=(Argument("path", "text", "an audio file"),),
            keys=(
                Argument("start", "float", "where to begin in the file", unit="s", low=0, high=86400, default=0.0),
                Argument("seconds", "float", "how much to hear at most", unit="s", low=0.125, high=300, default=60.0),
            ),
            done=(Field("seconds", "float", "how much was heard", "s"),),
            fails=("forbidden_path", "bad_file", "refused", "player_died"),
            example="piece.wav seconds 20.0",
        ),
        Command(
            "prime/clear", "Forget what was heard. Waits for the jobs before it.", fails=("refused", "player_died")
        ),
    ),
    "Loop and tape": (
        Command(
            "loop/start",
            "Repeat bars of the tape: what came in and what was made. Begins on the next line.",
            fixed=(FROM_BAR, TO_BAR),
            keys=(QUANTISE,),
            done=EDIT_DONE,
            fails=("refused", "player_died"),
            example="1 8",
        ),
        Command(
            "loop/stop",
            "End the loop on the next line.",
            keys=(QUANTISE,),
            done=EDIT_DONE,
            fails=("refused", "player_died"),
            example="quantise beat",
        ),
        Command(
            "tape",
            "What lies where on the tape, one reply a part.",
            ("tape.reply", "done"),
            reply=TAPE_PART,
            done=(Field("parts", "int", "how many replies there were"),),
        ),
        Command(
            "tape/export",
            "Write bars of the tape into an allowed folder, as the loop would play them: a WAV file, a JSON file with "
            "bars, tempo, meter and takes, log-mel frames (`.npz`), and a MIDI file of what notes are known. Waits for "
            "the jobs before it.",
            fixed=(FROM_BAR, TO_BAR, _PATH),
            done=(
                Field("seconds", "float", "length of the bars", "s"),
                Field("file", "text", "the WAV file that was written"),
            ),
            fails=("forbidden_path", "bad_file", "refused", "player_died"),
            example="1 8 loop.wav",
        ),
    ),
    "Takes and changes of the tape": (
        Command(
            "take/list",
            "The last takes of this session, one reply each.",
            ("take/list.reply", "done"),
            reply=LISTED_TAKE,
            done=(Field("takes", "int", "how many replies there were"),),
        ),
        Command("take/undo", "Undo the last change of the tape.", done=EDIT_DONE, fails=("refused", "player_died")),
        Command("take/redo", "Redo the change that was undone last.", done=EDIT_DONE, fails=("refused", "player_died")),
        Command(
            "take/recall",
            "Put a take back on the bars of the tape that it was made for: in place of the take that it is an "
            "alternative to, or of another alternative, where one of them is what the tape plays there.",
            fixed=(TAKE,),
            done=EDIT_DONE,
            fails=("unknown_take", "refused", "bad_file", "player_died"),
            example="12",
        ),
        Command(
            "take/play",
            "Play a take once more, the last one if none is named: an alternative, or one that was heard. Not one that "
            "repaints bars of the tape, see `take/recall`.",
            JOB_ANSWERS,
            fixed=(ID,),
            keys=(TAKE, *_WHEN),
            done=JOB_DONE,
            fails=("unknown_take", "bad_file", *_JOB_FAILS),
            example="6 take 12 quantise bar",
        ),
        Command(
            "take/reroll",
            "Make a take again, the last one if none is named: from what it was made from, with another seed. With "
            "`renew notes`, plan its notes anew, with its own settings where none are given.",
            JOB_ANSWERS,
            fixed=(ID,),
            keys=(TAKE, replace(SEED, default=None, help=_NEXT_SEED), RENEW, *_OF_THE_TAKE, *_WHEN),
            done=JOB_DONE,
            fails=("unknown_take", "bad_file", *_JOB_FAILS),
            example="4 take 12 renew notes",
        ),
        Command(
            "take/render",
            "Make a take again, the last one if none is named, with the `notes` of a MIDI file: as `take/export` wrote "
            "them, and somebody changed them. With its own seed if none is given.",
            JOB_ANSWERS,
            fixed=(ID,),
            keys=(TAKE, NOTES_FILE, replace(SEED, default=None, help="seed of the new take; none: its own"), *_WHEN),
            done=JOB_DONE,
            fails=("unknown_take", "forbidden_path", "bad_file", *_JOB_FAILS),
            example="5 take 12 notes mine.mid",
        ),
        Command(
            "take/export",
            "Copy a take's WAV file, what `render` needs to make it again, and a MIDI file of the notes that it was "
            "given, into an allowed folder.",
            fixed=(TAKE, _PATH),
            done=(
                Field("take", "int", "number of the take"),
                Field("file", "text", "the WAV file that was written"),
            ),
            fails=("unknown_take", "refused", "forbidden_path", "bad_file"),
            example="12 best.wav",
        ),
    ),
    "Notes": (
        Command(
            "note",
            "A key is struck, or released with velocity 0: for a take that follows, or for a phrase.",
            fixed=(
                Argument("key", "int", "MIDI note number; 60 is middle C", low=0, high=127),
                Argument("velocity", "int", "0: released", low=0, high=127),
            ),
            done=(Field("key", "int", "as it was sent"), Field("velocity", "int", "as it was sent")),
            fails=("player_died",),
            example="60 90",
        ),
        Command(
            "pedal",
            "The sustain pedal: what sounds goes on until it is up.",
            fixed=(Argument("down", "bool", "whether it is down"),),
            done=(Field("down", "bool", "as it was sent"),),
            fails=("player_died",),
            example="1",
        ),
        Command(
            "notes/prompt/start",
            "Play a phrase for the model: it begins with its first note. `continue` ends it too, and goes on from it.",
            fails=("player_died",),
        ),
        Command(
            "notes/prompt/stop",
            "End the phrase: the model renders it, and has heard it. Waits for the jobs before it.",
            keys=(SEED,),
            done=(
                Field("notes", "int", "how many notes the phrase had"),
                Field("seconds", "float", "its length", "s"),
            ),
            fails=("refused", "cancelled", "player_died"),
            example="seed 3",
        ),
    ),
    "Bars and tempo": (
        Command(
            "transport",
            "Where the music is: bar, beat, tempo, meter; which clock is followed, and its state.",
            ("transport.reply",),
            reply=TRANSPORT,
        ),
        Command(
            "transport/locate",
            "Make it this bar now; what waits for a line waits for the same bar and beat.",
            fixed=(Argument("bar", "int", "the first is 1", low=1, high=1_000_000),),
            keys=(Argument("beat", "float", "of the bar; the first is 1", low=1, high=64, default=1.0),),
            done=TRANSPORT,
            fails=("refused",),
            example="1",
        ),
    ),
    "Presets": (
        Command(
            "load",
            "Load a preset; it is primed with the last minute that was heard. A take that sounds goes on with it from "
            "a line on; `started` comes only then.",
            ("done", "started"),
            fixed=(Argument("preset", "text", "name or folder of a preset", longest=512),),
            keys=_WHEN,
            done=LOAD_DONE,
            fails=("unknown_preset", "refused", "too_late", "cancelled", "player_died"),
            example="music quantise bar",
        ),
        Command(
            "presets",
            "Which presets there are.",
            ("presets.reply",),
            reply=(Field("<preset>", "text", "the preset's name, then its title", repeated=True),),
            fails=("player_died",),
        ),
    ),
    "Properties": (
        Command(
            "get",
            "Value of a property.",
            ("get.reply",),
            fixed=(_NAME,),
            reply=(PROPERTY,),
            fails=("unknown_property",),
            example="tempo",
        ),
        Command(
            "set",
            f"Set a property; the word `{PRESET_OWN}` gives it back to the preset. Every property also has an "
            "address of its own.",
            fixed=(_NAME, Argument("value", "value", "its new value", longest=64)),
            done=(PROPERTY,),
            fails=("unknown_property", "refused"),
            example="tempo 96.0",
        ),
        *_SETTERS,
    ),
    "MIDI controllers": (
        Command(
            "midi/learn",
            "Give a property the MIDI control that is moved next, for good. `done` comes once one is moved.",
            fixed=(_NAME,),
            keys=(
                Argument("low", "float", "value with the control all the way down", low=-1024, high=65536),
                Argument("high", "float", "value with the control all the way up", low=-1024, high=65536),
                Argument(
                    "curve",
                    "text",
                    "equal differences, equal ratios, or the next value with every press",
                    choices=CURVES,
                ),
            ),
            done=(Field("name", "text", "the property"), Field("control", "text", "the control that sets it now")),
            fails=("unknown_property", "refused", "bad_file", "cancelled"),
            example="tempo low 80 high 160",
        ),
        Command(
            "midi/forget",
            "Remove the learned controls of a property.",
            fixed=(_NAME,),
            done=(Field("name", "text", "the property"),),
            fails=("unknown_property", "refused"),
            example="tempo",
        ),
        Command(
            "midi/map",
            "What the MIDI controls do, one reply each.",
            ("midi/map.reply", "done"),
            reply=MIDI_MAP_ENTRY,
            done=(Field("entries", "int", "how many replies there were"),),
        ),
    ),
    "Answers and events": (
        Command(
            "subscribe",
            "Receive the value of every property at once; then changes of properties, the answers of everybody's jobs, "
            "and news of player, sound device, clock, MIDI and tape, until the lease ends.",
            ("done", "event"),
            keys=(
                Argument(
                    "lease", "float", "subscribe again before it is over", unit="s", low=1, high=3600, default=60.0
                ),
            ),
            done=(Field("lease", "float", "how long events come", "s"),),
            example="lease 600.0",
        ),
        Command("unsubscribe", "Receive no more events."),
        Command(
            "sync",
            "Be told when all your commands before this one are carried out; jobs are not waited for.",
            ("synced",),
            fixed=(ID,),
            example="1",
        ),
        Command(
            "reply",
            "Have your answers sent to another port of your machine, or of a `host` that `serve --reply-host` names; "
            "port 0: to the port that you send from.",
            fixed=(Argument("port", "int", "a UDP port", low=0, high=65535),),
            keys=(Argument("host", "text", "a host that was named", longest=255),),
            done=(
                Field("port", "int", "as it was sent"),
                Field("host", "text", "as it was sent", when="one was sent"),
            ),
            fails=("refused",),
            example="9200",
        ),
    ),
    "The daemon": (
        Command("ping", "Check that the daemon runs.", ("pong",)),
        Command(
            "version",
            "Version of the daemon.",
            ("version.reply",),
            reply=(Field("version", "text", "such as 0.1.0", named=False),),
        ),
        Command(
            "status",
            "Preset, engine, sound device, listening, jobs, underruns.",
            ("status.reply",),
            reply=STATUS,
        ),
    ),
}
"""Every command, under the heading that the reference gives it."""

COMMANDS: Mapping[str, Command] = {command.name: command for group in GROUPS.values() for command in group}
