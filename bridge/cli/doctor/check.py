"""What one check found, and how that is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]
_NAME_WIDTH = 14


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: State
    """``fail``: `serve` would not start, or not sound."""
    found: str
    advice: str = ""
    """What to change; empty: nothing."""


def lines(checks: Sequence[Check]) -> Iterator[str]:
    """One for each check and one for each advice."""
    for check in checks:
        yield f"{check.state:<5} {check.name:<{_NAME_WIDTH}} {check.found}"
        if check.advice:
            yield f"{'':<5} {'':<{_NAME_WIDTH}} -> {check.advice}"


def verdict(checks: Sequence[Check]) -> str:
    """Whether the daemon can play, in a sentence."""
    failed = [check.name for check in checks if check.state == "fail"]
    if failed:
        return f"`melnet-music serve` would not play: {', '.join(failed)}"
    warned = sum(check.state == "warn" for check in checks)
    return "`melnet-music serve` can play" + (f", with {warned} warnings" if warned else "")
