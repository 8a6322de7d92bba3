"""Roll, stop and locate JACK's transport, and say by which tempo its beats go: ``jack_master.py TEMPO_BPM``.

Says "ready" once it leads; obeys ``roll``, ``stop``, ``locate BEAT`` and ``tempo BPM`` on its standard input, and
answers each, and ``where``, with ``SECONDS BEAT ROLLING LATE``: when the last period began, in monotonic time as its
callback saw it, and the beat there (a server that does not keep up has another time than the machine); and by how much
`jack_midi_clock` was late at the first tick since it began to play or went elsewhere, in seconds, to the sample.

Not in the tests' own process: the JACK library remembers in every process the first server that it met.
"""

from __future__ import annotations

import errno
import sys
from time import monotonic
from typing import Any

import jack
from jack_client import open_client

METER_BEATS, TICKS_A_BEAT = 4, 1920
CLOCK_PORT = "jack_midi_clock:mclk_out"


class Master:
    """Beats by the transport's frames, from where the tempo changed last."""

    def __init__(self, client: Any, tempo_bpm: float) -> None:
        self._client = client
        self._bpm, self._from_frame, self._from_beat = tempo_bpm, 0, 0.0
        self._next_bpm = tempo_bpm
        self._period = (0.0, 0.0, False)
        self._clock_in = client.midi_inports.register("clock")
        self._song_beat: float | None = None
        """The beat that the clock said it would go on from; None: it plays on."""
        self._clock_plays = False
        self._clock_late = 0.0
        client.set_timebase_callback(self._tell_place)
        client.set_process_callback(self._note_period)

    def beat_of(self, frame: int) -> float:
        return self._from_beat + (frame - self._from_frame) / self._client.samplerate * self._bpm / 60.0

    def _note_period(self, _: int) -> None:
        now = monotonic()
        state, position = self._client.transport_query_struct()
        self._period = now, self.beat_of(position.frame), state == jack.ROLLING
        for offset, message in self._clock_in.incoming_midi_events():
            self._hear_clock(bytes(message), self.beat_of(position.frame + offset))

    def _hear_clock(self, message: bytes, beat: float) -> None:
        match message[0]:
            case 0xF2:  # song position
                self._song_beat = (message[1] | message[2] << 7) / 4
            case 0xFA:  # start
                self._song_beat, self._clock_plays = 0.0, True
            case 0xFB:  # continue
                self._clock_plays = True
            case 0xFC:  # stop
                self._clock_plays = False
            case 0xF8 if self._clock_plays and self._song_beat is not None:
                self._clock_late = (beat - self._song_beat) * 60.0 / self._bpm
                self._song_beat = None

    def hear_clock(self) -> None:
        """Connect it, once it is there."""
        for port in self._client.get_ports(CLOCK_PORT):
            if not self._clock_in.is_connected_to(port):
                try:
                    self._client.connect(port, self._clock_in)
                except jack.JackErrorCode as error:
                    if error.code != errno.EEXIST:  # just connected: a busy server tells of it late
                        raise

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

    def where(self) -> tuple[float, float, bool, float]:
        return *self._period, self._clock_late


def main() -> None:
    client = open_client("master")
    master = Master(client, float(sys.argv[1]))
    with client:
        client.transport_stop()
        client.transport_frame = 0
        say("ready")
        for line in sys.stdin:
            order, *values = line.split()
            master.hear_clock()
            master.obey(order, *map(float, values))
            say("{:.6f} {:.6f} {:d} {:.6f}".format(*master.where()))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
