"""A pad or a fader box on JACK, in a process of its own: ``midi_controller.py CLIENT_NAME``.

Has the ports ``out`` and ``in`` while it runs, and says "ready" once it has. Sends what comes as lines of hexadecimal
digits on its standard input, and says what it is sent in the same way, with the monotonic time at which it came.

Not in the tests' own process: the JACK library remembers in every process the first server that it met.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import rtmidi


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def show(message: tuple[list[int], float], _: Any) -> None:
    say(f"{bytes(message[0]).hex()} {time.monotonic():.6f}")


def main() -> None:
    out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, sys.argv[1])
    out.open_virtual_port("out")
    shown = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, f"{sys.argv[1]} shows")
    shown.set_callback(show)
    shown.open_virtual_port("in")
    say("ready")
    for line in sys.stdin:
        out.send_message(bytes.fromhex(line))
    for port in (out, shown):
        port.close_port()
    time.sleep(0.1)  # the last callback wants the lock that deleting holds
    for port in (out, shown):
        port.delete()


if __name__ == "__main__":
    main()
