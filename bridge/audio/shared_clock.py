"""A count and the time at which it was so, from one process to others, without either ever waiting.

The writer makes a serial number odd, stores both, and makes it even again; a reader that saw it odd, or saw it change,
reads once more.
"""

from __future__ import annotations

from typing import Any

_READS = 1000  # writing takes less than one of these


class SharedClock:
    """Over three words of shared memory: a count, seconds as a double, a serial number."""

    WORDS = 3

    def __init__(self, words: Any, doubles: Any, first_word: int) -> None:
        """
        Args:
            words: the memory as 8-byte integers.
            doubles: the same memory as doubles.
            first_word: of the three.
        """
        self._words, self._doubles = words, doubles
        self._count, self._seconds, self._serial = range(first_word, first_word + self.WORDS)

    def tell(self, count: int, seconds: float) -> None:
        """The one writer, real-time safe: so many at this monotonic time."""
        self._words[self._serial] |= 1  # it is odd already where a predecessor was killed in between
        self._words[self._count] = count
        self._doubles[self._seconds] = seconds
        self._words[self._serial] += 1

    @property
    def count(self) -> int:
        """The one writer, real-time safe: what it told last."""
        return int(self._words[self._count])

    def read(self) -> tuple[int, float]:
        """Any process: the last count and its monotonic time; (0, 0.0) before the first."""
        for _ in range(_READS):
            serial = self._words[self._serial]
            count, seconds = self._words[self._count], self._doubles[self._seconds]
            if serial % 2 == 0 and serial == self._words[self._serial]:
                break
        return int(count), float(seconds)  # unchecked, if a writer was stopped while writing: nobody waits for it
