"""A lock-free ring of mono float32 samples in shared memory, between one writing and one reading process.

Both sides own a counter that only grows; a sample's place is its count modulo the capacity (a power of two).
The writer stores samples first and its counter after, the reader copies first and counts after, so neither
ever waits for the other. A counter is one aligned 8-byte store, which no 64-bit machine tears; that the
other process sees the samples no later than the counter is guaranteed by x86-64's store order.
"""

from __future__ import annotations

from multiprocessing.shared_memory import SharedMemory
from typing import Self

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

HEADER_BYTES = 256
_CAPACITY = 0
# One cache line (8 words) a side, so that the two processes do not fight over one.
_WRITTEN = 8
_READ = 16


class Ring:
    """First in, first out; what does not fit is not taken, what is not there is not given."""

    def __init__(self, memory: SharedMemory, *, owner: bool) -> None:
        self._memory = memory
        self._owner = owner
        assert memory.buf is not None  # it is open
        self._words = memory.buf[:HEADER_BYTES].cast("q")
        self.capacity_samples = self._words[_CAPACITY]
        self._samples: Samples = np.frombuffer(memory.buf, np.float32, count=self.capacity_samples, offset=HEADER_BYTES)

    @classmethod
    def create(cls, capacity_samples: int) -> Self:
        """Make the shared memory. The creator also removes it, in ``close``.

        Raises:
            ValueError: the capacity is not a power of two.
        """
        if capacity_samples < 1 or capacity_samples & (capacity_samples - 1):
            raise ValueError(f"a ring's capacity must be a power of two, got {capacity_samples}")
        memory = SharedMemory(create=True, size=HEADER_BYTES + 4 * capacity_samples)
        assert memory.buf is not None
        memory.buf[:HEADER_BYTES].cast("q")[_CAPACITY] = capacity_samples
        return cls(memory, owner=True)

    @classmethod
    def attach(cls, name: str) -> Self:
        """Open another process's ring by its ``name``."""
        return cls(SharedMemory(name), owner=False)

    @property
    def name(self) -> str:
        return self._memory.name

    @property
    def written(self) -> int:
        """Samples ever written. Any process, real-time safe."""
        return self._words[_WRITTEN]

    @property
    def read(self) -> int:
        """Samples ever read (or dropped). Any process, real-time safe."""
        return self._words[_READ]

    @property
    def free_samples(self) -> int:
        return self.capacity_samples - (self.written - self.read)

    @property
    def available_samples(self) -> int:
        return self.written - self.read

    def write(self, samples: Samples) -> int:
        """Writer only, real-time safe: copy as much of ``samples`` as fits; returns how many that was."""
        written = self._words[_WRITTEN]
        count = min(len(samples), self.capacity_samples - (written - self._words[_READ]))
        start = written & (self.capacity_samples - 1)
        first = min(count, self.capacity_samples - start)
        self._samples[start : start + first] = samples[:first]
        self._samples[: count - first] = samples[first:count]
        self._words[_WRITTEN] = written + count
        return count

    def read_into(self, out: Samples) -> int:
        """Reader only, real-time safe: copy what is there into ``out``; returns how many samples that was."""
        count = min(len(out), self._words[_WRITTEN] - self._words[_READ])
        self._copy(out, count)
        self._words[_READ] += count
        return count

    def _copy(self, out: Samples, count: int) -> None:
        start = self._words[_READ] & (self.capacity_samples - 1)
        first = min(count, self.capacity_samples - start)
        out[:first] = self._samples[start : start + first]
        out[first:count] = self._samples[: count - first]

    def close(self) -> None:
        """Let go of the memory; the creator removes it."""
        del self._samples
        self._words.release()
        self._memory.close()
        if self._owner:
            self._memory.unlink()
