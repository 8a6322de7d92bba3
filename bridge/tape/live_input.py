"""What comes in while the daemon listens: emptied from the ring, laid on the tape, and held until it is heard."""

from __future__ import annotations

from collections import deque

import numpy as np

from bridge.audio.input_ring import InputRing
from bridge.audio.shared_samples import Samples
from bridge.clock.device_clock import DeviceClock
from bridge.tape.session_tape import SessionTape
from melnet_music.sound.resample import StreamResampler

HELD_SECONDS = 60.0
"""Of what is not heard yet; what is older is missed."""


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
        self._come_samples = 0
        """Since it was begun to listen, heard or not."""
        self.listening = False
        self.missed_samples = 0

    def use_device(self, input_hz: int | None) -> None:
        """The sound device has an input of this rate, or none: then nothing is listened to any more."""
        self._input_hz = input_hz
        self.listen(self.listening and input_hz is not None)

    def listen(self, listening: bool) -> None:
        """Listen from here on, or no more; what has come before is to be taken in first."""
        self.listening = listening
        self._begin()

    def change_rate(self) -> None:
        """The instrument has another rate: what was held for the old one is gone."""
        self.forget()
        self._begin()

    def _begin(self) -> None:
        self._resampler = None
        if self.listening and self._input_hz:
            self._tape.begin_input(self._input_hz, self._ring.read)
            self._come_samples = self._held_samples

    def take_in(self, instrument_hz: int | None, clock: DeviceClock | None, late_samples: int) -> None:
        """Empty the ring, which does not wait for a busy player.

        Args:
            instrument_hz: None: there is no instrument yet, and nothing is held for it.
            clock: the output's.
            late_samples: how long after what is played with it the input comes, in device time.
        """
        while count := self._ring.read_into(self._block):
            if not (self.listening and instrument_hz and self._input_hz):
                continue
            if self._resampler is None:
                self._resampler = StreamResampler(self._input_hz, instrument_hz)
            finite = np.nan_to_num(self._block[:count], posinf=0.0, neginf=0.0)
            self._tape.take_in(finite, self._ring.clock(), clock, late_samples)
            come = self._resampler.push(finite)
            self._come_samples += len(come)
            self._held.append(come)
            self._held_samples += len(come)
            while self._held_samples > HELD_SECONDS * instrument_hz:
                self.missed_samples += len(self.next_held())

    @property
    def holds_some(self) -> bool:
        return bool(self._held)

    def next_held(self) -> Samples:
        """The oldest that is held: to be heard now."""
        samples = self._held.popleft()
        self._held_samples -= len(samples)
        return samples

    @property
    def heard_samples(self) -> int:
        """Since it was begun to listen."""
        return self._come_samples - self._held_samples

    def forget(self) -> None:
        """All that is held."""
        self._held.clear()
        self._held_samples = 0
