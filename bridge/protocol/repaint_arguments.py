"""Which part of what was heard is repainted and played, where no bars of the tape are named."""

from __future__ import annotations

from bridge.protocol.types import Argument

START = Argument(
    "start", "float", "first second to repaint, from the start of what was heard", unit="s", low=0, high=86400
)
STOP = Argument(
    "stop", "float", "last second to repaint, from the start of what was heard", unit="s", low=0, high=86400
)
