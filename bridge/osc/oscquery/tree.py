"""The table of commands as OSCQuery describes an address space: https://github.com/Vidvox/OSCQueryProposal.

Pure: JSON values out of the table and the values of the properties. A node may be a method and a container at once,
as ``/melnet/set`` is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import unquote

from bridge.protocol.table import COMMANDS
from bridge.protocol.types import Argument, Command, Kind, Value

Node = dict[str, object]

ATTRIBUTES = ("FULL_PATH", "CONTENTS", "TYPE", "ACCESS", "RANGE", "DESCRIPTION", "VALUE", "OVERLOADS")
EXTENSIONS = ("ACCESS", "VALUE", "RANGE", "DESCRIPTION", "OVERLOADS", "LISTEN")
"""The optional parts of the proposal that are implemented."""
PROPERTY_AT: Mapping[str, str] = {command.address: command.sets for command in COMMANDS.values() if command.sets}
"""Properties by the addresses that set them, and under which their values are shown."""
ADDRESS_OF: Mapping[str, str] = {name: address for address, name in PROPERTY_AT.items()}

_NO_ACCESS, _WRITE_ONLY, _READ_AND_WRITE = 0, 2, 3
_NIL = "N"
_TAGS: Mapping[Kind, str] = {"float": "f", "int": "i", "bool": "T", "text": "s", "value": "f"}
"""OSC's type tags; a value that may be a number or text is text in an overload."""


def describe(values: Mapping[str, Value | None]) -> Node:
    """The root node with everything below it. ``values`` are those of all properties; None is null."""
    root: Node = {"FULL_PATH": "/", "ACCESS": _NO_ACCESS, "DESCRIPTION": "melnet-music"}
    for command in COMMANDS.values():
        node = _node_at(root, command.address)
        node |= _method(command)
        if command.sets:
            node |= {"ACCESS": _READ_AND_WRITE, "VALUE": [values[command.sets]]}
    return root


def answer(
    target: str, values: Mapping[str, Value | None], host_info: Mapping[str, object]
) -> tuple[HTTPStatus, object]:
    """Status and JSON of the answer to a GET of ``target``, a path that may end in ``?ATTRIBUTE``."""
    path, _, attribute = target.partition("#")[0].partition("?")
    if attribute == "HOST_INFO":
        return HTTPStatus.OK, host_info
    node = find(describe(values), unquote(path))
    if node is None:
        return HTTPStatus.NOT_FOUND, None
    if not attribute:
        return HTTPStatus.OK, node
    if attribute not in ATTRIBUTES:
        return HTTPStatus.BAD_REQUEST, None
    if attribute not in node:
        return HTTPStatus.NO_CONTENT, None
    return HTTPStatus.OK, {attribute: node[attribute]}


def find(root: Node, path: str) -> Node | None:
    """The node at a path; a slash at its end does not matter."""
    node: object = root
    for name in path.strip("/").split("/") if path.strip("/") else ():
        contents = node.get("CONTENTS") if isinstance(node, dict) else None
        node = contents.get(name) if isinstance(contents, dict) else None
    return node if isinstance(node, dict) and path.startswith("/") else None


def _node_at(root: Node, address: str) -> Node:
    """The node at an address, made with the containers above it where it is not there yet."""
    node, path = root, ""
    for name in address.strip("/").split("/"):
        path = f"{path}/{name}"
        contents = node.setdefault("CONTENTS", {})
        assert isinstance(contents, dict)
        node = contents.setdefault(name, {"FULL_PATH": path, "ACCESS": _NO_ACCESS})
    return node


def _method(command: Command) -> Node:
    node: Node = {
        "TYPE": "".join(_TAGS[argument.kind] for argument in command.fixed) or _NIL,
        "ACCESS": _WRITE_ONLY,
        "DESCRIPTION": _description(command),
    }
    ranges = [_range(argument) for argument in command.fixed]
    if any(ranges):
        node["RANGE"] = ranges
    overloads = _overloads(command)
    if overloads:
        node["OVERLOADS"] = overloads
    return node


def _description(command: Command) -> str:
    """Includes what the type string cannot say: names, units and keys."""
    parts = [command.help.rstrip(".")]
    parts += [f"{each.name}: {each.help}" for each in command.fixed if not command.sets and each.help]
    parts += [f"in {argument.unit}" for argument in command.fixed if argument.unit and command.sets]
    parts += [f"key {key.name}: {key.range_text()}".replace("`", "") for key in command.keys]
    return "; ".join(parts)


def _range(argument: Argument) -> Node:
    """MIN and MAX, or VALS; nothing where every value of the type is allowed."""
    if argument.choices:
        return {"VALS": [*argument.choices]}
    bounds = {"MIN": argument.low, "MAX": argument.high}
    whole = argument.kind == "int"
    return {name: round(bound) if whole else bound for name, bound in bounds.items() if math.isfinite(bound)}


def _overloads(command: Command) -> list[Node]:
    """The other types that the arguments may have: text for a value, or a word in place of a number."""
    if any(argument.kind == "value" for argument in command.fixed):
        return [{"TYPE": "".join("s" if each.kind == "value" else _TAGS[each.kind] for each in command.fixed)}]
    words = [argument.or_word for argument in command.fixed if argument.or_word]
    return [{"TYPE": "s", "RANGE": [{"VALS": words}]}] if command.sets and words else []
