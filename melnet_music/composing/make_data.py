"""Makes a training set: composed, performed and rendered works with their notes, the same from one seed every time.

What is made does not depend on the number of processes: the works' number follows from their performed
lengths, each is rendered by a fresh synthesizer, and each belongs to a split by a hash of its name.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, fields
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from melnet_music.composing.alignment import Alignment, alignment_of, onset_errors_s
from melnet_music.composing.collection import Split, check_collection, performance_of, play_work, work_name
from melnet_music.composing.instruments import Instruments, choose_instruments
from melnet_music.composing.leakage import shared_ngrams
from melnet_music.composing.perform import PerformedNote
from melnet_music.composing.rendering.render import SAMPLE_RATE_HZ, TAIL_SECONDS

_PLAN_BATCH_WORKS = 8
_MEASURED_WORKS = 48
_UNFINISHED = "manifest.unfinished.jsonl"
"""Holds the works done so far, one a line; the next call with the same arguments goes on from it."""


@dataclass(frozen=True)
class MadeWork:
    """One work of the set: ``<split>/<name>.flac`` and ``<split>/<name>.notes.csv``."""

    name: str
    ensemble: str
    style: str
    split: Split
    seconds: float
    notes: int
    programs: tuple[int, ...]
    """General MIDI programs (0-127) by part."""
    soundfont: str
    tuning_hz: float
    room: str
    reverberation_s: float
    level_dbfs: float
    samples_sha256: str
    """Of the samples as little-endian 16-bit integers."""
    notes_sha256: str
    """Of the notes file."""
    phrase_start_s: tuple[float, ...]


@dataclass(frozen=True)
class Recipe:
    """All that decides how a work sounds."""

    kind: str
    seed: int
    soundfonts: dict[str, str]
    """File name, or name of a piano of one-shots -> SHA-256."""
    sample_rate_hz: int
    versions: dict[str, str]


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` says of a finished set."""

    recipe: Recipe
    works: tuple[MadeWork, ...]
    seconds: float
    notes: int
    leakage_8: float
    """Fraction of the held-out works' melodic 8-grams that occur in the training works; see ``leakage``."""
    leakage_16: float
    onsets: Alignment
    """How far audible onsets lie from their labels, in a sample of the works."""
    digest: str
    """Of all works' digests in order: equal sets have equal digests."""


def make_data(
    out_dir: Path,
    *,
    kind: str = "piano",
    hours: float,
    seed: int,
    processes: int,
    soundfonts: Sequence[Path] = (),
    sounds: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Makes at least ``hours`` of music in ``out_dir``; calls ``progress(works done, works in all)``.

    Writes 16-bit FLAC at 44,100 Hz, mono, and notes in seconds under ``train/``, ``valid/`` and ``test/``
    (about 90, 5 and 5 of 100 works), then ``manifest.json``. Stopped, it goes on where it was when called again.
    Each work draws one of ``soundfonts``; none given, one of the two default ones. With ``sounds``, a folder from
    ``make_sounds``, it is rendered from one-shots instead, as `train` renders what it composes.

    Raises ValueError for arguments out of range, a folder that cannot be written or that holds another
    set, a missing soundfont or FluidSynth, and a folder of sounds that has none or damaged ones.
    """
    check_collection(kind, seed)
    if not (math.isfinite(hours) and hours > 0):
        raise ValueError(f"hours must be a number above 0, got {hours}")
    if processes < 1:
        raise ValueError(f"processes must be at least 1, got {processes}")
    instruments = choose_instruments(kind, soundfonts, sounds)
    versions = instruments.versions() | _versions()
    recipe = Recipe(kind, seed, instruments.digests(), SAMPLE_RATE_HZ, versions)
    _prepare_folder(out_dir)
    done = _made_before(out_dir, recipe)
    with _mapping_on(processes) as map_on:
        numbers = _plan(map_on, kind, seed, hours)
        names = {work_name(kind, seed, number) for number in numbers}
        if not done.keys() <= names:
            raise ValueError(
                f"{out_dir} holds more works of this set than {hours:g} hours: ask for more, or give an empty folder"
            )
        missing = [n for n in numbers if work_name(kind, seed, n) not in done]
        if progress is not None:
            progress(len(done), len(numbers))
        with _journal(out_dir, recipe, done.values()) as note_down:
            jobs = ((out_dir, kind, seed, number, instruments) for number in missing)
            for made in map_on(_make_work, jobs):
                done[made.name] = made
                note_down(made)
                if progress is not None:
                    progress(len(done), len(numbers))
    works = tuple(done[work_name(kind, seed, number)] for number in numbers)
    leakage_8, leakage_16 = _leakage(out_dir, works)
    manifest = Manifest(
        recipe,
        works,
        round(sum(work.seconds for work in works), 3),
        sum(work.notes for work in works),
        leakage_8,
        leakage_16,
        _measured_onsets(out_dir, works),
        hashlib.sha256("".join(w.samples_sha256 + w.notes_sha256 for w in works).encode()).hexdigest(),
    )
    _write_atomically(out_dir / "manifest.json", json.dumps(asdict(manifest), indent=1).encode())
    (out_dir / _UNFINISHED).unlink()
    return manifest


def write_notes(notes: Iterable[PerformedNote]) -> str:
    """The notes as CSV with a header; times in seconds to a tenth of a millisecond."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(field.name for field in fields(PerformedNote))
    for note in notes:
        rows.writerow(f"{x:.4f}" if isinstance(x, float) else x for x in astuple(note))
    return text.getvalue()


def read_notes(path: Path) -> list[PerformedNote]:
    """The notes of a file that ``write_notes`` wrote."""
    with path.open(newline="") as file:
        return [
            PerformedNote(
                onset_s=float(row["onset_s"]),
                release_s=float(row["release_s"]),
                sounding_end_s=float(row["sounding_end_s"]),
                pitch=int(row["pitch"]),
                velocity=int(row["velocity"]),
                channel=int(row["channel"]),
                program=int(row["program"]),
            )
            for row in csv.DictReader(file)
        ]


def _leakage(out_dir: Path, works: Iterable[MadeWork]) -> tuple[float, float]:
    """The fractions of the held-out works' 8-grams and 16-grams that the training works hold."""
    notes: dict[bool, list[list[PerformedNote]]] = {True: [], False: []}
    for work in works:
        notes[work.split == "train"].append(read_notes(_notes_path(out_dir, work)))
    short, long = (round(shared_ngrams(notes[True], notes[False], n), 4) for n in (8, 16))
    return short, long


def _measured_onsets(out_dir: Path, works: Sequence[MadeWork]) -> Alignment:
    """The onset errors in up to ``_MEASURED_WORKS`` works, evenly spread over the set."""
    sample = works[:: -(-len(works) // _MEASURED_WORKS)]
    errors_s: list[float] = []
    for work in sample:
        audio, rate_hz = soundfile.read(_audio_path(out_dir, work), dtype="float32")
        errors_s += onset_errors_s(read_notes(_notes_path(out_dir, work)), audio, rate_hz)
    return alignment_of(errors_s)


def _audio_path(out_dir: Path, work: MadeWork) -> Path:
    return out_dir / work.split / f"{work.name}.flac"


def _notes_path(out_dir: Path, work: MadeWork) -> Path:
    return out_dir / work.split / f"{work.name}.notes.csv"


@contextmanager
def _mapping_on(processes: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """``map`` on so many processes; a single one is this one."""
    if processes == 1:
        yield map
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        yield pool.map


def _plan(map_on: Callable[..., Iterator[Any]], kind: str, seed: int, hours: float) -> range:
    """The works' numbers, from 0 until their performances are long enough."""
    seconds = 0.0
    number = 0
    while True:
        batch = ((kind, seed, n) for n in range(number, number + _PLAN_BATCH_WORKS))
        for work_seconds in map_on(_performed_seconds, batch):
            seconds += work_seconds
            number += 1
            if seconds >= hours * 3600.0:
                return range(number)


def _performed_seconds(job: tuple[str, int, int]) -> float:
    kind, seed, number = job
    return performance_of(kind, seed, number).seconds + TAIL_SECONDS


def _make_work(job: tuple[Path, str, int, int, Instruments]) -> MadeWork:
    out_dir, kind, seed, number, instruments = job
    played = play_work(kind, seed, number, instruments.names)
    work, performance, sound = played.work, played.performance, played.sound
    audio = instruments.render(played.to_render)
    samples = np.round(audio * 32767.0).astype("<i2")
    notes = write_notes(performance.notes).encode()
    flac = io.BytesIO()
    soundfile.write(flac, samples, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    _write_atomically(out_dir / played.split / f"{played.name}.notes.csv", notes)
    _write_atomically(out_dir / played.split / f"{played.name}.flac", flac.getvalue())
    return MadeWork(
        name=played.name,
        ensemble=work.ensemble,
        style=work.style,
        split=played.split,
        seconds=round(len(samples) / SAMPLE_RATE_HZ, 3),
        notes=len(performance.notes),
        programs=tuple(instrument.program for instrument in work.instruments),
        soundfont=sound.soundfont,
        tuning_hz=sound.tuning_hz,
        room=sound.room.name,
        reverberation_s=sound.room.reverberation_s,
        level_dbfs=sound.level_dbfs,
        samples_sha256=hashlib.sha256(samples.tobytes()).hexdigest(),
        notes_sha256=hashlib.sha256(notes).hexdigest(),
        phrase_start_s=performance.phrase_start_s,
    )


def _prepare_folder(out_dir: Path) -> None:
    try:
        for split in ("train", "valid", "test"):
            (out_dir / split).mkdir(parents=True, exist_ok=True)
            _write_atomically(out_dir / split / "writable", b"")
            (out_dir / split / "writable").unlink()
    except OSError as error:
        raise ValueError(f"cannot write to {out_dir} ({error.strerror}): give a folder that can be written") from error


def _made_before(out_dir: Path, recipe: Recipe) -> dict[str, MadeWork]:
    """Works of an earlier call, finished or not, whose files are still what they were."""
    finished, unfinished = out_dir / "manifest.json", out_dir / _UNFINISHED
    made: list[MadeWork] = []
    for path in (finished, unfinished):
        if not path.is_file():
            continue
        try:
            if path == finished:
                manifest = json.loads(path.read_text())
                before, works = manifest["recipe"], manifest["works"]
            else:
                before, *works = [json.loads(line) for line in _whole_lines(path)] or [asdict(recipe)]
            differing = [key for key, value in asdict(recipe).items() if before.get(key) != value]
            made += [
                MadeWork(**work | {key: tuple(work[key]) for key in ("programs", "phrase_start_s")}) for work in works
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} cannot be read ({error}): delete it, or give an empty folder") from error
        if differing:
            raise ValueError(f"{out_dir} holds another set: its {', '.join(differing)} differ; give an empty folder")
    return {work.name: work for work in made if _is_intact(out_dir, work)}


def _whole_lines(path: Path) -> list[str]:
    """The lines written to the end: a last one cut off by an interruption is left out."""
    return [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def _is_intact(out_dir: Path, work: MadeWork) -> bool:
    audio, notes = _audio_path(out_dir, work), _notes_path(out_dir, work)
    if not (audio.is_file() and notes.is_file()):
        return False
    try:
        samples, _ = soundfile.read(audio, dtype="int16")
    except soundfile.LibsndfileError:
        return False
    digests = (
        hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest(),
        hashlib.sha256(notes.read_bytes()).hexdigest(),
    )
    return digests == (work.samples_sha256, work.notes_sha256)


@contextmanager
def _journal(out_dir: Path, recipe: Recipe, done: Iterable[MadeWork]) -> Iterator[Callable[[MadeWork], None]]:
    """Starts the list of works done with those already there; the yielded function adds one to it."""
    heading: Sequence[Any] = [asdict(recipe), *map(asdict, done)]
    _write_atomically(out_dir / _UNFINISHED, "".join(json.dumps(line) + "\n" for line in heading).encode())
    with (out_dir / _UNFINISHED).open("a") as file:

        def note_down(work: MadeWork) -> None:
            file.write(json.dumps(asdict(work)) + "\n")
            file.flush()

        yield note_down


def _write_atomically(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)


def _versions() -> dict[str, str]:
    return {package: version(package) for package in ("melnet-music", "numpy", "scipy")}
