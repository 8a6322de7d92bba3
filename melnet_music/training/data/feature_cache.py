"""Log-mel frames and notes of recordings, computed once and mapped from disk afterwards.

The cache is a folder ``log-mel-<digest of the sound settings>`` of packs. A pack holds what one job computed: frames
and notes of some recordings, and an index that knows each recording by path, size and time of change. Packs are
written aside, then renamed: they are there whole or not at all, and programs that fill one cache at the same time do
no harm but double work. A file for every recording would be simpler, but Python keeps a file descriptor open for each
mapped file, and many systems allow 1,024.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import platformdirs

from melnet_music.model.config import SoundConfig
from melnet_music.sound.mel import LogMelStream
from melnet_music.training.data.mono_audio import MonoBlocks
from melnet_music.training.data.note_table import COLUMNS, NoteTable, read_notes
from melnet_music.training.data.recordings import CACHE_PREFIX, Recording

log = logging.getLogger(__name__)

SHORTEST_SECONDS = 1.0
SILENT_BELOW_DBFS = -70.0
_LOUDEST = 100.0
"""Times full scale. Beyond it somebody wrote integers as floats, and one such file would spoil the statistics."""
_FORMAT = 1
"""Goes up when the same sound settings shall give other frames, or packs look otherwise."""
_MOST_RECORDINGS_PER_PACK = 32
_PACKS_PER_PROCESS = 8
_INDEX, _FRAMES, _NOTES, _UNFINISHED = "index.json", "frames.f32", "notes.f64", ".part"

Progress = Callable[[int, int], None]
Key = tuple[str, int, int, str, int, int]
"""Path, size and time of change in ns of the audio, and of the notes: a changed file has another."""


@dataclass(frozen=True)
class Features:
    """What a recording comes to."""

    log_mel: npt.NDArray[np.float32]
    """``[T, M]``, memory-mapped; no frames where it cannot be used."""
    notes: NoteTable
    """Empty where unknown."""
    unusable: str | None
    """Why it cannot be used."""
    remarks: tuple[str, ...]
    """What is wrong with it, though it can be used."""


@dataclass(frozen=True)
class _Entry:
    """One recording's line in a pack's index. Places count in frames and notes."""

    key: Key
    first_frame: int
    frames: int
    first_note: int
    notes: int
    unusable: str | None
    remarks: tuple[str, ...]


def load_features(
    recordings: Sequence[Recording],
    data: Path,
    sound: SoundConfig,
    *,
    processes: int = 1,
    progress: Progress | None = None,
) -> list[Features]:
    """Features of the recordings of one folder, in their order; those that are not in the cache are computed first.

    The cache is kept in ``data``; where that cannot be written, in the user's cache folder.

    Args:
        processes: so many compute side by side.
        progress: called with (recordings done, all).

    Raises:
        ValueError: there is no place to write, or a process died.
    """
    places = _places(data, sound)
    keys = [_key(recording, data) for recording in recordings]
    known = _read_packs(places, sound, set(keys))
    missing = [recording for recording, key in zip(recordings, keys, strict=True) if key not in known]
    if missing:
        place = _first_writable(places)
        _compute(missing, data, place, sound, processes, _counting(progress, len(recordings), len(missing)))
        known = _read_packs(places, sound, set(keys))
        _drop_outdated(place, data)
    gone = [recording.audio for recording, key in zip(recordings, keys, strict=True) if key not in known]
    if gone:
        raise ValueError(f"{gone[0]} changed while it was read; wait until its recording is finished")
    if progress:
        progress(len(recordings), len(recordings))
    return [known[key] for key in keys]


def _places(data: Path, sound: SoundConfig) -> tuple[Path, Path]:
    digest = hashlib.sha256(f"{_FORMAT} {sound.model_dump_json()}".encode()).hexdigest()[:12]
    own = hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:12]
    name = f"{CACHE_PREFIX}{digest}"
    return data / name, platformdirs.user_cache_path("melnet-music") / f"{data.resolve().name}-{own}" / name


def _first_writable(places: Sequence[Path]) -> Path:
    reasons = []
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True)
            trial = place / f"{secrets.token_hex(6)}{_UNFINISHED}"
            trial.touch()
            trial.unlink()
        except OSError as error:
            reasons.append(f"{place} ({error.strerror})")
        else:
            return place
    raise ValueError(f"nowhere to keep log-mel frames: cannot write {' or '.join(reasons)}")


def _key(recording: Recording, data: Path) -> Key:
    return (*_fingerprint(recording.audio, data), *_fingerprint(recording.notes, data))


def _fingerprint(path: Path | None, data: Path) -> tuple[str, int, int]:
    if path is None:
        return "", 0, 0
    relative = path.relative_to(data).as_posix()
    try:
        status = path.stat()
    except OSError:  # a dangling link, or just deleted: opening it will say so
        return relative, 0, 0
    return relative, status.st_size, status.st_mtime_ns


# ---- packs ----


def _read_packs(places: Sequence[Path], sound: SoundConfig, wanted: set[Key]) -> dict[Key, Features]:
    found: dict[Key, Features] = {}
    for pack in _packs(places):
        entries = _read_index(pack)
        if any(entry.key in wanted for entry in entries):
            frames: npt.NDArray[np.float32] = _mapped(pack / _FRAMES, "<f4", sound.mel_bins)
            notes: npt.NDArray[np.float64] = _mapped(pack / _NOTES, "<f8", COLUMNS)
            for entry in entries:
                log_mel = frames[entry.first_frame : entry.first_frame + entry.frames]
                table = notes[entry.first_note : entry.first_note + entry.notes]
                if len(log_mel) == entry.frames and len(table) == entry.notes:  # else the pack was damaged
                    found[entry.key] = Features(log_mel, NoteTable(table), entry.unusable, entry.remarks)
    return found


def _packs(places: Sequence[Path]) -> Iterator[Path]:
    for place in places:
        if place.is_dir():
            packs = (pack for pack in place.iterdir() if pack.suffix != _UNFINISHED)
            yield from sorted(pack for pack in packs if (pack / _INDEX).is_file())


def _read_index(pack: Path) -> list[_Entry]:
    try:
        rows = json.loads((pack / _INDEX).read_bytes())
        return [_Entry(**{**row, "key": tuple(row["key"]), "remarks": tuple(row["remarks"])}) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.info("%s is no pack of features and is passed over: %s", pack, error)
        return []


def _mapped(path: Path, dtype: str, columns: int) -> npt.NDArray[Any]:
    try:
        rows = path.stat().st_size // (np.dtype(dtype).itemsize * columns)
        if rows:
            # A plain view: slices of np.memmap itself cost ten times as much.
            return np.asarray(np.memmap(path, dtype, "r", shape=(rows, columns)))
    except OSError as error:
        log.info("%s cannot be read and is computed again: %s", path, error)
    return np.zeros((0, columns), dtype)


def _drop_outdated(place: Path, data: Path) -> None:
    """Delete packs of which nothing holds any more. Who has one mapped keeps it; Windows then refuses, and so be it."""
    for pack in _packs([place]):
        if not any(entry.key[:3] == _fingerprint(data / entry.key[0], data) for entry in _read_index(pack)):
            shutil.rmtree(pack, ignore_errors=True)


# ---- computing ----


def _counting(progress: Progress | None, total: int, missing: int) -> Callable[[int], None]:
    done = total - missing

    def count(more: int) -> None:
        nonlocal done
        done += more
        if progress:
            progress(done, total)

    count(0)
    return count


def _compute(
    recordings: Sequence[Recording],
    data: Path,
    place: Path,
    sound: SoundConfig,
    processes: int,
    count: Callable[[int], None],
) -> None:
    size = min(math.ceil(len(recordings) / (processes * _PACKS_PER_PROCESS)), _MOST_RECORDINGS_PER_PACK)
    jobs = [recordings[first : first + size] for first in range(0, len(recordings), size)]
    if processes == 1 or len(jobs) == 1:
        for job in jobs:
            count(_write_pack(job, data, place, sound))
        return
    pool = ProcessPoolExecutor(min(processes, len(jobs)), get_context("spawn"))
    try:
        for done in as_completed([pool.submit(_write_pack, job, data, place, sound) for job in jobs]):
            count(done.result())
    except BrokenProcessPool:
        raise ValueError(f"a process that read {data} died, perhaps for want of memory; try fewer processes") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _write_pack(recordings: Sequence[Recording], data: Path, place: Path, sound: SoundConfig) -> int:
    """Compute a pack's recordings one after the other; returns how many they were."""
    name = secrets.token_hex(6)
    draft = place / f"{name}{_UNFINISHED}"
    try:
        draft.mkdir()
        with (draft / _FRAMES).open("wb") as frames, (draft / _NOTES).open("wb") as notes:
            entries = [_add(recording, data, sound, frames, notes) for recording in recordings]
        (draft / _INDEX).write_text(json.dumps([asdict(entry) for entry in entries]), encoding="utf-8")
        draft.rename(place / name)
    except OSError as error:
        raise ValueError(f"log-mel frames cannot be written in {place}: {error.strerror}; make room there") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return len(recordings)


def _add(recording: Recording, data: Path, sound: SoundConfig, frames: IO[bytes], notes: IO[bytes]) -> _Entry:
    key = _key(recording, data)
    begin, first_note = frames.tell(), notes.tell() // (8 * COLUMNS)
    audio = MonoBlocks(recording.audio, sound.sample_rate_hz)
    unusable = _write_frames(audio, sound, frames)
    if unusable:
        frames.seek(begin)
        frames.truncate()
    remarks = [audio.damage] if audio.damage else []
    table = NoteTable.of(())
    if recording.notes and not unusable:
        try:
            table = read_notes(recording.notes)
        except ValueError as error:
            remarks.append(f"is used without its notes: {error}")
    notes.write(table.rows.astype("<f8").tobytes())
    row_bytes = 4 * sound.mel_bins
    return _Entry(
        key,
        begin // row_bytes,
        (frames.tell() - begin) // row_bytes,
        first_note,
        len(table),
        unusable,
        tuple(remarks),
    )


def _write_frames(audio: MonoBlocks, sound: SoundConfig, file: IO[bytes]) -> str | None:
    """Write the frames; returns why they are of no use, or None."""
    stream, samples = LogMelStream(sound), 0
    try:
        for block in audio:
            if audio.peak > _LOUDEST:
                return f"reaches {audio.peak:.3g} times full scale: integers written as floats? export it again"
            samples += len(block)
            file.write(stream.push(block).astype("<f4").tobytes())
    except ValueError as error:
        return str(error)
    file.write(stream.flush().astype("<f4").tobytes())
    seconds = samples / sound.sample_rate_hz
    if seconds < SHORTEST_SECONDS:
        return audio.damage or f"is too short: {seconds:.2f} s, expected {SHORTEST_SECONDS:g} s or more"
    level_dbfs = 20 * math.log10(max(audio.peak, 1e-9))
    if level_dbfs < SILENT_BELOW_DBFS:
        return f"is silent: its peak is {level_dbfs:.0f} dBFS, expected more than {SILENT_BELOW_DBFS:g} dBFS"
    return None
