"""From an OSC message to a command with checked values.

Fixed arguments come first, in order; then key-value pairs in any order. Clients that only know floats (Pure Data) are
served: 7.0 stands for 7, 0 and 1 stand for false and true, and whole numbers stand for floats.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from bridge.protocol.errors import NO_ID, CommandError, nearest, shown
from bridge.protocol.table import COMMANDS, ID, PROPERTIES
from bridge.protocol.types import NAMESPACE, PRESET_OWN, Argument, Command, Invocation, Value


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
    if command.fixed[:1] != (ID,) or not values:
        return NO_ID
    try:
        return int(ID.check(values[0]))
    except CommandError:
        return NO_ID


def _near_addresses(address: str, name: str) -> str:
    """The nearest one, and those beside it: all of them are too many for a message."""
    near = difflib.get_close_matches(address[:64], [each.address for each in COMMANDS.values()], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    group = f"{name.partition('/')[0]}/"
    beside = [each.name for each in COMMANDS.values() if each.name.startswith(group)]
    first_words = dict.fromkeys(each.name.partition("/")[0] for each in COMMANDS.values())
    return f"{hint} Valid below {NAMESPACE}/: {', '.join(beside or first_words)}"
