"""How the notes of takes are planned, and planned or given anew: properties, and keys of commands that make takes."""

from __future__ import annotations

from bridge.protocol.types import PRESET_OWN, RENEW_CHOICES, Argument

PLAN = Argument(
    "plan",
    "text",
    "whether the notes of a take are planned first, on the beat grid, and then played; `preset`: if the preset that "
    "plays it is made so; not of one that follows notes",
    choices=(PRESET_OWN, "off", "on"),
    default=PRESET_OWN,
)
PLAN_TEMPERATURE = Argument(
    "plan_temperature", "float", "of the planned notes: 1 as trained, less is tamer", low=0.0625, high=4, default=1.0
)
DENSITY = Argument(
    "density", "float", "planned notes a beat, relative to what was heard", low=0.125, high=8, default=1.0
)
SCALE = Argument(
    "scale", "text", "what planned notes keep to: `free`, or a key such as c major or f# dorian", longest=24,
    default="free",
)  # fmt: skip
REGISTER = Argument(
    "register", "float", "how much higher planned notes are than what was heard", unit="semitones", low=-36, high=36,
    default=0.0,
)  # fmt: skip
PLAN_SETTINGS = (PLAN_TEMPERATURE, DENSITY, SCALE, REGISTER)
RENEW = Argument(
    "renew", "text", "what is drawn anew: the `sound` of the same notes; or the planned `notes`, and so their sound",
    choices=RENEW_CHOICES, default="sound",
)  # fmt: skip
NOTES_FILE = Argument("notes", "text", "a MIDI file inside the allowed folders: what the take plays instead of its own")
