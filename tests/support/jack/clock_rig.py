"""A MIDI clock on JACK whose true beat is known: `jack_midi_clock`, led by a transport of ours."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

CLOCK_PORT = "jack_midi_clock"


@dataclass(frozen=True)
class Whereabouts:
    seconds: float
    """Monotonic."""
    beat: float
    rolling: bool
    clock_late_seconds: float
    """Of `jack_midi_clock` itself, since it began to play or went elsewhere."""


class TransportMaster:
    """See ``jack_master.py``."""

    def __init__(self, tempo_bpm: float) -> None:
        script = Path(__file__).with_name("jack_master.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(tempo_bpm)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def order(self, what: str) -> Whereabouts:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        seconds, beat, rolling, late = self._process.stdout.readline().split()
        return Whereabouts(float(seconds), float(beat), rolling == "1", float(late))

    def where(self) -> Whereabouts:
        return self.order("where")

    def close(self) -> None:
        self._process.communicate(timeout=20.0)


@contextmanager
def clock_master(tempo_bpm: float, *, jitter_percent: int = 0) -> Iterator[TransportMaster]:
    """Stands still at beat 0 at first, and goes on within a tenth of a second when it is told to be elsewhere."""
    if not shutil.which("jack_midi_clock"):
        pytest.fail("this needs jack_midi_clock: apt-get install jack-midi-clock (or `make setup`)")
    jitter = ["-J", str(jitter_percent)] if jitter_percent else []
    master = TransportMaster(tempo_bpm)
    clock = subprocess.Popen(["jack_midi_clock", "-b", str(tempo_bpm), "-d", "0.1", *jitter], stderr=subprocess.DEVNULL)
    try:
        yield master
    finally:
        clock.send_signal(signal.SIGINT)  # at which it leaves the server in good order
        clock.wait(20.0)
        master.close()
