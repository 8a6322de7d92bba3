"""The transport in device time: which bar is when on the sound device, and which line a take is to begin on.

The internal clock is the device's own: bars are counted in its samples. While there is no device, its time goes on by
monotonic time; before the first one, at an assumed rate.

An external master is followed in monotonic time. What the device asks for at the master's beat is heard later by the
output latency, so a line is earlier by that latency in device time, and is heard with the master.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from bridge.clock.clock_source import ClockSource
from bridge.clock.device_clock import DeviceClock, HeardClock, Line, ReadClock, SmoothedDeviceClock, read_device_clock
from bridge.clock.midi_clock_ticks import ClockPlan
from bridge.clock.transport import GRID_BARS, Grid, Meter, Place, Tempo, Timeline
from bridge.processes.messages import BarLine

_STAND_IN_HZ = 48000
_MOVED_BEATS = 0.02
"""The jitter of a master's ticks: 10 ms at 120 bpm."""
_STEER_SECONDS = 0.5
"""An error of the timeline is corrected over this time."""
_AHEAD_SECONDS = 4.0
"""The timeline must be right until so far ahead."""
_RIGHT_SECONDS = 0.001
_FAR_SECONDS = 0.25
"""A timeline that is farther from the master than this is set, not steered."""
_SAME_TEMPO_BPM = 0.05
_RECENT_SECONDS = 70.0

Followed = Literal["still", "steered", "jumped"]


@dataclass(frozen=True)
class LineBeat:
    """A line in musical time: a beat, and how many beats later the next line is."""

    beat: float
    every_beats: float
    grid: Grid = "none"
    """The grid that it belongs to; ``none``: it is a single place."""


class DeviceTransport:
    """All methods belong to the daemon's one thread; none waits."""

    def __init__(self, read_clock: ReadClock, tempo_bpm: float, meter: Meter) -> None:
        """``read_clock``: see `read_device_clock`."""
        self._read_clock = read_clock
        self._rate_hz: int | None = None
        """Of the device, or of the last one."""
        self._is_there = False
        self._stand_in = DeviceClock(0, time.monotonic(), _STAND_IN_HZ)
        self._timeline = Timeline.steady(tempo_bpm, meter)
        self._latency_seconds = 0.0
        self._steady: SmoothedDeviceClock | None = None
        self._source: ClockSource | None = None
        self._place_followed = -1
        self.offset_seconds = 0.0
        """How much later than the master's beats the own ones are heard."""
        self.places = 0
        """How often the music has jumped to another place."""

    def use_device(self, rate_hz: int | None, latency_seconds: float = 0.0) -> None:
        """Go on in the time of another sound device, at the present beat; None: there is none now.

        A device of the same rate as the last one continues its time, and all bars stay where they were.
        """
        self._is_there = rate_hz is not None
        if rate_hz is None:
            return
        self._latency_seconds = latency_seconds
        if rate_hz == self._rate_hz:
            return
        beat, tempo_bpm = self.beat, self.tempo_bpm
        self._rate_hz = rate_hz
        self._steady = SmoothedDeviceClock(self._read_clock, rate_hz)
        self._timeline = self._timeline.located(beat, self._now_seconds(), tempo_bpm)

    @property
    def rate_hz(self) -> int:
        """Sample rate of device time."""
        return self._clock().rate_hz

    @property
    def has_device(self) -> bool:
        return self._is_there

    # --- where the music is -----------------------------------------------------------------------------

    @property
    def beat(self) -> float:
        """The beat that the device asks for now."""
        return self._timeline.beat_at(self._now_seconds())

    @property
    def place(self) -> Place:
        return self._timeline.place_at(self.beat)

    @property
    def tempo_bpm(self) -> float:
        """Of the master, if there is one: the timeline's own is bent while it is steered."""
        if self._source and self._source.tempo_bpm is not None:
            return self._source.tempo_bpm
        return self._timeline.bpm_at(self._now_seconds())

    @property
    def meter(self) -> Meter:
        return self._timeline.meter_at(self.beat)

    @property
    def timeline(self) -> Timeline:
        """Beats and bars by seconds of device time: another value whenever one of them moves."""
        return self._timeline

    @property
    def recent_timeline(self) -> Timeline:
        """Beats and bars by seconds of device time, as they are now; of its past, the last minute."""
        return self.timeline_around(self._now_seconds())

    def timeline_around(self, seconds: float) -> Timeline:
        """The same from the minute before a device time on."""
        return self._timeline.since(seconds - _RECENT_SECONDS)

    def set_tempo(self, bpm: float) -> None:
        """Change the tempo from now on. Raises ValueError: out of range."""
        self._timeline = self._timeline.with_tempo(bpm, self._now_seconds())

    def set_meter(self, meter: Meter) -> None:
        """Change the meter from the next bar line on; with a master, all bars are counted in it."""
        if self._source:
            self._timeline = self._timeline.in_one_meter(meter)
        else:
            self._timeline = self._timeline.with_meter(meter, self.beat)

    def locate(self, place: Place) -> None:
        """Go to this place now; the tempo stays."""
        beat, now = self._timeline.beat_of(place.bar, place.beat), self._now_seconds()
        self._timeline = self._timeline.located(beat, now, self._timeline.bpm_at(now))
        self.places += 1

    # --- an external master -----------------------------------------------------------------------------

    def follow(self, source: ClockSource | None) -> None:
        """Take tempo and place from a master; None: go on without one, from the present beat."""
        self._source = source
        self._place_followed = -1
        if source:
            self._timeline = self._timeline.in_one_meter(self._timeline.meters[-1].meter)

    def keep_up(self) -> Followed:
        """Follow the master; to be called several times a second. ``jumped``: the music is at another place now.

        While it is stopped, and where its clock is lost, the music goes on at its last tempo.
        """
        source = self._source
        if source is None or source.tempo_bpm is None:
            return "still"
        clock = self._steady_clock()
        seconds = time.monotonic()
        now = clock.sample_at(seconds) / clock.rate_hz
        heard_at = seconds + self._latency_seconds - self.offset_seconds
        beat = source.beat_at(heard_at, self.meter.bar_beats)
        if beat is None:
            if abs(source.tempo_bpm - self._timeline.bpm_at(now)) < _SAME_TEMPO_BPM:
                return "still"
            self._timeline = self._timeline.with_tempo(source.tempo_bpm, now)
            return "steered"
        master = Tempo(beat, now, source.tempo_bpm)
        beat_seconds = 60.0 / master.bpm
        far = abs(beat - self._timeline.beat_at(now)) * beat_seconds > _FAR_SECONDS
        if source.places != self._place_followed or far:
            self._place_followed = source.places
            self._timeline = self._timeline.located(beat, now, master.bpm)
            self.places += 1
            return "jumped"
        errors = (
            beat + each / beat_seconds - self._timeline.beat_at(now + each) for each in (_STEER_SECONDS, _AHEAD_SECONDS)
        )
        if max(map(abs, errors)) * beat_seconds < _RIGHT_SECONDS:
            return "still"
        self._timeline = self._timeline.steered(master, now, _STEER_SECONDS)
        return "steered"

    def plan(self) -> ClockPlan:
        """The plan of the MIDI clock to send, by the timeline as it is now."""
        clock = self._steady_clock()
        now = clock.sample_at(time.monotonic()) / clock.rate_hz
        return ClockPlan(self._timeline.since(now), clock, self._latency_seconds, self.places)

    def heard_clock(self) -> HeardClock:
        """When samples are heard, by the device's clock as it is now; to be looked at several times a second."""
        return HeardClock(self._steady_clock(), self._latency_seconds)

    def _steady_clock(self) -> DeviceClock:
        return (self._steady and self._steady.now()) or self._clock()

    # --- lines ------------------------------------------------------------------------------------------

    def next_line(self, grid: Grid) -> LineBeat | None:
        """The next line of a grid; None for ``none``."""
        return None if grid == "none" else self.line_from(self.beat, grid)

    def beat_in(self, seconds: float) -> float:
        """The beat so long from now."""
        return self._timeline.beat_at(self._now_seconds() + seconds)

    def line_from(self, beat: float, grid: Grid) -> LineBeat:
        """The first line of a grid that is not before a beat; ``none``: the beat itself."""
        line = self._timeline.line_at_or_after(beat, grid)
        every = GRID_BARS[grid] * self._timeline.meter_at(line).bar_beats if grid in GRID_BARS else 1.0
        return LineBeat(line, every, grid)

    def bars_seconds(self, bars: int, line: LineBeat | None) -> float:
        """How long bars last, from a line on, or from now."""
        beat = line.beat if line else self.beat
        end = beat + bars * self._timeline.meter_at(beat).bar_beats
        return self._timeline.seconds_at(end) - self._timeline.seconds_at(beat)

    def line_at(self, place: Place) -> LineBeat:
        """A place as a line; the lines after it are a bar apart."""
        beat = self._timeline.beat_of(place.bar, place.beat)
        return LineBeat(beat, self._timeline.meter_at(beat).bar_beats)

    def bar_line(self, bar: int) -> BarLine:
        """A bar, counted from 1, in device time."""
        line = self.line_at(Place(bar - 1, 0.0))
        seconds, meter = self._timeline.seconds_at(line.beat), self._timeline.meter_at(line.beat)
        return BarLine(bar, self.in_device_time(line).first_sample, self._timeline.bpm_at(seconds), str(meter))

    def in_device_time(self, line: LineBeat) -> Line:
        """The line in device time, by the tempo as it is now."""
        rate_hz = self._clock().rate_hz
        seconds, after = (self._timeline.seconds_at(beat) for beat in (line.beat, line.beat + line.every_beats))
        return Line(seconds * rate_hz, (after - seconds) * rate_hz)

    @property
    def now_sample(self) -> float:
        """What the device asks for now, in device time."""
        return self._clock().sample_at(time.monotonic())

    def seconds_until(self, sample: float) -> float:
        """How long until the device asks for a sample."""
        return self._clock().monotonic_at(sample) - time.monotonic()

    def beat_of(self, sample: float) -> float:
        """The beat at a device time, rounded to a thousandth: a line falls between two samples."""
        return round(self._timeline.beat_at(sample / self._clock().rate_hz), 3)

    def place_of(self, sample: float) -> Place:
        """The bar and beat at a device time; what began on a line is on it, even if a master has moved since."""
        beat = self.beat_of(sample)
        if self._source and abs(beat - round(beat)) < _MOVED_BEATS:
            beat = float(round(beat))
        return self._timeline.place_at(beat)

    def _now_seconds(self) -> float:
        clock = self._clock()
        return clock.sample_at(time.monotonic()) / clock.rate_hz

    def _clock(self) -> DeviceClock:
        if self._rate_hz is None:
            return self._stand_in
        # before its first block a device is at its beginning
        return read_device_clock(self._read_clock, self._rate_hz) or DeviceClock(0, time.monotonic(), self._rate_hz)
