"""A lock-free ring of mono float32 samples in shared memory, between one writing and one reading process.

Both sides own a counter that only grows; a sample's place is its count modulo the capacity (a power of two).
The writer stores samples first and its counter after, the reader copies first and counts after, so neither
ever waits for the other. A counter is one aligned 8-byte store, which no 64-bit machine tears; that the
other process sees the samples no later than the counter is guaranteed by x86-64's store order.
"""

from __future__ import annotations

from bridge.audio.shared_samples import CircularSamples, Samples

# One cache line (8 words) a side, so that the two processes do not fight over one.
_WRITTEN = 8
_READ = 16


class Ring(CircularSamples):
    """First in, first out; what does not fit is not taken, what is not there is not given."""

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
