"""The ring from the microphone to the player, which also tells when its samples came."""

from __future__ import annotations

from multiprocessing.shared_memory import SharedMemory

from bridge.audio.ring import Ring
from bridge.audio.shared_clock import SharedClock
from bridge.audio.shared_samples import Samples

_CLOCK = 9  # in the writer's cache line


class InputRing(Ring):
    """A ring whose writer stamps every block."""

    def __init__(self, memory: SharedMemory, *, owner: bool) -> None:
        super().__init__(memory, owner=owner)
        assert memory.buf is not None  # it is open
        self._doubles = memory.buf[: 8 * (_CLOCK + SharedClock.WORDS)].cast("d")
        self._clock = SharedClock(self._words, self._doubles, _CLOCK)

    def take_in(self, block: Samples, now_seconds: float) -> None:
        """Microphone only, real-time safe: a block that came at this monotonic time; what does not fit is lost."""
        self._clock.tell(self.written, now_seconds)
        self.write(block)

    def clock(self) -> tuple[int, float]:
        """Any process: the count of the last block's first sample, and when that block came; (0, 0.0): none has."""
        return self._clock.read()

    def close(self) -> None:
        self._doubles.release()
        super().close()
