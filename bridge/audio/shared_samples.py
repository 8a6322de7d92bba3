"""Mono float32 samples in shared memory, with a few control words before them.

Each word has one process that writes it: an aligned 8-byte store, which no 64-bit machine tears.
"""

from __future__ import annotations

from multiprocessing.shared_memory import SharedMemory
from typing import Self

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

HEADER_BYTES = 256
_CAPACITY = 0


class SharedSamples:
    """Memory that one process makes and others open by its name."""

    def __init__(self, memory: SharedMemory, *, owner: bool) -> None:
        self._memory = memory
        self._owner = owner
        assert memory.buf is not None  # it is open
        self._words = memory.buf[:HEADER_BYTES].cast("q")
        self.capacity_samples = self._words[_CAPACITY]
        self._samples: Samples = np.frombuffer(memory.buf, np.float32, count=self.capacity_samples, offset=HEADER_BYTES)

    @classmethod
    def create(cls, capacity_samples: int) -> Self:
        """Make the shared memory. The creator also removes it, in ``close``."""
        memory = SharedMemory(create=True, size=HEADER_BYTES + 4 * capacity_samples)
        assert memory.buf is not None
        memory.buf[:HEADER_BYTES].cast("q")[_CAPACITY] = capacity_samples
        return cls(memory, owner=True)

    @classmethod
    def attach(cls, name: str) -> Self:
        """Open another process's memory by its ``name``."""
        return cls(SharedMemory(name), owner=False)

    @property
    def name(self) -> str:
        return self._memory.name

    def close(self) -> None:
        """Let go of the memory; the creator removes it."""
        del self._samples
        self._words.release()
        self._memory.close()
        if self._owner:
            self._memory.unlink()


class CircularSamples(SharedSamples):
    """The same, used round and round: a sample's place is its count modulo the capacity."""

    @classmethod
    def create(cls, capacity_samples: int) -> Self:
        """Make the shared memory. The creator also removes it, in ``close``.

        Raises:
            ValueError: the capacity is not a power of two.
        """
        if capacity_samples < 1 or capacity_samples & (capacity_samples - 1):
            raise ValueError(f"the capacity in samples must be a power of two, got {capacity_samples}")
        return super().create(capacity_samples)
