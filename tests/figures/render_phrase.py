"""A two-bar phrase played on keys: how much of it is heard when the model voices it, and where it goes on from.

    python -m tests.figures.render_phrase [--takes 8]

The phrase is at 120 bpm: a bass, chords and a melody. Voiced out of nothing, as it is, and as a continuation of the
preset's phrase would be, with so many seeds: notes by pitch and onset (70 ms) and moments of onset that are heard, as
`evaluate` counts them; the control is the same phrase transposed by a tritone and turned round in time. Then by the
whole daemon on a JACK server without hardware: the keys are played in time with its bars, and `continue ... quantise
bar` is sent as the last ones go up.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
from jack_rig import jack_server
from live_daemon import client, live_daemon, pairs, wait_ready

from bridge.player.settings import INSTRUMENT_FACTORY
from melnet_music.evaluation.measures.descriptors import Description, describe
from melnet_music.evaluation.measures.detection import Hits, note_hits, onset_hits
from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.phrase import rendered_phrase
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.model.preset import PHRASE_FILE, find_preset
from melnet_music.notes.note_map import Note
from melnet_music.sound.audio_file import read_audio

BEAT_SECONDS = 0.5
PHRASE_SECONDS = 8 * BEAT_SECONDS
_BARS = (((48, 60, 64, 67), (72, 74, 76, 72)), ((43, 59, 62, 67), (74, 71, 67, 71)))
"""Each with what is held and what the melody is, a note a beat."""


def phrase() -> tuple[Note, ...]:
    """Two bars."""
    notes = []
    for bar, (held, melody) in enumerate(_BARS):
        begin = 4 * bar * BEAT_SECONDS
        notes += [Note(begin, begin + 3.9 * BEAT_SECONDS, pitch, 70) for pitch in held]
        for beat, pitch in enumerate(melody):
            at = begin + beat * BEAT_SECONDS
            notes.append(Note(at, at + 0.9 * BEAT_SECONDS, pitch, 100))
    return tuple(sorted(notes, key=lambda note: (note.onset_s, note.pitch)))


def shuffled(notes: tuple[Note, ...]) -> tuple[Note, ...]:
    """Other pitches at other times, as many."""
    return tuple(
        Note(PHRASE_SECONDS - note.end_s, PHRASE_SECONDS - note.onset_s, note.pitch + 6, note.velocity)
        for note in notes
    )


def live(folder: Path) -> None:
    """The keys in time with the daemon's bars; says where the continuation was made to begin."""
    with (
        jack_server(synchronous=False),
        live_daemon(folder, preset="piano", factory=INSTRUMENT_FACTORY, output="system, JACK") as daemon,
        client(daemon) as player,
    ):
        wait_ready(player)
        player.send("notes/prompt/start")
        player.wait_for("done", "notes/prompt/start")
        player.send("transport/locate", 1)
        player.wait_for("done", "transport/locate")
        began = time.monotonic()
        events = [(note.onset_s, note.pitch, note.velocity) for note in phrase()]
        events += [(note.end_s, note.pitch, 0) for note in phrase()]
        for at, key, velocity in sorted(events, key=lambda event: (event[0], event[2])):
            time.sleep(max(0.0, began + at - time.monotonic()))
            player.send("note", key, velocity)
        player.send("continue", 1, "seconds", 4.0, "seed", 1, "quantise", "bar")
        done = pairs(player.wait_for("done", "continue", 1))
        started = pairs(player.wait_for("started", "continue", 1))
        finished = pairs(player.wait_for("finished", "continue", 1, seconds=60.0))
        how = json.loads(Path(str(finished["file"])).with_suffix(".json").read_text())
        tell(
            f"live: promised bar {done['bar']} beat {done['beat']} in {done['start_in']:.2f} s; began on bar "
            f"{started['bar']} beat {started['beat']}, {how['skip_seconds']:.3f} s after where the phrase ended; "
            f"gaps {finished['gaps']}"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--takes", type=int, default=8)
    parser.add_argument("--temperature", type=float, help="(the preset's own)")
    parser.add_argument("--preset", default="piano")
    chosen = parser.parse_args()
    instrument, notes = Instrument.load(chosen.preset), phrase()
    heard = read_audio(find_preset(chosen.preset) / PHRASE_FILE).mono_at(instrument.sample_rate_hz)
    tell(
        "| | notes: recall | precision | control: recall | onsets: recall | precision | level, dBFS | of what follows |"
    )
    tell("|---|---|---|---|---|---|---|---|")
    for after in (False, True):
        given, control, onsets, levels, follows = (
            list[Hits](),
            list[Hits](),
            list[Hits](),
            list[float](),
            list[float](),
        )
        for seed in range(chosen.takes):
            instrument.clear()
            if after:
                instrument.hear(heard)
            request = TakeRequest(PHRASE_SECONDS, seed, chosen.temperature, notes=notes)
            audio = np.concatenate(
                list(instrument.continuation(request) if after else rendered_phrase(instrument, request))
            )
            described: Description = describe(audio, instrument.sample_rate_hz)
            given.append(note_hits(described.notes, notes, PHRASE_SECONDS))
            control.append(note_hits(described.notes, shuffled(notes), PHRASE_SECONDS))
            onsets.append(onset_hits(described.onsets_s.tolist(), notes, PHRASE_SECONDS))
            levels.append(float(10 * np.log10(np.mean(audio**2) + 1e-12)))
            instrument.hear(audio)
            going_on = np.concatenate(list(instrument.continuation(TakeRequest(2.0, seed + 100))))
            follows.append(float(10 * np.log10(np.mean(going_on**2) + 1e-12)))
        notes_heard, by_chance, moments = (reduce(add, each) for each in (given, control, onsets))
        tell(
            f"| {'after a phrase' if after else 'out of nothing'} | {notes_heard.recall:.2f} | "
            f"{notes_heard.precision:.2f} | {by_chance.recall:.2f} | {moments.recall:.2f} | {moments.precision:.2f} | "
            f"{np.mean(levels):.1f} | {np.mean(follows):.1f} |",
        )
    with tempfile.TemporaryDirectory() as folder:
        live(Path(folder))


def tell(line: str) -> None:
    """Now, however long the rest takes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
