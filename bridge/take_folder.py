"""The takes folder: every finished take as a WAV file, beside a JSON file that says how to make it again."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bridge.orders import Job
from melnet_music.audio_file import AudioClip, write_audio


@dataclass(frozen=True)
class Origin:
    """What a take was made with, besides its job."""

    preset: str
    preset_digest: str
    engine: str


def save_take(folder: Path, audio: NDArray[np.float32], sample_rate_hz: int, job: Job, origin: Origin) -> Path:
    """Write ``audio`` float32[N] and its origin; returns the WAV file's path. Neither file is ever half there.

    Raises:
        ValueError: the folder cannot be made or written, or the disk is full.
    """
    now = datetime.now(UTC)
    path = folder / f"{now:%Y-%m-%dT%H-%M-%S}-{now.microsecond // 1000:03d}Z_{job.kind}_seed{job.seed}.wav"
    how = {"made": now.isoformat(), **asdict(origin), "sample_rate_hz": sample_rate_hz, **asdict(job)}
    for name in ("number", "line", "late"):  # when it sounded is not how it was made
        del how[name]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_audio(path, AudioClip(audio[:, None], sample_rate_hz, subtype="FLOAT"))
        draft = path.with_suffix(".json.part")
        draft.write_text(json.dumps(how, indent=2) + "\n", encoding="utf-8")
        os.replace(draft, path.with_suffix(".json"))
    except OSError as error:
        raise ValueError(f"cannot write the take to {folder}: {error}") from error
    return path
