"""From a command with checked values to an OSC message."""

from __future__ import annotations

from bridge.protocol.types import Invocation, Value


def encode(invocation: Invocation) -> tuple[str, list[Value]]:
    """The OSC address and arguments of a command: what ``parse`` undoes."""
    command, arguments = invocation.command, invocation.arguments
    values = [arguments[argument.name] for argument in command.fixed]
    for key in command.keys:
        if key.name in arguments:
            values += [key.name, arguments[key.name]]
    return command.address, values
