"""The ring between player and audio process: when its samples may sound, and how they are silenced.

Three parties, and every control word has exactly one that writes it:

- the player writes samples, says up to which of them may sound and from when on (``open``, ``finish``), takes back
  what is far from being read, cuts a take short, and shows that it lives (``beat``);
- the audio process's callback fills every block (``play``): samples while they may sound, silence otherwise,
  counting what it had to leave silent inside a take, where it fades out and in again, and tells how many samples the
  device has asked for (``clock``);
- the stage sets the level, and can hush everything without waiting for a busy or dead player.

Device time is that count of samples: it names the place of a bar line to the sample. Where a device was away it counts
on by the clock, so that bars, tape and loop are where they would be without the outage.
"""

from __future__ import annotations

import time
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from bridge.audio.loop_player import LoopPlayer
from bridge.audio.ring import _READ, _WRITTEN, Ring
from bridge.audio.shared_clock import SharedClock
from bridge.audio.shared_samples import Samples

FADE_SAMPLES = 480
"""10 ms at 48 kHz, 11 ms at 44.1 kHz: too short to hear as a fade, too long to hear as a click."""
TAKE_BACK_GUARD_SAMPLES = 8192
"""What is to sound sooner is not taken back: more than a device asks for at once."""
_LEVEL_RAMP_SAMPLES = 1024
_WITHOUT_END = 1 << 62

# The player's words.
_ALLOWED = 9  # the count up to which samples may sound
_CUT = 10  # samples before this count are to be dropped
_HUSH_ANSWERED = 11
_GATE = 12  # in device time: before it nothing may sound
_BEATS = 13
_LONGER = 14  # a double: seconds
_WORKED = 15  # likewise
# Words that the audio process writes.
_MISSING = 17
_UNDERRUNS = 18
_CALLBACKS = 19
_HUSHED = 20
_CLOCK = 21  # to 23: samples the device has asked for before the last block (device time), and when that was
# The stage's words.
_HUSH = 24
_LEVEL = 25  # a double
# Words that the audio process writes, on a cache line that is seldom written.
_BEGAN = 28  # device time at which it last began to sound after silence
_BEGAN_COUNT = 29  # and the count of the sample that it began with


class OutputRing(Ring):
    """A ring whose reader always gets a full block."""

    def __init__(self, memory: SharedMemory, *, owner: bool) -> None:
        super().__init__(memory, owner=owner)
        assert memory.buf is not None  # it is open
        self._doubles = memory.buf[: 8 * (_LEVEL + 1)].cast("d")
        if owner:
            self._doubles[_LEVEL] = 1.0
        self._clock = SharedClock(self._words, self._doubles, _CLOCK)
        self._fade_out = np.linspace(1.0, 0.0, FADE_SAMPLES, dtype=np.float32)
        self._fade_in = self._fade_out[::-1].copy()
        self._risen_samples = FADE_SAMPLES
        """How far sound has come back that had run dry; all: it is whole."""
        self._tail = np.zeros(FADE_SAMPLES, np.float32)
        self._next_tail = np.zeros(FADE_SAMPLES, np.float32)
        self._tail_place = FADE_SAMPLES
        self._counting = np.arange(1, _LEVEL_RAMP_SAMPLES + 1, dtype=np.float32)
        self._level_ramp = np.empty(_LEVEL_RAMP_SAMPLES, np.float32)
        self._faded_samples = 0
        self._last_block_samples = 0
        self._resumed_hz = 0
        self._sounding = False
        self._gain = self._doubles[_LEVEL]

    # --- the player -------------------------------------------------------------------------------------

    def open(self, at: int = 0) -> None:
        """Player only: what is not read yet may sound from device time ``at`` on; what is missing then is an underrun.

        Device time that is past already is at once.
        """
        self.hold_until(at)
        self._words[_ALLOWED] = _WITHOUT_END

    def hold_until(self, at: int) -> None:
        """Player only: what may sound does so from device time ``at`` on."""
        self._words[_GATE] = at

    def finish(self) -> None:
        """Player only: the take ends with the last sample written; silence after it is no underrun."""
        self._words[_ALLOWED] = self.written

    def take_back(self, count: int) -> bool:
        """Player only: forget what is written from a count on, to write it anew; False: it is too late for that."""
        written = self.written
        if not self.read + TAKE_BACK_GUARD_SAMPLES <= count <= written:
            return False
        self._words[_WRITTEN] = count
        if self.read <= count:
            return True
        self._words[_WRITTEN] = written  # this process was held up in between; nothing is overwritten yet
        return False

    def cut(self) -> None:
        """Player only: fade out what sounds and drop all that is written."""
        self._words[_ALLOWED] = self.written
        self._words[_CUT] = self.written

    def answer_hush(self) -> None:
        """Player only: nothing written before the last ``hush`` is coming any more."""
        self.cut()
        self._words[_HUSH_ANSWERED] = self._words[_HUSH]

    def beat(self, longer_seconds: float = 0.0) -> None:
        """Player only: it lives; the next beat may be so much later than usual."""
        self._doubles[_LONGER] = longer_seconds
        self._doubles[_WORKED] = time.process_time()
        self._words[_BEATS] += 1

    # --- the stage --------------------------------------------------------------------------------------

    def hush(self) -> None:
        """Stage only: fade out now, and drop whatever is written until the player answers."""
        self._words[_HUSH] += 1

    def set_level(self, level: float) -> None:
        """Stage only: the gain, reached within one block."""
        self._doubles[_LEVEL] = level

    # --- any process ------------------------------------------------------------------------------------

    @property
    def beats(self) -> int:
        """How often the player has shown that it lives."""
        return self._words[_BEATS]

    @property
    def longer_seconds(self) -> float:
        """How much later than usual its next beat may be."""
        return self._doubles[_LONGER]

    @property
    def worked_seconds(self) -> float:
        """Processor time that the player has taken, all its threads together; it begins anew with another player."""
        return self._doubles[_WORKED]

    @property
    def missing_samples(self) -> int:
        """Samples inside takes that were silence because they came too late."""
        return self._words[_MISSING]

    @property
    def underruns(self) -> int:
        """Blocks in which samples were missing."""
        return self._words[_UNDERRUNS]

    @property
    def callbacks(self) -> int:
        """Blocks played: grows for as long as the sound device lives."""
        return self._words[_CALLBACKS]

    def clock(self) -> tuple[int, float]:
        """Device time of the last block's first sample, and monotonic seconds at which the device asked for it.

        (0, 0.0) before the first block.
        """
        return self._clock.read()

    def device_time(self, count: int) -> int:
        """When a sample of what sounds, or sounded last, is asked for: by its count, in device time."""
        return self._words[_BEGAN] + count - self._words[_BEGAN_COUNT]

    @property
    def hushed(self) -> bool:
        """Whether the audio process has faded out for the last ``hush``."""
        return self._words[_HUSHED] == self._words[_HUSH]

    # --- the audio process ------------------------------------------------------------------------------------

    @property
    def asked(self) -> int:
        """Audio process only, real-time safe: device time of the last block's first sample."""
        return self._clock.count

    def resume(self, rate_hz: int) -> None:
        """Audio process only, before its first block: device time went on at this rate meanwhile."""
        self._resumed_hz = rate_hz

    def play(self, out: Samples, now_seconds: float = 0.0, loop: LoopPlayer | None = None) -> None:
        """Audio process only, real-time safe: fill ``out`` float32[n]; makes no array of samples.

        Args:
            now_seconds: monotonic time.
            loop: is added, at the same level.
        """
        words = self._words
        words[_CALLBACKS] += 1
        self._clock.tell(
            self._clock.count + (self._last_block_samples or self._outage_samples(now_seconds)), now_seconds
        )
        self._last_block_samples = len(out)
        hushing = words[_HUSH] != words[_HUSH_ANSWERED]
        until = words[_WRITTEN] if hushing else words[_CUT]
        dry_at = len(out)
        if hushing or until > words[_READ]:
            self._fade(out, until)
            if hushing and not self._sounding:
                words[_HUSHED] = words[_HUSH]
        else:
            dry_at = self._continue(out)
        self._add_tail(out[:dry_at])
        if dry_at < len(out):
            self._begin_tail()
            self._add_tail(out[dry_at:])
        if loop:
            loop.add(out, self._clock.count)
        self._scale(out)

    def _outage_samples(self, now_seconds: float) -> int:
        """For how long no audio process was asked for anything, before this one's first block."""
        last_seconds = self._clock.read()[1]
        return max(0, round((now_seconds - last_seconds) * self._resumed_hz)) if last_seconds else 0

    def _continue(self, out: Samples) -> int:
        """Play what may sound; returns where in ``out`` it ran dry: nowhere at its length."""
        words = self._words
        silent = min(len(out), max(0, words[_GATE] - self._clock.count))
        out[:silent] = 0.0
        sound = out[silent:]
        wanted = min(len(sound), max(0, words[_ALLOWED] - words[_READ]))
        count = max(0, min(wanted, words[_WRITTEN] - words[_READ]))  # what is taken back may be read already
        if not wanted:
            self._risen_samples = FADE_SAMPLES  # what ran dry is over, and the next take begins as it is
        if count and not self._sounding:
            words[_BEGAN_COUNT] = words[_READ]
            words[_BEGAN] = self._clock.count + silent
        self._copy(sound, count)
        rising = min(count, FADE_SAMPLES - self._risen_samples)
        if rising:
            sound[:rising] *= self._fade_in[self._risen_samples : self._risen_samples + rising]
            self._risen_samples += rising
        sound[count:] = 0.0
        words[_READ] += count
        ran_dry = count < wanted and (count > 0 or self._sounding)
        if count < wanted:
            words[_MISSING] += wanted - count
            words[_UNDERRUNS] += 1
        self._sounding = 0 < count == wanted
        return silent + count if ran_dry else len(out)

    def _begin_tail(self) -> None:
        """What is played after the last sample before a gap: the last ones once more, backwards and falling."""
        words, tail = self._words, self._next_tail
        count = min(self._risen_samples, words[_READ] - words[_BEGAN_COUNT], self.capacity_samples)
        start = (words[_READ] - count) & (self.capacity_samples - 1)
        first = min(count, self.capacity_samples - start)
        falling = FADE_SAMPLES - self._risen_samples  # from as loud as it is
        backwards = tail[:count][::-1]
        backwards[:first] = self._samples[start : start + first]
        backwards[first:] = self._samples[: count - first]
        tail[:count] *= self._fade_out[falling : falling + count]
        tail[count:] = 0.0
        left = FADE_SAMPLES - self._tail_place  # of one from a gap just before
        tail[:left] += self._tail[self._tail_place :]
        self._tail, self._next_tail = tail, self._tail
        self._tail_place = self._risen_samples = 0

    def _add_tail(self, out: Samples) -> None:
        count = min(len(out), FADE_SAMPLES - self._tail_place)
        if count:
            out[:count] += self._tail[self._tail_place : self._tail_place + count]
            self._tail_place += count

    def _fade(self, out: Samples, until: int) -> None:
        """Play the rest of the fade, then drop everything up to the count ``until``."""
        words = self._words
        until = max(until, words[_READ])
        count = 0
        if self._sounding:
            if not self._faded_samples:  # from as loud as it is
                self._faded_samples = FADE_SAMPLES - self._risen_samples
            left = min(FADE_SAMPLES - self._faded_samples, until - words[_READ])
            count = min(len(out), left)
            self._copy(out, count)
            out[:count] *= self._fade_out[self._faded_samples : self._faded_samples + count]
            words[_READ] += count
            self._faded_samples += count
            self._sounding = count < left
        out[count:] = 0.0
        if not self._sounding:
            self._faded_samples = 0
            self._risen_samples = FADE_SAMPLES
            words[_READ] = until

    def _scale(self, out: Samples) -> None:
        level = self._doubles[_LEVEL]
        if level != self._gain:
            ramp = self._level_ramp[: len(out)]
            np.multiply(self._counting[: len(ramp)], (level - self._gain) / max(1, len(ramp)), out=ramp)
            ramp += self._gain
            out[: len(ramp)] *= ramp
            out[len(ramp) :] *= level
            self._gain = level
        elif level != 1.0:
            out *= level

    def close(self) -> None:
        self._doubles.release()
        super().close()
