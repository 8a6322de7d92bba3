"""A DAW's MIDI track on JACK: records the notes that it is sent, with the times at which they came."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from midi_rig import DEADLINE_SECONDS, Controller, controller

_NOTE_ON, _NOTE_OFF = 0x90, 0x80


class PlayedNote(NamedTuple):
    at_seconds: float
    """Monotonic."""
    key: int
    velocity: int


class MidiTrack:
    """Recorded in a thread; ``name in`` is its port."""

    def __init__(self, port: Controller) -> None:
        self._port = port
        self._changed = threading.Condition()
        self.played: list[PlayedNote] = []
        """Note-ons, in the order in which they came."""
        self.sounding: dict[int, float] = {}
        """Keys that are down, and since when."""
        self.struck_twice = 0
        """How often a key went down that was not released before."""
        self.released_at = 0.0
        """When a key went up last."""
        self._thread = threading.Thread(target=self._record, name="track", daemon=True)
        self._thread.start()

    def _record(self) -> None:
        try:
            while True:
                at_seconds, data = self._port.next_heard()
                with self._changed:
                    if data[0] == _NOTE_ON:
                        self.struck_twice += data[1] in self.sounding
                        self.played.append(PlayedNote(at_seconds, data[1], data[2]))
                        self.sounding[data[1]] = at_seconds
                    elif data[0] == _NOTE_OFF:
                        self.sounding.pop(data[1], None)
                        self.released_at = at_seconds
                    self._changed.notify_all()
        except EOFError:
            return

    def wait_until(self, true: Callable[[], bool], what: str) -> None:
        """Look whenever something comes."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        with self._changed:
            while not true():
                assert self._changed.wait(deadline - time.monotonic()), f"not {what}: {self.played}, {self.sounding}"

    def close(self) -> None:
        """The port is unplugged."""
        self._thread.join(DEADLINE_SECONDS)


@contextmanager
def midi_track(name: str) -> Iterator[MidiTrack]:
    with controller(name) as port:
        track = MidiTrack(port)
        try:
            yield track
        finally:
            port.end()
            track.close()
