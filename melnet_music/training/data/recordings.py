"""Finds the recordings in a folder, whoever laid it out, and says what they are for."""

from __future__ import annotations

import csv
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

log = logging.getLogger(__name__)

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".opus", ".oga")
"""In lower case; the files may have them in any."""
NOTES_SUFFIXES = (".notes.csv", ".mid", ".midi")
"""Of a file of the same name beside the audio; the first that is there counts."""
CACHE_PREFIX = "log-mel-"
"""Folders that begin so hold features, no recordings."""

_SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "test": "test",
}
_MAESTRO_TABLES = "maestro-v*.csv"
_MAESTRO_COLUMNS = ("split", "audio_filename", "midi_filename")
_BY_HASH_FROM = 3
"""So many recordings can be given to three splits whole; fewer are each cut in time."""


@dataclass(frozen=True)
class Recording:
    """An audio file, not opened yet."""

    name: str
    """Its path inside the folder, without suffix: who exports a piece to two formats has it in one split."""
    audio: Path
    notes: Path | None
    """MIDI file or notes CSV."""
    split: Split | None
    """None: not decided by the folder, see `splits_by_hash` and `splits_in_time`."""


@dataclass(frozen=True)
class Found:
    """The recordings of a folder, ordered by name."""

    recordings: tuple[Recording, ...]
    looked_for: str
    """Where, for messages."""
    remedy: str
    """How a split that has none gets some, for messages."""


def find_recordings(data: Path) -> Found:
    """The recordings in a folder of one of three kinds, told apart in this order.

    1. MAESTRO's own layout (Hawthorne et al. 2019): ``maestro-v*.csv`` lists audio, MIDI and split. What is listed but
       not there is counted in a warning. Audio that was converted to another format beside is taken too.
    2. Folders ``train``, ``valid`` (``validation``, ``val``) and ``test``, as from ``make-data``: at least ``train``.
    3. Any folder: its splits are left to the caller, who knows which recordings can be used.

    Audio has one of `AUDIO_SUFFIXES`, in any folder below; notes are a file of the same name with one of
    `NOTES_SUFFIXES`. Hidden files and folders are passed over.

    Raises:
        ValueError: there is no such folder, or MAESTRO's table cannot be read.
    """
    if not data.is_dir():
        if data.exists():
            raise ValueError(f"{data} is a file, expected a folder: give the folder it is in")
        raise ValueError(f"no folder at {data}: give the folder that holds your recordings")
    tables = sorted(data.glob(_MAESTRO_TABLES))
    if tables:
        return _maestro(data, tables[-1])
    named = {
        entry: _SPLIT_NAMES[entry.name.lower()]
        for entry in sorted(data.iterdir())
        if entry.name.lower() in _SPLIT_NAMES and entry.is_dir()
    }
    suffixes = ", ".join(AUDIO_SUFFIXES)
    if "train" in named.values():
        recordings = [each for folder, split in named.items() for each in _in_folder(folder, split)]
        looked_for = f"{suffixes} in {data} under {', '.join(sorted(folder.name for folder in named))}"
        remedy = "put some into its folder, or all into one folder without train, valid and test"
    else:
        recordings = list(_in_folder(data, None))
        looked_for = f"{suffixes} in {data} and the folders in it"
        remedy = f"give the folder that holds your recordings; melnet-music make-data {data} makes some"
    return Found(_ordered(recordings), looked_for, remedy)


def splits_by_hash(names: Collection[str]) -> dict[str, Split]:
    """Three names or more, each given to a split by its SHA-256: about 90 of 100 to train, 5 to valid, 5 to test.

    No split stays empty: it takes the name with the largest hash from the fullest. Otherwise a name's split depends on
    that name alone, so recordings that are added move no other.
    """
    order = sorted(names, key=_hash)
    chosen = {name: _split_of_percentile(_hash(name) % 100) for name in order}
    for split in SPLITS:
        counts = Counter(chosen.values())
        if not counts[split]:
            fullest = counts.most_common(1)[0][0]
            chosen[next(name for name in reversed(order) if chosen[name] == fullest)] = split
    return chosen


def can_be_split_whole(count: int) -> bool:
    """Whether so many recordings do for `splits_by_hash`; else each goes through `splits_in_time`."""
    return count >= _BY_HASH_FROM


def splits_in_time(seconds: float, window_s: float) -> dict[Split, tuple[float, float]]:
    """The first 80 % of one recording for train, the next 10 % for valid, the last 10 % for test: (start, stop) in s.

    Valid and test begin two seconds late (a hundredth of the recording, if that is less, but at least a window's
    length), so that no frame has a sample in common with one of another split.
    """
    gap_s = max(min(2.0, seconds / 100), window_s)
    return {
        "train": (0.0, 0.8 * seconds),
        "valid": (0.8 * seconds + gap_s, 0.9 * seconds),
        "test": (0.9 * seconds + gap_s, seconds),
    }


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode(errors="surrogatepass")).digest()[:8], "big")


def _split_of_percentile(percentile: int) -> Split:
    return "train" if percentile < 90 else "valid" if percentile < 95 else "test"


def _in_folder(folder: Path, split: Split | None) -> Iterator[Recording]:
    for parent, names in _folders(folder):
        files = {_stem_and_lower_suffix(name): name for name in names}
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in AUDIO_SUFFIXES:
                notes = next((parent / files[stem + each] for each in NOTES_SUFFIXES if stem + each in files), None)
                relative = (parent / stem).relative_to(folder).as_posix()
                yield Recording(relative, parent / name, notes, split)


def _folders(top: Path) -> Iterator[tuple[Path, list[str]]]:
    """Every folder from ``top`` down with its files' names, links followed, none twice."""
    seen: set[str] = set()
    for parent, folders, files in os.walk(top, followlinks=True):
        seen.add(os.path.realpath(parent))
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith((".", CACHE_PREFIX)) and os.path.realpath(os.path.join(parent, name)) not in seen
        )
        yield Path(parent), sorted(name for name in files if not name.startswith("."))


def _stem_and_lower_suffix(name: str) -> str:
    suffix = next((each for each in NOTES_SUFFIXES if name.lower().endswith(each)), "")
    return name[: len(name) - len(suffix)] + suffix


def _ordered(recordings: Iterable[Recording]) -> tuple[Recording, ...]:
    return tuple(sorted(recordings, key=lambda each: (each.name, each.audio)))


def _maestro(data: Path, table: Path) -> Found:
    try:
        with table.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [column for column in _MAESTRO_COLUMNS if column not in (reader.fieldnames or ())]
            rows = list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(f"{table} cannot be read: {error}; unpack the archive again") from None
    if missing:
        raise ValueError(f"{table} has no column {', '.join(missing)}, expected MAESTRO's table; unpack it again")
    recordings, absent = [], 0
    for row in rows:
        split = _SPLIT_NAMES.get((row["split"] or "").lower())
        if split is None:
            raise ValueError(f"{table} names a split {row['split']!r}, expected train, validation or test")
        listed = data / row["audio_filename"]
        audio = next((path for path in _same_in_other_formats(listed) if path.is_file()), None)
        if audio is None:
            absent += 1
            continue
        notes = data / row["midi_filename"]
        name = listed.relative_to(data).with_suffix("").as_posix()
        recordings.append(Recording(name, audio, notes if notes.is_file() else None, split))
    if absent:
        log.warning("%d of the %d recordings that %s lists are not there", absent, len(rows), table)
    remedy = "download MAESTRO with its audio, and unpack it here"
    return Found(_ordered(recordings), f"the {len(rows)} audio files that {table} lists", remedy)


def _same_in_other_formats(listed: Path) -> Iterator[Path]:
    yield listed
    for suffix in AUDIO_SUFFIXES:
        yield listed.with_suffix(suffix)
