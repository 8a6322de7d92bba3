"""Properties of the meter of surprise, and of the takes that it triggers."""

from __future__ import annotations

from bridge.protocol.types import Argument

SURPRISE = Argument(
    "surprise", "text", "whether what is heard is judged by how surprising it is to the model, which costs time",
    choices=("off", "on"), default="off",
)  # fmt: skip
ON_SURPRISE = Argument(
    "on_surprise", "text", "what makes a `continue` by itself, with `surprise` on: a `rise` of surprise, or its "
    "`fall` after one", choices=("off", "rise", "fall"), default="off",
)  # fmt: skip
SURPRISE_THRESHOLD = Argument(
    "surprise_threshold", "float", "how far above the usual counts as a surprise", unit="nats a bin", low=0, high=10,
    default=0.25,
)  # fmt: skip
SURPRISE_HOLD = Argument(
    "surprise_hold", "float", "after a take that surprise triggered, it triggers no other for so long", unit="s",
    low=0, high=600, default=4.0,
)  # fmt: skip
SURPRISE_LEVEL = Argument(
    "surprise_level", "float", "how far above the usual what was heard last is, else 0; measured, not to be set",
    unit="nats a bin", low=0, high=2, default=0.0,
)  # fmt: skip
SURPRISE_PROPERTIES = (SURPRISE, SURPRISE_LEVEL, ON_SURPRISE, SURPRISE_THRESHOLD, SURPRISE_HOLD)
