"""Audio input while the daemon listens: read from the ring, recorded on the tape, and held until it is heard."""

from __future__ import annotations

from collections import deque

import numpy as np

from bridge.audio.input_ring import InputRing
from bridge.audio.shared_samples import Samples
from bridge.clock.device_clock import DeviceClock
from bridge.tape.session_tape import SessionTape
from melnet_music.sound.resample import StreamResampler

HELD_SECONDS = 60.0
"""Of input that the instrument has not heard yet; what is older is missed."""


class LiveInput:
    """Belongs to the player's one thread. What is held is float32[N] at the instrument's rate, oldest first."""

    def __init__(self, ring: InputRing, tape: SessionTape) -> None:
        self._ring = ring
        self._tape = tape
        self._block = np.empty(1 << 16, np.float32)
        self._input_hz: int | None = None
        self._resampler: StreamResampler | None = None
        self._held: deque[Samples] = deque()
        self._held_samples = 0
        self._received_samples = 0
        """Since listening began, heard or not."""
        self.listening = False
        self.missed_samples = 0

    def use_device(self, input_hz: int | None) -> None:
        """The sound device has an input of this rate; None: it has none, and listening ends."""
        self._input_hz = input_hz
        self.listen(self.listening and input_hz is not None)

    def listen(self, listening: bool) -> None:
        """Begin or end listening here; take in first what has come before."""
        self.listening = listening
        self._begin()

    def change_rate(self) -> None:
        """The instrument has another rate: what is held at the old one is dropped."""
        self.forget()
        self._begin()

    def _begin(self) -> None:
        self._resampler = None
        if self.listening and self._input_hz:
            self._tape.begin_input(self._input_hz, self._ring.read)
            self._received_samples = self._held_samples

    def take_in(self, instrument_hz: int | None, clock: DeviceClock | None, late_samples: int) -> None:
        """Empty the ring, which overruns if the player is too slow.

        Args:
            instrument_hz: None: there is no instrument yet, and nothing is held for it.
            clock: the output's.
            late_samples: how much later input comes than the output that was played with it, in device time.
        """
        while count := self._ring.read_into(self._block):
            if not (self.listening and instrument_hz and self._input_hz):
                continue
            if self._resampler is None:
                self._resampler = StreamResampler(self._input_hz, instrument_hz)
            finite = np.nan_to_num(self._block[:count], posinf=0.0, neginf=0.0)
            self._tape.record_input(finite, self._ring.clock(), clock, late_samples)
            received = self._resampler.push(finite)
            self._received_samples += len(received)
            self._held.append(received)
            self._held_samples += len(received)
            while self._held_samples > HELD_SECONDS * instrument_hz:
                self.missed_samples += len(self.next_held())

    @property
    def holds_some(self) -> bool:
        return bool(self._held)

    def next_held(self) -> Samples:
        """Remove and return the oldest block that is held."""
        samples = self._held.popleft()
        self._held_samples -= len(samples)
        return samples

    @property
    def heard_samples(self) -> int:
        """Samples heard since listening began, at the instrument's rate."""
        return self._received_samples - self._held_samples

    def forget(self) -> None:
        """Drop all that is held."""
        self._held.clear()
        self._held_samples = 0
