"""OSC datagrams: bytes checked and cut into messages, and messages as bytes.

python-osc parses single messages and builds all. Bundles are cut here: on an element of negative size python-osc loops
for ever, and into nested bundles it recurses without limit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from bridge.protocol.types import Value

MAX_DATAGRAM_BYTES = 65_507
BUNDLE_HEADER = b"#bundle\0"
_IMMEDIATELY = 1
_NTP_TO_UNIX_SECONDS = 2_208_988_800
_MAX_DEPTH = 8
_MAX_ARGUMENTS = 64
_TYPE_TAGS = frozenset(b"ihfdsbrmtTFN[]")


class MalformedDatagram(ValueError):  # noqa: N818 - what it is, not that it is an error
    """The bytes are no OSC message or bundle."""


class Message(NamedTuple):
    """One OSC message. ``due_unix_seconds`` is the timetag of the bundle it came in; None: now."""

    address: str
    values: list[object]
    due_unix_seconds: float | None


def parse_datagram(data: bytes) -> list[Message]:
    """All messages of a datagram, in order.

    Raises:
        MalformedDatagram: any part of it is not OSC; then none of it counts.
    """
    try:
        return list(_messages(data, None, _MAX_DEPTH))
    except MalformedDatagram:
        raise
    except Exception as error:  # python-osc lets struct, unicode and index errors through
        raise MalformedDatagram(f"not OSC: {error}") from error


def _messages(data: bytes, due: float | None, depth: int) -> Iterator[Message]:
    if not data.startswith(BUNDLE_HEADER):
        yield _message(data, due)
        return
    if depth == 0:
        raise MalformedDatagram(f"bundles are nested more than {_MAX_DEPTH} deep")
    timetag = struct.unpack_from(">Q", data, len(BUNDLE_HEADER))[0]
    due = None if timetag == _IMMEDIATELY else timetag / 2**32 - _NTP_TO_UNIX_SECONDS
    start = len(BUNDLE_HEADER) + 8
    while start < len(data):
        size = struct.unpack_from(">i", data, start)[0]
        start += 4
        if not 0 < size <= len(data) - start:
            raise MalformedDatagram(f"a bundle element claims {size} bytes, {len(data) - start} are there")
        yield from _messages(data[start : start + size], due, depth - 1)
        start += size


def _message(data: bytes, due: float | None) -> Message:
    if not data.startswith(b"/"):
        raise MalformedDatagram("an OSC message starts with '/', a bundle with '#bundle'")
    address_end = data.find(b"\0")
    tags_start = (address_end // 4 + 1) * 4
    if address_end >= 0 and tags_start < len(data):
        tags = data[tags_start : data.find(b"\0", tags_start)]
        unknown = set(tags[1:]) - _TYPE_TAGS
        if unknown:  # python-osc skips these, and takes their bytes for the next argument's
            raise MalformedDatagram(f"unknown type tag {chr(min(unknown))!r}")
        if len(tags) - 1 > _MAX_ARGUMENTS:
            raise MalformedDatagram(f"{len(tags) - 1} arguments, at most {_MAX_ARGUMENTS} are taken")
    parsed = OscMessage(data)
    return Message(parsed.address, parsed.params, due)


def encode_message(address: str, values: Iterable[Value | None]) -> bytes:
    """The datagram of one message. Integers travel as int32, floats as float32, booleans as T and F, None as nil."""
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value.encode("utf-8", "replace").decode() if isinstance(value, str) else value)
    return bytes(builder.build().dgram)
