"""Whether what the daemon sends is what the reference says it sends."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.osc.datagrams import Message
from bridge.protocol.errors import ANY_COMMAND
from bridge.protocol.outgoing import ANSWERS, EVENTS, Outgoing
from bridge.protocol.table import COMMANDS
from bridge.protocol.types import NAMESPACE, Field, Kind

TYPES: dict[Kind, tuple[type, ...]] = {
    "float": (float, int),
    "int": (int,),
    "bool": (int,),  # Pure Data has no other
    "text": (str,),
    "value": (str, int, float, bool),
}


def check_documented(message: Message) -> None:
    """Assert that the table has a message with these values."""
    name, values = message.address.removeprefix(f"{NAMESPACE}/"), message.values
    if name == "event":
        event, values = EVENTS[str(values[0])], values[1:]
        _check_outgoing(event, values)
    elif name.endswith(".reply"):
        command = COMMANDS[name.removesuffix(".reply")]
        assert name in command.answers, name
        _check_fields(name, command.reply, values)
    else:
        _check_outgoing(ANSWERS[name], values)


def _check_outgoing(message: Outgoing, values: Sequence[object]) -> None:
    given = dict(zip((field.name for field in message.fields), values, strict=False))
    command = COMMANDS.get(str(given.get("command", "")))
    fields = message.fields
    if message.differs:
        assert command, values
        fields = (*fields, *command.done)
    if message.name == "fail" and command:
        assert given["code"] in (*ANY_COMMAND, *command.fails), values
    _check_fields(message.name, fields, values)


def _check_fields(name: str, fields: Sequence[Field], values: Sequence[object]) -> None:
    """What has no condition is there, nothing else is, and all have their types and their order."""
    said, left = f"{name} {values}", list(values)
    for field in fields:
        found = 0
        while left and _begins(left[0], field) and (field.repeated or not found):
            if field.named:
                left.pop(0)
            assert left, said
            assert _has_kind(left.pop(0), field.kind), (field.name, said)
            found += 1
        assert found or field.when or field.repeated, (field.name, said)
    assert not left, said


def _begins(value: object, field: Field) -> bool:
    return not field.named or value == field.name or field.name.startswith("<")


def _has_kind(value: object, kind: Kind) -> bool:
    return isinstance(value, TYPES[kind]) and (bool in TYPES[kind] or not isinstance(value, bool))
