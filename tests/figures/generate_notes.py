"""How many of a MIDI file's notes are heard in what `generate --notes` makes of it, and how many heard ones are its.

    python -m tests.figures.generate_notes DATA [--works 5] [--seconds 20] [--temperatures 1 0.8]

Works of the test split of `make-data`. Each one's notes go through a MIDI file, as a user's would; the sound is
described as `evaluate` does it, and hits are notes of the same pitch within 70 ms. Controls: the notes of another
work (shuffled), the model without notes (free), and the real recording against its notes (real). Besides the preset's
own temperature for notes others can be tried.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import numpy.typing as npt

from melnet_music.evaluation.measures.descriptors import describe
from melnet_music.evaluation.measures.detection import Hits, note_hits, shifted
from melnet_music.evaluation.measures.pitches import RATE_HZ, DetectedNote
from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.notes.midi_file import read_midi_notes, write_midi_notes
from melnet_music.notes.note_map import Note
from melnet_music.sound.audio_file import read_audio
from melnet_music.training.data.note_table import read_notes

Samples = npt.NDArray[np.float32]


def held_out(data: Path, count: int, seconds: float) -> list[tuple[Samples, tuple[Note, ...]]]:
    """The first seconds of so many works, and their notes, through a MIDI file."""
    works = []
    for table in sorted((data / "test").glob("*.notes.csv"))[:count]:
        audio = read_audio(table.with_name(table.name.replace(".notes.csv", ".flac"))).mono_at(RATE_HZ)
        with tempfile.TemporaryDirectory() as folder:
            write_midi_notes(Path(folder) / "work.mid", read_notes(table))
            notes = read_midi_notes(Path(folder) / "work.mid")
        inside = [note for note in notes if note.onset_s < seconds]
        works.append((audio[: round(seconds * RATE_HZ)], tuple(inside)))
    return works


def heard(instrument: Instrument, request: TakeRequest) -> tuple[DetectedNote, ...]:
    """The notes that are detected in a generation."""
    return describe(np.concatenate(list(instrument.generation(request))), instrument.sample_rate_hz).notes


def hits(found: Sequence[Sequence[DetectedNote]], notes: Sequence[Sequence[Note]], seconds: float) -> Hits:
    """Over all works."""
    return reduce(add, (note_hits(one, shifted(given, 0.0), seconds) for one, given in zip(found, notes, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--preset", default="piano")
    parser.add_argument("--works", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[])
    chosen = parser.parse_args()
    instrument = Instrument.load(chosen.preset)
    works = held_out(chosen.data, chosen.works, chosen.seconds)
    notes = [given for _, given in works]
    elsewhere = notes[1:] + notes[:1]

    def line(what: str, found: Sequence[Sequence[DetectedNote]], given: Sequence[Sequence[Note]]) -> None:
        counted = hits(found, given, chosen.seconds)
        tell(f"| {what} | {counted.recall:.2f} | {counted.precision:.2f} | {counted.found} |")

    tell(f"{len(works)} works, {sum(map(len, notes))} notes\n")
    tell("| | recall | precision | heard |\n|---|---|---|---|")
    line("real", [describe(audio).notes for audio, _ in works], notes)
    for temperature in (None, *chosen.temperatures):
        requests = [TakeRequest(chosen.seconds, seed, temperature) for seed in range(len(works))]
        played = [
            heard(instrument, TakeRequest(chosen.seconds, seed, temperature, notes=given))
            for seed, given in enumerate(notes)
        ]
        line("the preset's own temperature" if temperature is None else f"temperature {temperature:g}", played, notes)
        line("... against shuffled notes", played, elsewhere)
        line("... free", [heard(instrument, request) for request in requests], notes)


def tell(line: str) -> None:
    """Now, however long the rest takes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
