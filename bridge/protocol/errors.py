"""Why a command is refused: codes of ``/melnet/fail``, and messages that name what came and what is valid."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Literal

NO_ID = -1
"""Stands for the id in an answer to a command that has none."""
_SHOWN_CHARACTERS = 60

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
    "bad_file": "the file is missing, empty, silent, too large, or no audio or MIDI",
    "unknown_preset": "the preset cannot be loaded",
    "no_input": "there is no audio input to listen to",
    "too_late": "it cannot be ready in time, and `late drop` was asked for",
    "cancelled": "the job was cancelled, or the daemon stopped",
    "player_died": "the player process died, or hung and was killed; it is being restarted",
    "failed": "an internal error; the daemon's log says which",
}

ANY_COMMAND: tuple[FailCode, ...] = (
    "unknown_command",
    "unknown_key",
    "repeated_key",
    "missing_argument",
    "wrong_type",
    "out_of_range",
    "too_long",
    "too_far_ahead",
    "busy",
    "cancelled",
    "failed",
)
"""Codes that any command may fail with."""


class CommandError(ValueError):
    """A command that cannot be carried out, with what ``/melnet/fail`` says about it."""

    def __init__(self, code: FailCode, message: str, *, command: str = "", job_id: int = NO_ID) -> None:
        super().__init__(message)
        self.code: FailCode = code
        self.command = command
        self.job_id = job_id


def shown(value: object) -> str:
    """A value that a client sent, as a message quotes it: printable and short."""
    text = repr(value[: _SHOWN_CHARACTERS + 1] if isinstance(value, (str, bytes)) else value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the most similar known name, and all of them."""
    choices = list(known)
    if not choices:
        return "; there are none"
    # difflib's cost grows with the product of the lengths.
    near = difflib.get_close_matches(name[:64], choices, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"{hint} Valid: {', '.join(choices)}"
