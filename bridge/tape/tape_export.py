"""Bars of the tape as files: their sound, log-mel frames and notes, and where bars and takes begin in them.

`NAME.wav` is mono at the device's rate. `NAME.npz` has ``log_mel`` float32[T, M] by the preset's front end, frame t
centred on sample t times ``hop_samples`` at ``sample_rate_hz``. `NAME.json` names the bars with their first samples,
and the takes; all positions are samples of the WAV file, less than 0 where something began before it. `NAME.mid` has
the notes that are known, if any.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bridge.audio.shared_samples import Samples
from bridge.processes.messages import ExportTape, RequestError
from melnet_music.notes.midi_file import write_midi_notes
from melnet_music.sound.audio_file import AudioClip, write_audio
from melnet_music.sound.resample import resample

if TYPE_CHECKING:
    from melnet_music.instrument.instrument import Instrument
    from melnet_music.notes.note_map import Note

_FRAMED_AT_ONCE_SECONDS = 5.0


@dataclass(frozen=True)
class TakeOnTape:
    """A take on the tape."""

    take: int
    """Its number in this session."""
    first: int
    """Device time."""
    stop: int
    file: str
    """Its WAV file; empty: it could not be written."""
    repainted: bool
    """Whether it replaces what was there; else it sounded there."""


def files_of(path: Path) -> tuple[Path, ...]:
    """The files that bars are exported to.

    Raises:
        ValueError: the name is none of a WAV file, or one of them exists.
    """
    if path.suffix.lower() != ".wav":
        raise ValueError(f"bars are exported as a WAV file, got {path.name!r}: end its name in .wav")
    files = tuple(path.with_suffix(suffix) for suffix in (path.suffix, ".npz", ".json", ".mid"))
    for file in files:
        if file.exists():
            raise ValueError(f"{file} exists already: give another name")
    return files


def export_bars(
    request: ExportTape,
    audio: Samples,
    rate_hz: int,
    takes: Sequence[TakeOnTape],
    notes: Sequence[Note],
    instrument: Instrument,
) -> Iterator[None]:
    """Write all files or none, in steps of a fraction of a second.

    Args:
        audio: the bars, float32[N] at ``rate_hz``.
        notes: in the bars, in seconds from the beginning of the first.
        instrument: its front end makes the frames.

    Raises:
        RequestError: they cannot be written, or the disk is full.
    """
    sound = instrument.sound
    frames = []
    for part in _frames(audio, rate_hz, instrument):
        frames.append(part)
        yield
    log_mel = np.concatenate(frames)
    path = Path(request.path)
    first = request.span[0]
    about = {
        "made": datetime.now(UTC).isoformat(),
        "preset": instrument.preset_name,
        "sample_rate_hz": rate_hz,
        "samples": len(audio),
        "bars": [{**asdict(bar), "first_sample": bar.first_sample - first} for bar in request.bars],
        "takes": [
            {
                "take": take.take,
                "first_sample": take.first - first,
                "stop_sample": take.stop - first,
                "repainted": take.repainted,
                "file": take.file,
            }
            for take in takes
        ],
    }
    try:
        targets = files_of(path)
        with tempfile.TemporaryDirectory(
            prefix=f".{path.name}.", dir=path.parent, ignore_cleanup_errors=True
        ) as folder:
            drafts = [Path(folder) / target.name for target in targets]
            write_audio(drafts[0], AudioClip(audio[:, None], rate_hz, subtype="FLOAT"))
            yield
            np.savez(drafts[1], log_mel=log_mel, sample_rate_hz=sound.sample_rate_hz, hop_samples=sound.hop_samples)
            drafts[2].write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
            if notes:
                write_midi_notes(drafts[3], notes)
            _put_in_place(drafts[: 4 if notes else 3], targets)
    except (OSError, ValueError) as error:
        raise RequestError("bad_file", f"cannot export to {path}: {error}; nothing is written") from error


def _frames(audio: Samples, rate_hz: int, instrument: Instrument) -> Iterator[Samples]:
    from melnet_music.sound.mel import LogMelStream  # brings numba along, which the stage does not need

    stream = LogMelStream(instrument.sound)
    slow = resample(audio, rate_hz, instrument.sound.sample_rate_hz)
    at_once = round(_FRAMED_AT_ONCE_SECONDS * instrument.sound.sample_rate_hz)
    for begin in range(0, len(slow), at_once):
        yield stream.push(slow[begin : begin + at_once])
    yield stream.flush()


def _put_in_place(drafts: Sequence[Path], targets: Sequence[Path]) -> None:
    done: list[Path] = []
    try:
        for draft, target in zip(drafts, targets, strict=False):
            os.replace(draft, target)
            done.append(target)
    except OSError:
        for target in done:
            with suppress(OSError):
                target.unlink()
        raise
