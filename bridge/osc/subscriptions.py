"""Subscribers and their leases: a client that is gone is forgotten when its lease ends."""

from __future__ import annotations

from typing import Generic, TypeVar

Who = TypeVar("Who")


class Subscriptions(Generic[Who]):
    """A bounded set whose members expire. Times are monotonic seconds."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._ends: dict[Who, float] = {}

    def grant(self, who: Who, seconds: float, now: float) -> bool:
        """Add ``who``, or prolong its lease; False: there are too many."""
        self._expire(now)
        if who not in self._ends and len(self._ends) >= self._most:
            return False
        self._ends[who] = now + seconds
        return True

    def end(self, who: Who, now: float) -> bool:
        """Whether there was a lease to end."""
        self._expire(now)
        return self._ends.pop(who, None) is not None

    def holders(self, now: float) -> list[Who]:
        """Those whose lease has not ended, in the order they came."""
        self._expire(now)
        return list(self._ends)

    def _expire(self, now: float) -> None:
        for who in [who for who, end in self._ends.items() if end <= now]:
            del self._ends[who]
