"""Planned notes from a DAW's seat: it leads by MIDI clock, takes begin on its bars, and their plans come as MIDI.

The clock is `jack_midi_clock`, led by JACK's transport at 120 bpm; the notes are recorded by another client of the
server. A note is promised when the take's beginning, which the `plan` events tell, the note's onset in the take's file
and the output's latency say that it is heard. JACK delivers MIDI in periods of 1024 samples (21.3 ms), all of a period
at once, so that notes come up to a period late; what is constant of that, a DAW's track delay takes away.
"""

from __future__ import annotations

import json
import logging
import statistics
import time
from pathlib import Path

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
            notes = _take(player, number, bars)
            played = _played_of(track, before, len(notes))
            told += len(notes)
            missed += len(notes) - len(played)
            late += [1e3 * (note.at_seconds - promised) for note, (promised, _) in zip(played, notes, strict=False)]
            if played:
                from_bar.append(_from_bar_ms(master, played[0].at_seconds - notes[0][1]))
            _LOG.info("take %d: %d notes, %d came", number, len(notes), len(played))
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


def _take(player: Player, number: int, bars: int) -> list[tuple[float, float]]:
    """Play a take; its notes that were told: the monotonic time at which each is promised, and its onset."""
    player.send("subscribe")
    player.send("generate", number, "bars", bars, "seed", number, "quantise", "bar")
    deadline, latency = time.monotonic() + PATIENCE_SECONDS, 0.0
    begun: list[tuple[float, int]] = []
    finished: dict[str, object] = {}
    while not finished and time.monotonic() < deadline:
        message = player.receive(1.0)
        now = time.monotonic()
        if message is None:
            continue
        if message.address == "/melnet/event" and message.values[0] == "plan":
            said = pairs(["", *message.values])
            begun.append((now + float(str(said["start_in"])), int(str(said["key"]))))
        elif message.address == "/melnet/started":
            latency = float(str(pairs(message.values)["latency"]))
        elif message.address == "/melnet/finished":
            finished = pairs(message.values)
    saved = json.loads(Path(str(finished["file"])).with_suffix(".json").read_text())["notes"]
    onsets = [onset for onset, *_ in saved if onset < float(str(finished["seconds"]))]
    begins = [at - onset for (at, _), onset in zip(begun, onsets, strict=True)]
    begin = statistics.median(begins)
    return [(begin + onset + latency, onset) for onset in onsets]


def _played_of(track: MidiTrack, before: int, count: int) -> list[PlayedNote]:
    """The take's notes as they came; they may come a little after the end is told."""
    try:
        track.wait_until(lambda: len(track.played) >= before + count and not track.sounding, "all notes")
    except AssertionError:
        _LOG.warning("not all notes came")
    return track.played[before : before + count]


def _from_bar_ms(master: TransportMaster, at_seconds: float) -> float:
    where = master.where()
    beat = where.beat + (at_seconds - where.seconds) * BPM / 60
    return 1e3 * ((beat + BAR_BEATS / 2) % BAR_BEATS - BAR_BEATS / 2) * 60 / BPM


if __name__ == "__main__":
    run(measure, takes=8, bars=4)
