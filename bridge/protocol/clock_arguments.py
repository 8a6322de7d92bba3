"""Properties of the clock that is followed, and of the one that is sent."""

from __future__ import annotations

from bridge.protocol.types import CLOCKS, Argument

CLOCK = Argument(
    "clock", "text", "whose tempo and bars are used: the daemon's own, a MIDI clock's or an Ableton Link session's",
    choices=CLOCKS, default="internal",
)  # fmt: skip
CLOCK_OFFSET = Argument(
    "clock_offset",
    "float",
    "how much later than the beats of `midi` or `link` a bar line is heard; below 0: earlier",
    unit="ms",
    low=-500,
    high=500,
    default=0.0,
)
CLOCK_OUT = Argument(
    "clock_out", "text", "whether a MIDI clock is sent to the ports of `--midi-clock-out`",
    choices=("off", "on"), default="on",
)  # fmt: skip
