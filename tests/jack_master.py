"""Roll, stop and locate JACK's transport, and say by which tempo its beats go: ``jack_master.py TEMPO_BPM``.

Says "ready" once it leads; obeys ``roll``, ``stop``, ``locate BEAT`` and ``tempo BPM`` on its standard input, and
answers each, and ``where``, with ``SECONDS BEAT ROLLING``: when the last period began, in monotonic time as its
callback saw it, and the beat there. (A server that does not keep up has another time than the machine.)

Not in the tests' own process: the JACK library remembers in every process the first server that it met.
"""

from __future__ import annotations

import sys
from time import monotonic
from typing import Any

import jack

METER_BEATS, TICKS_A_BEAT = 4, 1920


class Master:
    """Beats by the transport's frames, from where the tempo changed last."""

    def __init__(self, client: Any, tempo_bpm: float) -> None:
        self._client = client
        self._bpm, self._from_frame, self._from_beat = tempo_bpm, 0, 0.0
        self._next_bpm = tempo_bpm
        self._period = (0.0, 0.0, False)
        client.set_timebase_callback(self._tell_place)
        client.set_process_callback(self._note_period)

    def beat_of(self, frame: int) -> float:
        return self._from_beat + (frame - self._from_frame) / self._client.samplerate * self._bpm / 60.0

    def _note_period(self, _: int) -> None:
        now = monotonic()
        state, position = self._client.transport_query_struct()
        self._period = now, self.beat_of(position.frame), state == jack.ROLLING

    def _tell_place(self, state: int, frames: int, position: Any, is_new: bool) -> None:
        if self._bpm != self._next_bpm:
            beat = self.beat_of(position.frame)
            self._bpm, self._from_frame, self._from_beat = self._next_bpm, position.frame, beat
        beat = max(0.0, self.beat_of(position.frame))
        position.valid = jack.POSITION_BBT
        position.beats_per_minute = self._bpm
        position.beats_per_bar, position.beat_type, position.ticks_per_beat = METER_BEATS, 4, TICKS_A_BEAT
        position.bar, position.beat = int(beat) // METER_BEATS + 1, int(beat) % METER_BEATS + 1
        position.tick = int(beat % 1.0 * TICKS_A_BEAT)
        position.bar_start_tick = (position.bar - 1) * METER_BEATS * TICKS_A_BEAT

    def obey(self, order: str, *values: float) -> None:
        if order == "roll":
            self._client.transport_start()
        elif order == "stop":
            self._client.transport_stop()
        elif order == "locate":
            frame = self._from_frame + round((values[0] - self._from_beat) * 60.0 / self._bpm * self._client.samplerate)
            self._client.transport_frame = frame
        elif order == "tempo":
            self._next_bpm = values[0]

    def where(self) -> tuple[float, float, bool]:
        return self._period


def main() -> None:
    client = jack.Client("master", no_start_server=True)
    master = Master(client, float(sys.argv[1]))
    with client:
        client.transport_stop()
        client.transport_frame = 0
        say("ready")
        for line in sys.stdin:
            order, *values = line.split()
            master.obey(order, *map(float, values))
            say("{:.6f} {:.6f} {:d}".format(*master.where()))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
