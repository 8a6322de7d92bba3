"""A chord held, then another, while a take follows: what sounds under each, and how long after its keys.

    python -m tests.figures.follow_chords [--takes 6] [--temperature 0.9] [--follow free] [--live]

C major is held, then F minor, six seconds each. Told, as means over the takes: how much of the sound's chroma lies on
the pitch classes that tell the chords apart, E and G or F and A flat, while one is held (from one second after its keys
on); two classes of twelve have a sixth by chance. The controls are the chord that is not held, takes that follow the
same keys a tritone away (others' notes, in the same rhythm), and takes that follow nothing. And how long after the keys
of F minor its classes take over: where a step fits best.

Keys come in the time in which the take sounds, each chunk being drawn when the sound that is ready falls below `ahead`:
so the figures do not hang on the machine. With `--live` it is the whole daemon on a JACK server without hardware.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from jack_rig import jack_server
from live_daemon import client, live_daemon, pairs, wait_ready
from numpy.typing import NDArray

from bridge.midi.played_notes import Follower
from bridge.player.settings import INSTRUMENT_FACTORY
from bridge.processes.messages import Key
from bridge.protocol.types import Value
from melnet_music.evaluation.measures.descriptors import describe
from melnet_music.evaluation.measures.pitches import FRAMES_PER_SECOND
from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.take_request import LiveNotes, TakeRequest
from melnet_music.notes.keyboard import Keyboard
from melnet_music.notes.note_map import Note
from melnet_music.sound.vocoders.phase import PhaseVocoder

CHORDS = ((48, 60, 64, 67), (41, 60, 65, 68))
"""C major, F minor."""
OTHERS = ((54, 66, 70, 73), (47, 66, 71, 74))
"""F sharp major, B minor."""
TELLING = ([4, 7], [5, 8])
"""Pitch classes that only one of the chords has."""
HELD_SECONDS = 6.0
SETTLED_SECONDS = 1.0
Chroma = NDArray[np.float64]
Chords = tuple[tuple[int, ...], tuple[int, ...]]


def in_its_own_time(
    preset: str, takes: int, request: TakeRequest, follow: str, chords: Chords, ahead: float
) -> list[tuple[Chroma, list[float]]]:
    """As `live`, without a daemon: the keys come when the take is at these places."""
    instrument = Instrument.load(preset)
    held_back_s = (PhaseVocoder(instrument.sound).lookahead_frames + 1) / instrument.sound.frames_per_second
    made = []
    for seed in range(takes):
        notes: LiveNotes | None = None
        if follow != "off":
            notes = _Keys([(0.0, (), chords[0]), (HELD_SECONDS, *chords)], held_back_s + ahead)
        asked = replace(request, seed=seed, notes=notes, rests=follow != "free")
        audio = np.concatenate(list(instrument.generation(asked)))
        made.append((describe(audio, instrument.sample_rate_hz).chroma, [0.0, HELD_SECONDS]))
    return made


class _Keys:
    """Chords that change at places of the sound."""

    def __init__(self, changes: list[tuple[float, tuple[int, ...], tuple[int, ...]]], before_s: float) -> None:
        """
        Args:
            changes: when, which keys go up, and which down.
            before_s: how long before a chunk sounds it is drawn.
        """
        self._changes, self._before_s, self._now_s = changes, before_s, 0.0
        self._follower = Follower(Keyboard(), lambda: self._now_s)

    @property
    def known_ahead(self) -> bool:
        return False

    def until_now(self, start_s: float, frames: int, frame_s: float) -> Sequence[Note]:
        self._now_s = max(0.0, start_s - self._before_s)
        while self._changes and self._changes[0][0] <= self._now_s:
            at, up, down = self._changes.pop(0)
            for key in up:
                self._follower.take(Key(key, 0, at))
            for key in down:
                self._follower.take(Key(key, 90, at))
        return self._follower.until_now(start_s, frames, frame_s)


def live(
    folder: Path, preset: str, takes: int, chords: Chords, values: list[Value]
) -> list[tuple[Chroma, list[float]]]:
    """Chroma of each take, and the seconds in it that sounded when the keys of the two chords went down."""
    made = []
    with (
        jack_server(synchronous=False),
        live_daemon(folder, preset=preset, factory=INSTRUMENT_FACTORY, output="system, JACK") as daemon,
        client(daemon) as player,
    ):
        wait_ready(player)
        for seed in range(takes):
            job: list[Value] = ["seconds", 2 * HELD_SECONDS + 1.0, "seed", seed, *values]
            player.send("generate", seed, *job)
            player.wait_for("started", "generate", seed)
            began, downs, held = time.monotonic(), list[float](), tuple[int, ...]()
            for chord in chords:
                for key in held:
                    player.send("note", key, 0)
                downs.append(time.monotonic() - began)
                for key in chord:
                    player.send("note", key, 90)
                held = chord
                time.sleep(HELD_SECONDS)
            finished = pairs(player.wait_for("finished", "generate", seed, seconds=60.0))
            for key in held:
                player.send("note", key, 0)
            audio, rate_hz = soundfile.read(str(finished["file"]), dtype="float32")
            notes = json.loads(Path(str(finished["file"])).with_suffix(".json").read_text())["notes"]
            placed = sorted({note[0] for note in notes or ()})
            tell(f"take {seed}: gaps {finished['gaps']}; keys at {downs}, notes at {placed[:1]} and {placed[-1:]} s")
            made.append((describe(audio, rate_hz).chroma, downs))
    return made


def share(chroma: Chroma, classes: list[int], start_s: float, stop_s: float) -> float:
    """Of the chroma of a stretch, how much lies on these pitch classes."""
    part = chroma[round(start_s * FRAMES_PER_SECOND) : round(stop_s * FRAMES_PER_SECOND)]
    return float(part[:, classes].sum() / max(part.sum(), 1e-9))


def step_seconds(made: list[tuple[Chroma, list[float]]]) -> float:
    """From the keys of F minor until F and A flat take over from E and G: where a step fits best, within 3 s."""
    aligned = []
    for chroma, (_, down) in made:
        first = round((down - 3.0) * FRAMES_PER_SECOND)
        part = chroma[first : first + round(8.5 * FRAMES_PER_SECOND)]
        new, old = part[:, TELLING[1]].sum(1), part[:, TELLING[0]].sum(1)
        aligned.append((new - old) / np.maximum(part.sum(1), 1e-9))
    curve, zero = np.mean(aligned, 0), round(3.0 * FRAMES_PER_SECOND)
    places = range(zero, zero + round(3.0 * FRAMES_PER_SECOND))
    left = [curve[:place].var() * place + curve[place:].var() * (len(curve) - place) for place in places]
    return float(np.argmin(left) / FRAMES_PER_SECOND)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--takes", type=int, default=6)
    parser.add_argument("--temperature", type=float, help="(the preset's own)")
    parser.add_argument("--follow", default="rest")
    parser.add_argument("--chunk-frames", type=int, default=8)
    parser.add_argument("--ahead", type=float, default=0.25)
    parser.add_argument("--bias", type=float, help="(the preset's own)")
    parser.add_argument("--preset", default="piano")
    parser.add_argument("--live", action="store_true")
    chosen = parser.parse_args()
    request = TakeRequest(2 * HELD_SECONDS + 1.0, 0, chosen.temperature, chosen.bias, chunk_frames=chosen.chunk_frames)
    given = {"bias": chosen.bias, "temperature": chosen.temperature, "chunk_frames": chosen.chunk_frames}
    how: list[Value] = [each for name, value in given.items() if value is not None for each in (name, value)]
    rows = []
    for name, follow, chords in (
        (f"follow {chosen.follow}", chosen.follow, CHORDS),
        ("others' keys", chosen.follow, OTHERS),
        ("follow off", "off", CHORDS),
    ):
        if chosen.live:
            with tempfile.TemporaryDirectory() as folder:
                made = live(
                    Path(folder), chosen.preset, chosen.takes, chords, [*how, "ahead", chosen.ahead, "follow", follow]
                )
        else:
            made = in_its_own_time(chosen.preset, chosen.takes, request, follow, chords, chosen.ahead)
        cells = []
        for number in range(2):
            for classes in TELLING:
                spans = [(down[number] + SETTLED_SECONDS, down[number] + HELD_SECONDS) for _, down in made]
                shares = [share(chroma, classes, *span) for (chroma, _), span in zip(made, spans, strict=True)]
                cells.append(f"{np.mean(shares):.2f}")
        rows.append(f"| {name} | {' | '.join(cells)} | {step_seconds(made):.2f} s |")
    heads = [f"{held} held: {told}" for held in ("C", "F minor") for told in ("E, G", "F, A flat")]
    tell(f"\n| | {' | '.join(heads)} | keys to chroma |\n|---|---|---|---|---|---|")
    tell("\n".join(rows))


def tell(line: str) -> None:
    """Now, however long the rest takes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
