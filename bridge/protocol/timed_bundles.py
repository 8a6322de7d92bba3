"""Commands of bundles with a timetag, held until that time."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

T = TypeVar("T")


class TimedBundles(Generic[T]):
    """A bounded queue ordered by due time; items that are due at the same time keep the order in which they came."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[float, int, T]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, due_seconds: float, item: T) -> bool:
        """Hold ``item`` until ``due_seconds`` (monotonic); False when the queue is full."""
        if len(self._heap) >= self._most:
            return False
        heapq.heappush(self._heap, (due_seconds, self._serial, item))
        self._serial += 1
        return True

    @property
    def next_due_seconds(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now_seconds: float) -> T | None:
        """The next item whose time has come, or None."""
        if self._heap and self._heap[0][0] <= now_seconds:
            return heapq.heappop(self._heap)[2]
        return None

    def clear(self) -> list[T]:
        """Empty the queue; returns what was in it, soonest first."""
        items = [item for _, _, item in sorted(self._heap, key=lambda entry: entry[:2])]
        self._heap.clear()
        return items
