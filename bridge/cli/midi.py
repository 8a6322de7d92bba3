"""Subcommands that talk to a running daemon about its MIDI controls: midi-learn, midi-forget, midi-map."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace

from bridge.cli.subcommand import DEFAULT_OSC_PORT, Subcommand
from bridge.midi.controller import LEARNING_SECONDS
from bridge.osc.client import OscClient
from bridge.protocol.types import CURVES, NAMESPACE, Value

_ANSWER_SECONDS = 5.0


def _add_daemon_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--osc-host", default="127.0.0.1", help="host that the daemon listens on (%(default)s)")
    parser.add_argument("--osc-port", type=int, default=DEFAULT_OSC_PORT, help="UDP port of the daemon (%(default)s)")


def add_learn_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "property", help="name of the property, such as temperature; then move the control that shall set it"
    )
    parser.add_argument("--low", type=float, help="value at the control's lowest position (the property's minimum)")
    parser.add_argument("--high", type=float, help="value at the control's highest position (the property's maximum)")
    parser.add_argument(
        "--curve",
        choices=CURVES,
        help="linear: equal differences; log: equal ratios; toggle: every press switches to the other end",
    )
    _add_daemon_arguments(parser)


def learn(arguments: Namespace) -> int:
    """Map the next control that is moved to the property."""
    given = {key: getattr(arguments, key) for key in ("low", "high", "curve")}
    values = [arguments.property, *(each for key, value in given.items() if value is not None for each in (key, value))]
    _ask(arguments, "version", [], _ANSWER_SECONDS)
    _write(f"move the control that shall set {arguments.property}")
    [done] = _ask(arguments, "midi/learn", values, LEARNING_SECONDS + _ANSWER_SECONDS)
    _write(f"{done['control']} sets {done['name']}")
    return 0


def add_forget_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("property", help="name of the property, such as temperature")
    _add_daemon_arguments(parser)


def forget(arguments: Namespace) -> int:
    """Remove a property's learned controls."""
    _ask(arguments, "midi/forget", [arguments.property], _ANSWER_SECONDS)
    return 0


def show_map(arguments: Namespace) -> int:
    """Print what each MIDI control does, and which mapping file says so."""
    *entries, _ = _ask(arguments, "midi/map", [], _ANSWER_SECONDS)
    for entry in entries:
        _write(f"{entry['control']}: {entry['does']} ({entry['from']})")
    return 0


def _ask(arguments: Namespace, name: str, values: list[Value], timeout_seconds: float) -> list[dict[str, object]]:
    """Send a command; returns the keys and values of every reply, and of the ``done`` that ends them.

    Raises:
        ValueError: the daemon answers with a failure, or not at all.
    """
    client = OscClient((arguments.osc_host, arguments.osc_port))
    replies: list[dict[str, object]] = []
    try:
        client.send(f"{NAMESPACE}/{name}", values)
        deadline = time.monotonic() + timeout_seconds
        while (left := deadline - time.monotonic()) > 0:
            message = client.receive(left)
            if message is None:
                continue
            if message.address == f"{NAMESPACE}/fail":
                raise ValueError(str(message.values[3]))
            is_reply = message.address == f"{NAMESPACE}/{name}.reply"
            told = message.values if is_reply else message.values[2:]
            replies.append(dict(zip(map(str, told[::2]), told[1::2], strict=False)))
            if not is_reply:
                return replies
    finally:
        client.close()
    where = f"{arguments.osc_host}:{arguments.osc_port}"
    raise ValueError(f"no answer from {where}: is `melnet-music serve` running, and listening there?")


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


SUBCOMMANDS = (
    Subcommand("midi-learn", "Map a MIDI control to a property of the running daemon", add_learn_arguments, learn),
    Subcommand("midi-forget", "Remove a property's learned MIDI controls", add_forget_arguments, forget),
    Subcommand("midi-map", "Show what the running daemon's MIDI controls do", _add_daemon_arguments, show_map),
)
