"""Notices that a process which lives does nothing any more: it was stopped from outside, or is stuck inside a call.

Its pipe says nothing of that. But a live process counts something in shared memory (the player its rounds, the audio
process its callbacks), and whoever looks on sees that count stand still.
"""

from __future__ import annotations

LOOK_EVERY_SECONDS = 0.5
_MOST_A_LOOK_SECONDS = 2 * LOOK_EVERY_SECONDS


class Watchdog:
    """Looks at the count of one process after another.

    A process is given the starting patience until its count moves, or until it says that it has started; from then on
    the usual one. Silence is summed up from look to look, and no look adds more than a second: when the whole machine
    slept, or a terminal stopped the watcher too, no process is blamed for it.
    """

    def __init__(self, starting_seconds: float) -> None:
        """Args:
        starting_seconds: how long a new process may take until it counts for the first time, or says it has started.
        """
        self._starting_seconds = starting_seconds
        self._process_id: int | None = None
        self._count = 0
        self._has_started = False
        self._silent_seconds = 0.0
        self._looked_at = 0.0

    def has_started(self, process_id: int | None, count: int, now: float) -> None:
        """The process said so: silence from here on is measured by the usual patience, though its count never moved.

        Args:
            process_id: of the process that runs now, whether it was looked at before or not.
            count: what it has counted.
            now: monotonic time.
        """
        if process_id != self._process_id:
            self._begin(process_id, count, now)
        if not self._has_started:
            self._has_started, self._silent_seconds, self._looked_at = True, 0.0, now

    def is_hung(self, process_id: int | None, count: int, patience_seconds: float, now: float) -> bool:
        """Look; call it at least every `LOOK_EVERY_SECONDS`. After a True it waits for a new process.

        Args:
            process_id: of the process that runs now; a new one is given time to start.
            count: what it has counted.
            patience_seconds: how long the count may stand still.
            now: monotonic time.
        """
        if process_id != self._process_id:
            self._begin(process_id, count, now)
        if count != self._count:
            self._count, self._has_started, self._silent_seconds = count, True, 0.0
        else:
            self._silent_seconds += min(now - self._looked_at, _MOST_A_LOOK_SECONDS)
        self._looked_at = now
        if self._silent_seconds <= (patience_seconds if self._has_started else self._starting_seconds):
            return False
        self._begin(process_id, count, now)
        return True

    def _begin(self, process_id: int | None, count: int, now: float) -> None:
        self._process_id, self._count, self._looked_at = process_id, count, now
        self._has_started, self._silent_seconds = False, 0.0
