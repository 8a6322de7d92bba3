"""Which take is meant, and how many are made."""

from __future__ import annotations

from bridge.protocol.types import INT32_MAX, Argument

VARIATIONS = Argument(
    "variations",
    "int",
    "how many takes: the first is played, the others are alternatives to it with the seeds after its own, made when "
    "nothing else is to be done, and heard when they are asked for",
    low=1,
    high=32,
    default=1,
)
TAKE = Argument("take", "int", "number of a take, as `finished` says it", low=1, high=INT32_MAX)
