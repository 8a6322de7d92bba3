"""Follows a MIDI clock: where its master is in the music, and at which tempo, through jitter, jumps and losses.

Pure: whoever feeds it brings the times. A tick is one of 24 in a quarter note. What is trusted is the line through the
ticks of the last seconds; where the newest ones leave it together, these explanations compete for them: the tempo
jumped, the clock was shifted a little, or ticks were lost or came twice. The simplest that fits is believed.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass
from typing import Literal

from bridge.clock.rate_estimator import RateEstimator
from bridge.clock.transport import FASTEST_BPM, SLOWEST_BPM

TICKS_A_BEAT = 24
TICKS_A_SIXTEENTH = 6
SONG_POSITION, TICK, START, CONTINUE, STOP = 0xF2, 0xF8, 0xFA, 0xFB, 0xFC
LOST_SECONDS = 0.5
"""So long without a tick, and three ticks of the last tempo, and the clock is lost."""

_MEMORY_SECONDS = 4.0
"""Of the line. Measured with times quantised to JACK's periods of 21 ms: within 2.6 ms and 0.15 % at 60 to 300 bpm."""
_FEWEST_NEWEST, _MOST_NEWEST = 12, 36
_NEWEST_TELL_TEMPO = 0.01
"""So many ticks are looked at together that they tell the tempo as closely as this: one alone says nothing where two
come at once, and then none for long, and a clock whose jitter adds up wanders as if its tempo changed."""
_FEWEST = 4
"""Of the newest, that a jump of the tempo is told by."""
_LEAVES_AT = 2.0
"""The newest leave the line when their median is so many times the noise from it."""
_CLIP = 3.0
"""A time farther from the line than so many times the noise pulls no harder than one there."""
_NOISE_SECONDS, _LEAST_NOISE_SECONDS = 0.007, 0.0008
"""Believed at first, and after a shift; and at least. A USB port has less than 1 ms, JACK 6 ms at 1024 samples."""
_NOISE_MEMORY_SECONDS = 12.0
_TELLS_TICKS = 6.0
"""A tick's length must be so many times the noise for lost and doubled ones to be told from noise."""
_DOUBLED_WITHIN = 8
"""A second tick within such a part of a tick's length, of which the next one is not due yet, is no tick."""
_HELD_UP_WITHIN = 4
"""Ticks that come late, and within such a part of a tick's length after one another, were held up on their way."""
_FITS_WITHIN = 3.0
"""Ticks are lost or doubled only if by that the others lie within so many times the noise: else it is new noise."""
_ANY_TEMPO, _SLIGHTLY_OTHER_TEMPO, _ANY_PHASE, _SAME_PHASE = 0.5, 0.01, 0.5, 0.1  # parts of a tick
_COUNTS_WITHIN = 0.25
"""Parts of a tick: if ticks are lost or doubled, the others come where they would have come without that."""
_SIMPLER_BY = 2.0
"""An explanation with less freedom is believed if its squares are no more than so many times the other's."""
_GAP_SECONDS = 0.3
"""Ticks that are missing for longer are counted by the clock at once: no tempo has a tick as long."""
_ALL_HAVE_COME_SECONDS = 0.05
"""After such a gap, ticks that were only held up have come, all at once: in two periods of JACK at most."""
_HELD_UP_COUNT_WITHIN = 0.25
"""They were held up if the ticks that came are as many as the clock counts, give or take such a part of the missing."""
_PAUSE_SECONDS = 2.0
"""After so long the clock begins anew, but for its tempo, which is still the best guess."""
_SURE_AFTER = 6
_SHORTEST, _LONGEST = (60.0 / (bpm * TICKS_A_BEAT) for bpm in (FASTEST_BPM * 1.02, SLOWEST_BPM / 1.02))

State = Literal["waiting", "running", "stopped", "lost"]


@dataclass(frozen=True)
class _Tick:
    number: int
    seconds: float
    error_seconds: float
    before: RateEstimator
    """The line as it was when the tick came."""


@dataclass
class _Gap:
    """No ticks came for long: they were lost, or held up on their way and come at once."""

    ended_seconds: float
    last_number: int
    """Of the last tick before it."""
    missing: int
    came: int = 1
    """Ticks since it ended."""


class MidiClockFollower:
    """All times are of one clock. Ticks are numbered from the first that ever came; the song begins at some of them."""

    def __init__(self) -> None:
        self._line: RateEstimator | None = None
        self._noise_squared = _NOISE_SECONDS**2
        self._newest: deque[_Tick] = deque(maxlen=_MOST_NEWEST)
        self._last_seconds = -math.inf
        self._ticks = 0
        self._gap: _Gap | None = None
        self._tempo_was_heard = False
        """Before that the line's is a guess, and tells nothing of ticks that are missing."""
        self._running = False
        self._song_begins = 0
        """The tick that is beat 0."""
        self._stopped_at = 0
        """The tick of the song that comes next when the master continues."""
        self._pending: int | None = None
        """The tick of the song that the next one is, if the master went there."""
        self.places = 0
        """How often the master began to play, or went somewhere else while it played."""

    # --- in ---------------------------------------------------------------------------------------------

    def hear(self, seconds: float, message: bytes) -> None:
        """One MIDI message that came then; what is none of a clock's is ignored."""
        status = message[0] if message else 0
        if status == TICK:
            self._hear_tick(seconds)
        elif status == START:
            self._running, self._pending = True, 0
        elif status == CONTINUE:
            if not self._running:
                self._running, self._pending = True, self._stopped_at
        elif status == STOP:
            if self._running:
                self._stopped_at = self._next_tick - self._song_begins if self._pending is None else self._pending
            self._running, self._pending = False, None
        elif status == SONG_POSITION and len(message) == 3:
            self._stopped_at = (message[1] | message[2] << 7) * TICKS_A_SIXTEENTH
            if self._running:
                self._pending = self._stopped_at

    def _hear_tick(self, seconds: float) -> None:
        silent_seconds = seconds - self._last_seconds
        if self._is_double(seconds):
            return
        self._last_seconds = seconds
        self._ticks += 1
        if self._gap and self._line and not self._is_told_after(self._gap, self._line, seconds):
            return
        if self._line is None:
            self._line = RateEstimator(0, seconds, 60.0 / (120.0 * TICKS_A_BEAT))
            self._doubt(self._line, period=_ANY_TEMPO)
        elif silent_seconds > max(_GAP_SECONDS, 2 * self._line.period_seconds):
            self._go_on_after(self._line, silent_seconds, seconds)
            if self._gap:
                return
        elif self._pending is not None:
            self._doubt(self._line, phase=_ANY_PHASE)
            self._newest.clear()
        number = self._next_tick
        if self._can_count and self._is_held_up(self._line, number, silent_seconds, seconds):
            self._line.skip_to(number)
            return
        if self._pending is not None:
            self._song_begins, self._pending = number - self._pending, None
            self.places += 1
        before = self._line.copy()
        error = self._pull(self._line, number, seconds, _CLIP)
        self._newest.append(_Tick(number, seconds, error, before))
        seen = min(error * error, 9 * self._noise_squared)
        self._noise_squared += (seen - self._noise_squared) * self._line.period_seconds / _NOISE_MEMORY_SECONDS
        newest = self._look_at(self._line)
        if not newest:
            return
        if abs(statistics.median(tick.error_seconds for tick in newest)) > _LEAVES_AT * self._noise_seconds:
            self._line = self._explain(newest)
            self._newest.clear()
        self._tempo_was_heard = True

    def _look_at(self, line: RateEstimator) -> list[_Tick]:
        """The newest ticks that are looked at together; none while there are too few."""
        # the slope through n times with noise has a standard deviation of noise sqrt(12 / n^3)
        count = (math.sqrt(12.0) * self._noise_seconds / (_NEWEST_TELL_TEMPO * line.period_seconds)) ** (2.0 / 3.0)
        newest = min(max(math.ceil(count), _FEWEST_NEWEST), _MOST_NEWEST)
        return list(self._newest)[-newest:] if len(self._newest) >= newest else []

    def _is_double(self, seconds: float) -> bool:
        """Whether a tick comes so soon after another one, on a clock that was steady, that it is the same."""
        line = self._line
        if line is None or len(self._newest) < _FEWEST_NEWEST or not self._can_count:
            return False
        next_is_due = seconds > line.seconds_at(self._next_tick - 0.5)
        return seconds - self._last_seconds < line.period_seconds / _DOUBLED_WITHIN and not next_is_due

    def _is_told_after(self, gap: _Gap, line: RateEstimator, seconds: float) -> bool:
        """Whether a tick after a gap came late enough to tell a time; then it has its number, the next one."""
        if self._pending is not None:
            self._gap, line.seconds = None, seconds - line.period_seconds  # it begins here, whatever was held up before
            return True
        gap.came += 1
        if seconds < gap.ended_seconds + _ALL_HAVE_COME_SECONDS:
            return False
        by_the_clock, by_ticks = round(line.count_at(seconds)), gap.last_number + gap.came
        held_up = abs(by_the_clock - by_ticks) <= _HELD_UP_COUNT_WITHIN * gap.missing
        line.skip_to((by_ticks if held_up else by_the_clock) - 1)
        self._gap = None
        return True

    def _is_held_up(self, line: RateEstimator, number: int, silent_seconds: float, seconds: float) -> bool:
        """Whether a tick was due long ago, and comes at once after another: its time tells nothing."""
        at_once = silent_seconds < line.period_seconds / _HELD_UP_WITHIN
        return at_once and self._pending is None and seconds > line.seconds_at(number + 0.5)

    def _go_on_after(self, line: RateEstimator, silent_seconds: float, seconds: float) -> None:
        """The ticks come again: the music went on without them."""
        self._newest.clear()
        paused = silent_seconds > _PAUSE_SECONDS
        self._doubt(line, phase=_ANY_PHASE, period=_ANY_TEMPO if paused else _SLIGHTLY_OTHER_TEMPO)
        if self._pending is not None:  # it begins with this tick, whatever was before
            line.seconds = seconds - line.period_seconds
            return
        missing = round(line.count_at(seconds)) - self._next_tick
        if missing > 0:
            self._gap = _Gap(seconds, round(line.count), missing)
            line.skip_to(self._next_tick + missing)

    def _pull(self, line: RateEstimator, number: int, seconds: float, clip: float) -> float:
        """Pull a line to a tick; returns how far from the line that is."""
        error = seconds - line.seconds_at(number)
        most = clip * self._noise_seconds * math.sqrt(1.0 + line.variance_at(number))
        pulling = min(max(error, -most), most)
        ticks = max(8.0, _MEMORY_SECONDS / line.period_seconds)
        line.add(number, seconds - error + pulling, kept=1.0 - 2.0 / ticks)
        line.period_seconds = min(max(line.period_seconds, _SHORTEST), _LONGEST)
        return error

    def _doubt(self, line: RateEstimator, *, phase: float = 0.0, period: float = 0.0) -> None:
        """By parts of a tick."""
        noises = line.period_seconds / self._noise_seconds
        line.doubt((phase * noises) ** 2, (period * noises) ** 2)

    # --- what the newest ticks mean that leave the line ---------------------------------------------------

    def _explain(self, newest: list[_Tick]) -> RateEstimator:
        """The line from here on."""
        tick_seconds, noise_squared = newest[0].before.period_seconds, self._noise_seconds**2
        other_tempo = self._best(newest, period=_ANY_TEMPO)
        shifted = self._best(newest, phase=_ANY_PHASE, period=_SLIGHTLY_OTHER_TEMPO)

        def fits_as_well(squares: float, as_squares: float) -> bool:
            return squares <= _SIMPLER_BY * as_squares + 2 * noise_squared

        is_shifted = fits_as_well(shifted[0], other_tempo[0])
        squares, line = shifted if is_shifted else other_tempo
        if self._can_count and self._tempo_was_heard:
            missing = {round(tick.error_seconds / tick_seconds) for tick in newest} - {0}
            counted = [
                self._best(newest, missing=each, phase=_SAME_PHASE, period=_SLIGHTLY_OTHER_TEMPO) for each in missing
            ]
            at, before = newest[-1].number + 1, newest[0].before
            moved_most = _COUNTS_WITHIN * tick_seconds
            counted = [each for each in counted if abs(each[1].seconds_at(at) - before.seconds_at(at)) <= moved_most]
            best = min(counted, key=lambda each: each[0], default=None)
            most = len(newest) * _FITS_WITHIN**2 * noise_squared
            if best and best[0] <= most and fits_as_well(best[0], min(squares, shifted[0], other_tempo[0])):
                return best[1]
        self._noise_squared = max(self._noise_squared, squares / len(newest))
        if is_shifted:  # it may be noise of a kind that was not seen before
            self._noise_squared = max(self._noise_squared, _NOISE_SECONDS**2)
        return line

    def _best(
        self, ticks: list[_Tick], *, missing: int = 0, phase: float = 0.0, period: float = 0.0
    ) -> tuple[float, RateEstimator]:
        """The line by one explanation from the tick on for which it fits best, and its sum of squares."""
        found = []
        for first in range(len(ticks) - _FEWEST):
            line = ticks[first].before.copy()
            self._doubt(line, phase=phase, period=period)
            for tick in ticks[first:]:
                self._pull(line, tick.number + missing, tick.seconds, math.inf)
            squares = sum(tick.error_seconds**2 for tick in ticks[:first])
            squares += sum((tick.seconds - line.seconds_at(tick.number + missing)) ** 2 for tick in ticks[first:])
            found.append((squares, line))
        return min(found, key=lambda each: each[0])

    # --- out --------------------------------------------------------------------------------------------

    def state_at(self, seconds: float) -> State:
        """``waiting``: no clock was heard yet, or too little of it; ``lost``: it plays, but no ticks come."""
        if self._line is None or self._ticks < _SURE_AFTER:
            return "waiting"
        if not self._running:
            return "stopped"
        silent_seconds = seconds - self._last_seconds
        return "lost" if silent_seconds > max(LOST_SECONDS, 3 * self._line.period_seconds) else "running"

    @property
    def tempo_bpm(self) -> float | None:
        """The last tempo that was heard; None before that."""
        if self._line is None or self._ticks < _SURE_AFTER:
            return None
        return min(max(60.0 / (TICKS_A_BEAT * self._line.period_seconds), SLOWEST_BPM), FASTEST_BPM)

    def beat_at(self, seconds: float) -> float | None:
        """Where in the song the master is, also when its ticks are lost; None: it does not play."""
        if self._line is None or self._ticks < _SURE_AFTER or not self._running or self._pending is not None:
            return None
        return (self._line.count_at(seconds) - self._song_begins) / TICKS_A_BEAT

    @property
    def _can_count(self) -> bool:
        """Whether lost and doubled ticks can be told from noise."""
        return self._line is not None and self._noise_seconds * _TELLS_TICKS < self._line.period_seconds

    @property
    def _next_tick(self) -> int:
        return round(self._line.count) + 1 if self._line and self._ticks > 1 else 0

    @property
    def _noise_seconds(self) -> float:
        return max(_LEAST_NOISE_SECONDS, math.sqrt(self._noise_squared))
