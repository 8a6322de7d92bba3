"""Planned notes from a DAW's seat: it leads by MIDI clock, takes begin on its bars, and their plans come as MIDI.

The clock is `jack_midi_clock`, led by JACK's transport at 120 bpm; the notes are recorded by another client of the
server. A note is promised when the take's beginning, which the `plan` events tell, the note's onset in the take's file
and the output's latency say that it is heard; between these the server's own samples are counted. JACK delivers MIDI
in periods of 1024 samples (21.3 ms), all of a period at once, so that notes come up to a period late; what is constant
of that, a DAW's track delay takes away. A clock that loses ticks on a busy machine leaves the bar by one 24th each.
"""

from __future__ import annotations

import json
import logging
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from clock_rig import CLOCK_PORT, TransportMaster, clock_master
from jack_rig import jack_server
from live_daemon import Player, client, pairs
from midi_daw import MidiTrack, PlayedNote, midi_track

from tests.figures.support.program import run
from tests.figures.support.served_daemon import DEVICE, PATIENCE_SECONDS, served

_LOG = logging.getLogger(__name__)

BPM, BAR_BEATS = 120.0, 4
_SETTLING_SECONDS = 4.0
"""The follower's first two bars."""
_PORTS_SECONDS = 30.0
_LOOK_SECONDS = 0.05
_AFTER_SECONDS = 0.5
"""The last notes are heard after a take's end is told."""


def measure(folder: Path, *, takes: int, bars: int) -> dict[str, object]:
    """Args:
    takes: how many.
    bars: of each take.
    """
    late: list[float] = []
    from_bar: list[float] = []
    missed = told = 0
    with (
        jack_server(synchronous=False, realtime=True),
        midi_track("daw") as track,
        clock_master(BPM) as master,
        served(
            folder / "takes", "--audio-out", DEVICE,
            "--midi-in", CLOCK_PORT, "--midi-notes-out", "daw", "--midi-system", "jack",
        ) as daemon,
        client(daemon) as player,
    ):  # fmt: skip
        _begin(player, master)
        for number in range(takes):
            before = len(track.played)
            take = _take(player, master, number, bars)
            played = _played_of(track, before, len(take.promised))
            told += len(take.promised)
            missed += len(take.promised) - len(played)
            late += [1e3 * (note.at_seconds - promised) for note, promised in zip(played, take.promised, strict=False)]
            from_bar.append(take.from_bar_ms)
            _LOG.info("take %d: %d notes, %d came", number, len(take.promised), len(played))
    typical, about = statistics.median(late), sorted(abs(each - statistics.median(late)) for each in late)
    return {
        "notes": told,
        "notes_that_did_not_come": missed,
        "late_ms": {"median": round(typical, 2), "99th": round(sorted(late)[int(0.99 * len(late))], 2),
                    "worst": round(max(late), 2), "earliest": round(min(late), 2)},
        "off_the_median_ms": {"median": round(statistics.median(about), 2),
                              "99th": round(about[int(0.99 * len(about))], 2), "worst": round(about[-1], 2)},
        "beginning_of_takes_after_the_masters_bar_ms": [round(each, 1) for each in from_bar],
    }  # fmt: skip


def _begin(player: Player, master: TransportMaster) -> None:
    """Have the daemon follow the master, which plays."""
    deadline = time.monotonic() + _PORTS_SECONDS
    while "daw" not in str((status := player.ask("status"))["notes_out"]) or CLOCK_PORT not in str(status["midi_in"]):
        assert time.monotonic() < deadline, status
        time.sleep(0.1)
    for name, value in (("clock", "midi"), ("plan", "on"), ("density", 2.0)):
        player.send("set", name, value)
        player.wait_for("done", "set", -1, name)
    player.send("subscribe")
    master.order("roll")
    player.wait_for("event", "clock", "midi", "running")
    player.run_job("generate", 99, "seconds", 1.0, seconds=PATIENCE_SECONDS)  # the score model is ready then
    time.sleep(_SETTLING_SECONDS)


class _Transport:
    """JACK's transport as a clock: beats are its samples, which the server may lose time over."""

    def __init__(self, master: TransportMaster) -> None:
        self._master = master
        self._seconds: list[float] = []
        self._beats: list[float] = []

    def look(self) -> None:
        """To be called several times a second."""
        where = self._master.where()
        if not self._seconds or where.seconds > self._seconds[-1]:
            self._seconds.append(where.seconds)
            self._beats.append(where.beat)

    def beat_at(self, seconds: float) -> float:
        return float(np.interp(seconds, self._seconds, self._beats))

    def seconds_at(self, beat: float) -> float:
        return float(np.interp(beat, self._beats, self._seconds))


@dataclass(frozen=True)
class _Take:
    promised: list[float]
    """Monotonic times."""
    from_bar_ms: float
    """From the master's bar to where the take is heard to begin."""


def _take(player: Player, master: TransportMaster, number: int, bars: int) -> _Take:
    """Play a take; when its notes are promised."""
    transport = _Transport(master)
    player.send("subscribe")
    player.send("generate", number, "bars", bars, "seed", number, "quantise", "bar")
    deadline, ended_at, latency = time.monotonic() + PATIENCE_SECONDS, 0.0, 0.0
    finished: dict[str, object] = {}
    told: list[tuple[float, float]] = []
    while time.monotonic() < deadline and not (finished and time.monotonic() > ended_at + _AFTER_SECONDS):
        transport.look()
        message = player.receive(_LOOK_SECONDS)
        now = time.monotonic()
        if message is None:
            continue
        if message.address == "/melnet/event" and message.values[0] == "plan":
            told.append((now, float(str(pairs(["", *message.values])["start_in"]))))
        elif message.address == "/melnet/started":
            latency = float(str(pairs(message.values)["latency"]))
        elif message.address == "/melnet/finished":
            finished, ended_at = pairs(message.values), now
    saved = json.loads(Path(str(finished["file"])).with_suffix(".json").read_text())["notes"]
    onsets = [onset for onset, *_ in saved if onset < float(str(finished["seconds"]))]
    begins = [
        transport.beat_at(at) + (start_in - onset) * BPM / 60
        for (at, start_in), onset in zip(told, onsets, strict=True)
    ]
    begin = statistics.median(begins)
    heard = begin + latency * BPM / 60
    return _Take(
        [transport.seconds_at(begin + onset * BPM / 60) + latency for onset in onsets],
        1e3 * ((heard + BAR_BEATS / 2) % BAR_BEATS - BAR_BEATS / 2) * 60 / BPM,
    )


def _played_of(track: MidiTrack, before: int, count: int) -> list[PlayedNote]:
    """The take's notes as they came; they may come a little after the end is told."""
    try:
        track.wait_until(lambda: len(track.played) >= before + count and not track.sounding, "all notes")
    except AssertionError:
        _LOG.warning("not all notes came")
    return track.played[before : before + count]


if __name__ == "__main__":
    run(measure, takes=8, bars=4)
