"""What the daemon sends: answers to commands, replies to queries, and events to subscribers, with their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.protocol.types import NAMESPACE, Field

BAR = Field("bar", "int", "bar; the first is 1")
BEAT = Field("beat", "float", "beat of that bar, in quarter notes; the first is 1")


def place(when: str) -> tuple[Field, ...]:
    """Bar and beat, which are sent under a condition."""
    return Field("bar", "int", BAR.help, when=when), Field("beat", "float", BEAT.help, when=when)


JOB_DONE = (
    Field("seed", "int", "seed of the take"),
    Field("seconds", "float", "length of the take", "s"),
    *place("the take waits for a line, or will be played by the loop"),
    Field("start_in", "float", "from now until it sounds", "s", when="a sound device is open"),
    Field("ready_in", "float", "from now until enough of it is made to play it", "s", when="a sound device is open"),
)
VARIED_DONE = (
    *JOB_DONE,
    Field("variations", "int", "how many takes are made", when="more than one was asked for"),
    Field(
        "variations_in",
        "float",
        "from now until all of them are made, if nothing else comes",
        "s",
        when="more than one was asked for",
    ),
)
LOAD_DONE = (
    Field("preset", "text", "name of the preset"),
    Field("real_time_factor", "float", "seconds of audio made in a second"),
    *place("a take sounds: where the preset takes it over"),
    Field("start_in", "float", "from now until the preset takes over", "s", when="a take sounds"),
)
EDIT_DONE = (
    Field("edits", "int", "takes that are on the tape now"),
    *place("a loop plays: from where the change is heard"),
)
TRANSPORT = (
    BAR,
    BEAT,
    Field("tempo", "float", "quarter notes a minute", "bpm"),
    Field("meter", "text", "such as 4/4"),
    Field("clock", "text", "which clock is followed: `internal`, `midi` or `link`"),
    Field("state", "text", "of that clock: `waiting`, `running`, `stopped` or `lost`"),
)
STATUS = (
    Field("player", "text", "the process with the model: `ready`, `loading` or `dead`"),
    Field("preset", "text", "the loaded preset"),
    Field("digest", "text", "fingerprint of its weights; empty while none is loaded"),
    Field("engine", "text", "the engine that computes the model; empty while none is loaded"),
    Field("engine_why", "text", "why it is that one, where `--engine auto` chose it or another failed; else empty"),
    Field("real_time_factor", "float", "seconds of audio made in a second; 0 while none is loaded"),
    Field("plans", "bool", "whether the preset has notes planned where `plan` is `preset`"),
    Field("output", "text", "output device and sample rate, `starting`, or `none` and why"),
    Field("input", "text", "input device and sample rate, `starting` or `none`"),
    Field("midi_in", "text", "open MIDI inputs, or `none`"),
    Field("midi_out", "text", "open MIDI outputs, or `none`"),
    Field("clock_out", "text", "MIDI outputs that a clock is sent to, or `none`"),
    Field("notes_out", "text", "MIDI outputs that planned notes are sent to, or `none`"),
    Field("listening", "bool", "whether the audio input is listened to"),
    Field("heard", "float", "how much the model has heard", "s"),
    Field("missed_input", "float", "input that was lost because the machine was busy", "s"),
    Field("jobs", "int", "jobs that wait, are made or sound, of all clients"),
    Field("held", "int", "commands of bundles whose time has not come"),
    Field("load", "float", "processor time that the player takes: 1 keeps one core busy"),
    Field("underruns", "int", "how often the output had nothing to play while a take sounded"),
    Field("missing_samples", "int", "samples that were missing then", "samples"),
    Field("dropped_datagrams", "int", "datagrams that came too fast and were dropped"),
    Field("takes", "text", "folder that takes are written to"),
)
LISTED_TAKE = (
    Field("take", "int", "number of the take"),
    Field("kind", "text", "`continue`, `generate` or `inpaint`"),
    Field("seed", "int", "its seed"),
    Field("seconds", "float", "its length", "s"),
    Field("on_tape", "bool", "whether the tape plays it now"),
    Field("file", "text", "its WAV file; empty: it could not be written"),
    Field("from_bar", "int", "first bar that it repaints", when="it repaints bars of the tape"),
    Field("to_bar", "int", "last bar that it repaints", when="it repaints bars of the tape"),
    Field("variation_of", "int", "number of the take that it is an alternative to", when="it is one"),
    Field("ready", "bool", "whether it is made", when="it is an alternative"),
    Field("plays", "int", "number of the take that it played once more", when="`take/play` played it"),
)
TAPE_PART = (
    Field("part", "text", "`heard`, `made`, `repainted` or `loop`; later replies lie over earlier ones"),
    Field("take", "int", "number of the take that it is of; 0: of none"),
    Field("from_bar", "int", "bar where it begins"),
    Field("from_beat", "float", "beat of that bar; the first is 1"),
    Field("to_bar", "int", "bar where it ends; of a take that sounds: where the music is"),
    Field("to_beat", "float", "beat of that bar"),
    Field("pass_bar", "int", "bar where a pass begins", when="it is the loop"),
    Field("pass_beat", "float", "beat of that bar", when="it is the loop"),
)
MIDI_MAP_ENTRY = (
    Field("control", "text", "the MIDI control"),
    Field("does", "text", "what it sets or triggers"),
    Field("from", "text", "the mapping file, or `preset`"),
)
PROPERTY = Field("<property>", "value", "the property's name, then its value; `preset`: left to the preset")

_STARTED = (
    Field("waited", "float", "since the command came", "s", when="a job sounds"),
    Field("latency", "float", "output latency that the device reports", "s", when="a job sounds"),
    Field("preset", "text", "the preset that plays from here on", when="the command is `load`"),
    Field("take", "int", "number of the take that goes on with it", when="`load` took over a take"),
    Field("real_time_factor", "float", "seconds of audio made in a second", when="the take ended before `load`'s line"),
    *place("it begins on a line, or `load` took over a take"),
)
_PROGRESS = (
    Field("generated", "float", "how much is made", "s"),
    Field("played", "float", "how much was played", "s"),
    Field("of", "float", "length of the take", "s"),
)
_HANDED = (
    Field("take", "int", "number of the take that ends here"),
    Field("seconds", "float", "its length", "s"),
    Field("seed", "int", "its seed"),
    Field("gaps", "int", "gaps in its sound"),
    Field("missing_samples", "int", "samples that these lasted", "samples"),
    Field("file", "text", "its WAV file; empty: it could not be written"),
    Field("goes_on_as", "int", "number of the take that goes on from it"),
    BAR,
    BEAT,
)
_FINISHED = (
    Field("take", "int", "number of the take in this session, for `take/...`"),
    Field("seconds", "float", "its length", "s"),
    Field("seed", "int", "its seed"),
    Field("sounded", "bool", "whether it went to the sound device"),
    Field("gaps", "int", "gaps in its sound"),
    Field("missing_samples", "int", "samples that these lasted", "samples"),
    Field("file", "text", "its WAV file; empty: it could not be written"),
    Field("follows", "int", "number of the take that it goes on from", when="a `load` took over that take"),
    *place("it is on the tape and a loop plays: from where it is heard"),
)
_VARIATION = (
    Field("take", "int", "its number, for `take/...`"),
    Field("variation_of", "int", "number of the job's take"),
    Field("seed", "int", "its seed"),
    Field("ready", "bool", "whether it is made; else it will not be"),
    Field("seconds", "float", "its length", "s", when="it is made"),
    Field("file", "text", "its WAV file", when="it is made"),
    Field("code", "text", "one of the error codes", when="it will not be made"),
    Field("why", "text", "the reason, in a sentence", when="it will not be made"),
    Field("left", "int", "how many of the job's alternatives are still to be made"),
)
_COMMAND = Field("command", "text", f"what was asked for, without `{NAMESPACE}/`", named=False)
_ID = Field("id", "int", "your id for the job; -1: the command has none", named=False)
_MESSAGE = Field("message", "text", "what happened, in a sentence", named=False)
_CODE = Field("code", "text", "one of the error codes", named=False)
_SENDER = Field("sender", "text", "`host:port` of the client; `midi:0`: a MIDI controller", named=False)


@dataclass(frozen=True)
class Outgoing:
    """A message that the daemon sends: an answer, at its own address, or an event, after its name."""

    name: str
    help: str
    fields: tuple[Field, ...] = ()
    differs: bool = False
    """Whether named values that depend on the command follow."""


def _by_name(*messages: Outgoing) -> Mapping[str, Outgoing]:
    return {message.name: message for message in messages}


ANSWERS = _by_name(
    Outgoing("pong", "The daemon runs."),
    Outgoing(
        "done",
        "The command is carried out; a job is accepted. What follows is listed with each command.",
        (_COMMAND, _ID),
        differs=True,
    ),
    Outgoing("started", "The job sounds; of `load`: the preset plays.", (_COMMAND, _ID, *_STARTED)),
    Outgoing("progress", "How far a job is, twice a second.", (_COMMAND, _ID, *_PROGRESS)),
    Outgoing(
        "handed",
        "A `load` ends the job's take on a line; the job goes on as another take, made with the new preset.",
        (_COMMAND, _ID, *_HANDED),
    ),
    Outgoing("finished", "The job is over: its take was played, and is written.", (_COMMAND, _ID, *_FINISHED)),
    Outgoing(
        "variation",
        "An alternative to the job's take is made, or will not be; also after the job is over.",
        (_COMMAND, _ID, *_VARIATION),
    ),
    Outgoing("warning", "The command or job goes on, but not quite as asked.", (_COMMAND, _ID, _MESSAGE)),
    Outgoing(
        "fail",
        "The command or job is not carried out. `command` is empty where the datagram could not be read.",
        (_COMMAND, _ID, _CODE, _MESSAGE),
    ),
    Outgoing(
        "synced",
        "All your commands before that `sync` are carried out.",
        (Field("id", "int", "the id that you sent", named=False),),
    ),
)
JOB_ANSWERS = ("done", "started", "progress", "finished")
"""What a job is answered by, unless it fails; `handed`, `variation` and `warning` may come besides."""

EVENTS = _by_name(
    *(
        Outgoing(
            answer.name,
            "The same answer of anybody's job."
            if answer.name != "fail"
            else "The same answer of anybody's job, and of any command of a MIDI controller.",
            (_SENDER, *answer.fields),
            answer.differs,
        )
        for answer in ANSWERS.values()
        if answer.name not in ("pong", "synced")
    ),
    Outgoing("property", "A property has this value now; on subscribing, one event a property.", (PROPERTY,)),
    Outgoing(
        "player",
        "The process with the model has loaded a preset, or has died and is started again.",
        (
            Field("state", "text", "`ready` or `died`", named=False),
            Field("preset", "text", "the loaded preset", when="ready", named=False),
            Field("digest", "text", "fingerprint of its weights", when="ready", named=False),
        ),
    ),
    Outgoing(
        "sound",
        "The output device was opened, or is gone.",
        (Field("device", "text", "device and sample rate; `none` and why; or `gone`", named=False),),
    ),
    Outgoing(
        "clock",
        "The clock that is followed has another state.",
        (
            Field("clock", "text", "`internal`, `midi` or `link`", named=False),
            Field("state", "text", "`waiting`, `running`, `stopped` or `lost`", named=False),
        ),
    ),
    Outgoing(
        "midi",
        "MIDI ports were opened or have gone, or a preset's MIDI map cannot be used.",
        (
            Field("in", "text", "open inputs, or `none`", when="ports have changed"),
            Field("out", "text", "open outputs, or `none`", when="ports have changed"),
            Field("problem", "text", "what is wrong with the map", when="it cannot be used"),
        ),
    ),
    Outgoing(
        "plan",
        "A planned note is going to sound, of a take whose place in time is known; not without a sound device.",
        (
            Field("take", "int", "number of the take"),
            Field("key", "int", "MIDI note number"),
            Field("velocity", "int", "MIDI velocity"),
            BAR,
            BEAT,
            Field("beats", "float", "how long it lasts, in quarter notes"),
            Field("start_in", "float", "from now until it sounds", "s"),
        ),
    ),
    Outgoing(
        "surprise",
        "How surprising to the model a chunk of what it hears is; with the property `surprise` on.",
        (
            Field("nats", "float", "minus the log density of a bin", "nats"),
            Field("over_usual", "float", "above the median of the last minute", "nats"),
        ),
    ),
    Outgoing(
        "tape",
        "Other takes are on the tape.",
        (Field("take", "int", "number of a take that is on it", repeated=True),),
    ),
    Outgoing(
        "blank",
        "The tape is blank: its sound, loop and edits are gone.",
        (Field("why", "text", "the reason", named=False),),
    ),
)
