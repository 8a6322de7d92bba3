"""How closely a MIDI clock is followed: by a follower on real ports, against the beat that JACK's transport is on.

The clock is `jack_midi_clock` with and without its own jitter; JACK delivers it in periods of 1024 samples, all of a
period at once. Its jitter adds up from tick to tick, so that it leaves the transport: then the truth is the line
through the ticks of half a second before and after. An error's constant part, which `clock_offset` takes away, is told
apart from what varies about it. `jack_midi_clock` itself is late by something new whenever it goes elsewhere, which is
told from where in a period its ticks lie. The clock that the daemon's own thread sends is measured beside it.
"""

from __future__ import annotations

import logging
import statistics
import time
from bisect import bisect
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
from clock_rig import CLOCK_PORT, TransportMaster, Whereabouts, clock_master
from jack_rig import jack_server
from midi_rig import Listener, midi_process

from bridge.clock.device_clock import DeviceClock
from bridge.clock.midi_clock_follower import TICK, TICKS_A_BEAT
from bridge.clock.midi_clock_sender import MidiClockSender
from bridge.clock.midi_clock_source import MidiClockSource
from bridge.clock.midi_clock_ticks import ClockPlan
from bridge.clock.transport import Meter, Timeline
from bridge.midi.ports import MidiEvent, MidiPorts
from tests.figures.support.program import run

_LOG = logging.getLogger(__name__)

_BEATS_BEFORE = 8
"""Two bars, after which errors count."""
_LOOK_SECONDS = 0.02
_SETTLED_BPM, _SETTLED_MS = 1.0, 6.0
"""A follower has settled when it stays within this, or where the clock jitters, within what it strays at one tempo."""
_NEAR_BPM = 5.0
"""What is asked besides of tempo alone, with jitter or without."""
_STEADY_FOR = 6
"""So many times as long as after a jump that straying is looked at, so that its worst is in it."""
_JUMPS = 5


def measure(folder: Path, *, seconds: float) -> dict[str, object]:
    """Args:
    seconds: for which each tempo is followed.
    """
    del folder
    figures: dict[str, object] = {}
    with jack_server(synchronous=False, realtime=True):
        for jitter_percent in (0, 20):
            for bpm in (60.0, 120.0, 174.3):
                _LOG.info("%g bpm, jitter %d %%", bpm, jitter_percent)
                figures[f"{bpm:g} bpm, jitter {jitter_percent} %"] = _steady(bpm, jitter_percent, seconds)
            _LOG.info("120 to 140 bpm, jitter %d %%", jitter_percent)
            figures[f"120 to 140 bpm, jitter {jitter_percent} %"] = _jumps(jitter_percent, seconds)
        figures["locate, stop and continue"] = _places()
    figures["sent"] = {f"{bpm:g} bpm": _sent(bpm, seconds) for bpm in (60.0, 120.0, 174.3, 400.0)}
    return figures


class _Followed:
    """What the follower says while it hears, and what is true."""

    def __init__(self, listener: Listener, master: TransportMaster) -> None:
        self._listener, self.master = listener, master
        self.clock = MidiClockSource()
        self.said: list[tuple[float, float, float]] = []
        """(monotonic seconds, beat, tempo)"""
        self._true: list[Whereabouts] = []
        self._ticks: list[float] = []
        """Monotonic times, since the song began."""
        self.ticks_lost = 0
        """Give or take two that are on their way."""

    def listen(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        look_at = 0.0
        while (now := time.monotonic()) < until:
            for report in self._listener.process.reports():
                if isinstance(report, MidiEvent):
                    self.clock.hear(report.port, report.at_seconds, report.data)
                    if report.data[0] == TICK:
                        self._ticks.append(report.at_seconds)
            beat, tempo = self.clock.beat_at(now, 4.0), self.clock.tempo_bpm
            if beat is not None and tempo is not None:
                self.said.append((now, beat, tempo))
            if now >= look_at:
                look_at = now + 0.2
                self._true.append(self.master.where())
                self.ticks_lost = int(self._true[-1].beat * TICKS_A_BEAT) + 1 - len(self._ticks)
            time.sleep(_LOOK_SECONDS)

    def true_beat(self, seconds: float) -> float | None:
        """Between two looks at the transport, on which it rolled on at one tempo."""
        for before, after in pairwise(self._true):
            if before.seconds <= seconds < after.seconds and before.rolling and after.rolling:
                part = (seconds - before.seconds) / (after.seconds - before.seconds)
                return before.beat + part * (after.beat - before.beat)
        return None

    def ticked_beat(self, seconds: float) -> float | None:
        """The same by the ticks around that time alone."""
        at = bisect(self._ticks, seconds)
        around = range(at - TICKS_A_BEAT // 2, at + TICKS_A_BEAT // 2)
        if around.start < 0 or around.stop > len(self._ticks):
            return None
        _, beat = np.polyfit([self._ticks[each] - seconds for each in around], around, 1) / TICKS_A_BEAT
        return float(beat)

    def errors(
        self, bpm: float, first_seconds: float = 0.0, *, by_ticks: bool = False
    ) -> list[tuple[float, float, float]]:
        """(seconds, error of the phase in seconds: above 0 it is ahead, tempo)"""
        found = []
        for seconds, beat, tempo in self.said:
            known = self.ticked_beat if by_ticks else self.true_beat
            true = known(seconds) if seconds >= first_seconds else None
            if true is not None:
                found.append((seconds, (beat - true) * 60.0 / bpm, tempo))
        return found


@contextmanager
def _follow(bpm: float, jitter_percent: int) -> Iterator[_Followed]:
    with clock_master(bpm, jitter_percent=jitter_percent) as master, midi_process(CLOCK_PORT) as listener:
        listener.wait_for(MidiPorts, lambda ports: bool(ports.inputs))
        yield _Followed(listener, master)


def _steady(bpm: float, jitter_percent: int, seconds: float) -> dict[str, float]:
    with _follow(bpm, jitter_percent) as followed:
        began = followed.master.order("roll").seconds
        followed.listen(_BEATS_BEFORE * 60.0 / bpm + seconds)
    errors = followed.errors(bpm, began + _BEATS_BEFORE * 60.0 / bpm, by_ticks=jitter_percent > 0)
    return {**_told(errors, bpm), "ticks_lost": followed.ticks_lost}


def _told(errors: list[tuple[float, float, float]], bpm: float) -> dict[str, float]:
    phases = [1e3 * phase for _, phase, _ in errors]
    constant = statistics.fmean(phases)
    return {
        "phase_constant_ms": round(constant, 2),
        "phase_sd_ms": round(statistics.pstdev(phases), 2),
        "phase_worst_ms": round(max(abs(phase - constant) for phase in phases), 2),
        "tempo_mean_error_bpm": round(statistics.fmean(tempo for *_, tempo in errors) - bpm, 3),
        "tempo_worst_error_bpm": round(max(abs(tempo - bpm) for *_, tempo in errors), 3),
    }


def _jumps(jitter_percent: int, seconds: float) -> dict[str, object]:
    before_bpm, after_bpm = 120.0, 140.0
    within_bpm, within_ms = _SETTLED_BPM, _SETTLED_MS
    if jitter_percent:
        steady = _steady(after_bpm, jitter_percent, _STEADY_FOR * seconds)
        within_bpm, within_ms = steady["tempo_worst_error_bpm"], steady["phase_worst_ms"]
    jumps = [_jump(before_bpm, after_bpm, jitter_percent, seconds, within_bpm, within_ms) for _ in range(_JUMPS)]
    return {
        "settled_within_bpm": within_bpm,
        "settled_within_ms": within_ms,
        "near_bpm": _NEAR_BPM,
        "a_bar_s": round(240.0 / after_bpm, 2),
        **{name: [jump[name] for jump in jumps] for name in jumps[0]},
    }


def _jump(
    before_bpm: float, after_bpm: float, jitter_percent: int, seconds: float, within_bpm: float, within_ms: float
) -> dict[str, float]:
    with _follow(before_bpm, jitter_percent) as followed:
        followed.master.order("roll")
        followed.listen(seconds)
        jumped = followed.master.order(f"tempo {after_bpm}").seconds
        followed.listen(seconds)
    errors = followed.errors(
        after_bpm, jumped + 0.4, by_ticks=jitter_percent > 0
    )  # the looks before and after the jump lie at one tempo by then
    settled = [error for error in errors if error[0] > jumped + seconds / 2]
    constant = statistics.fmean(phase for _, phase, _ in settled)
    unsettled = [
        at
        for at, phase, tempo in errors
        if abs(tempo - after_bpm) > within_bpm or 1e3 * abs(phase - constant) > within_ms
    ]
    tempos = [tempo for at, _, tempo in followed.said if at > jumped]
    far = [at for at, _, tempo in followed.said if at > jumped and abs(tempo - after_bpm) > _NEAR_BPM]
    return {
        "near_after_s": round(max(far) - jumped, 2),
        "settled_after_s": round(max(unsettled, default=jumped + 0.4) - jumped, 2),
        "fastest_bpm": round(max(tempos), 2),
        "slowest_after_settling_bpm": round(min(tempo for *_, tempo in settled), 2),
    }


def _places() -> dict[str, object]:
    """At 120 bpm: from bar 1, then bar 9 while it plays, then stopped and on, then bar 17 while stopped."""
    figures: dict[str, object] = {}
    with _follow(120.0, 0) as followed:
        master = followed.master
        for name, orders in (
            ("start", ["roll"]),
            ("located while it plays", ["locate 32"]),
            ("stopped and continued", ["stop", "roll"]),
            ("located while stopped", ["stop", "locate 64", "roll"]),
        ):
            for order in orders:
                master.order(order)
                followed.listen(1.0)
                if order == "stop":
                    figures[f"{name}: state"] = followed.clock.state_at(time.monotonic())
            began = time.monotonic()
            followed.listen(5.0)
            phase_ms = 1e3 * statistics.fmean(phase for _, phase, _ in followed.errors(120.0, began + 1.0))
            late_ms = 1e3 * master.where().clock_late_seconds
            figures[name] = {
                "beat": round(followed.said[-1][1], 2),
                "phase_mean_ms": round(phase_ms, 2),
                "clock_itself_late_ms": round(late_ms, 2),
                "phase_against_clock_ms": round(phase_ms + late_ms, 2),
            }
    return figures


def _sent(bpm: float, seconds: float) -> dict[str, float]:
    """How late the ticks of our own clock are, on a machine that is as busy as it is."""
    sent_at: list[float] = []
    now = time.monotonic()
    plan = ClockPlan(Timeline.steady(bpm, Meter()), DeviceClock(0, now, 48000), 0.0, 0)

    def note(message: bytes) -> None:
        if message == bytes([TICK]):
            sent_at.append(time.monotonic())

    clock = MidiClockSender(note)
    clock.lead(plan)
    time.sleep(seconds)
    clock.close()
    first = plan.tick_after(sent_at[0]) - 1
    late = [at - plan.seconds_of(first + number) for number, at in enumerate(sent_at)]
    return {
        "ticks": len(late),
        "late_median_ms": round(1e3 * statistics.median(late), 3),
        "late_99th_ms": round(1e3 * sorted(late)[int(0.99 * len(late))], 3),
        "late_worst_ms": round(1e3 * max(late), 3),
    }


if __name__ == "__main__":
    run(measure, seconds=10.0)
