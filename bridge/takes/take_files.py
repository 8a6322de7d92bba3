"""The takes folder: every finished take as a WAV file, beside a JSON file and a prompt that make it again.

Takes from one prompt share its file, named by its digest.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from bridge.clock.transport import Meter, MeterStart, Tempo, Timeline
from bridge.processes.job import Job, Planning
from melnet_music.sound.audio_file import AudioClip, read_audio, write_audio

if TYPE_CHECKING:
    from melnet_music.instrument.prompt_state import Prompt

_NOT_HOW_IT_IS_MADE = (
    "number", "line", "late", "span", "again", "ahead_seconds", "ends_phrase", "phrase", "variations", "variation_of",
)  # fmt: skip
"""Fields of a job that do not change the take: who asked, and when it sounded; a phrase is in the prompt."""
CUT_SHORT = "cut_short_after_seconds"
"""The key in the JSON file of a take that was ended early."""


@dataclass(frozen=True)
class Origin:
    """What a take was made with, besides its job and its prompt."""

    preset: str
    preset_digest: str
    engine: str
    sample_rate_hz: int
    fourier: str = "numpy"
    """Of the vocoder; takes that do not tell are older than the choice."""
    drawn_together: int = 1
    """In how many takes at once the engine drew it: sums of other shapes round differently in their last bits."""


@dataclass(frozen=True)
class SavedTake:
    """The content of a take's JSON file."""

    origin: Origin
    job: Job
    prompt: str | None
    """The prompt's file, beside the JSON file; None: it needs none."""


def save_take(
    folder: Path, audio: NDArray[np.float32], job: Job, origin: Origin, prompt: Prompt, *, cut_short: bool = False
) -> Path:
    """Write ``audio`` float32[N], its origin and its prompt; returns the WAV file's path. No file is ever half there.

    The sound is written last: it is the largest, and can be made again from the others.

    Args:
        cut_short: the take was to be longer; ``render`` makes all of it, the same up to here.

    Raises:
        ValueError: the folder cannot be made or written, or the disk is full; the message says how to get it again.
    """
    now = datetime.now(UTC)
    path = folder / f"{now:%Y-%m-%dT%H-%M-%S}-{now.microsecond // 1000:03d}Z_{job.kind}_seed{job.seed}.wav"
    how = {key: value for key, value in asdict(job).items() if key not in _NOT_HOW_IT_IS_MADE}
    if cut_short:
        how[CUT_SHORT] = len(audio) / origin.sample_rate_hz
    try:
        folder.mkdir(parents=True, exist_ok=True)
        name = _save_prompt(folder, prompt) if prompt else None
        text = json.dumps({"made": now.isoformat(), **asdict(origin), "prompt": name, **how}, indent=2)
        _write(path.with_suffix(".json"), text.encode() + b"\n")
    except OSError as error:
        raise ValueError(
            f"cannot write the take to {folder} ({error}), it is not kept: make room, then ask for it again with seed "
            f"{job.seed} after the same sound"
        ) from error
    try:
        write_audio(path, AudioClip(audio[:, None], origin.sample_rate_hz, subtype="FLOAT"))
    except ValueError as error:
        raise ValueError(
            f"{error}; make room, then `melnet-music render {path.stem}.json OUT.wav` in that folder makes the take "
            "again, to the sample"
        ) from error
    return path


def shorten_take(path: Path, samples: int) -> None:
    """Cut the WAV file of a take to so many samples: the rest did not sound.

    Raises:
        ValueError: it cannot be written; the file is as it was.
    """
    clip = read_audio(path)
    described = path.with_suffix(".json")
    try:
        how = json.loads(described.read_text(encoding="utf-8"))
        how[CUT_SHORT] = samples / clip.sample_rate_hz
        _write(described, json.dumps(how, indent=2).encode() + b"\n")
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot shorten {path} ({error}): it holds what did not sound too") from error
    write_audio(path, AudioClip(clip.samples[:samples], clip.sample_rate_hz, subtype="FLOAT"))


def discard_take(path: Path) -> None:
    """Remove the files of a take that did not sound and is made again; its prompt stays, other takes may share it."""
    for file in (path, path.with_suffix(".json")):
        with suppress(OSError):
            file.unlink(missing_ok=True)


def read_take(path: Path) -> SavedTake:
    """Read a take's JSON file.

    Raises:
        ValueError: it is missing, or no take's.
    """
    try:
        how = json.loads(path.read_text(encoding="utf-8"))
        origin = Origin(**{f.name: how[f.name] for f in fields(Origin) if f.name in how or f.default is MISSING})
        known = {field.name: how[field.name] for field in fields(Job) if field.name in how}
        missing = [f.name for f in fields(Job) if f.default is MISSING and f.name not in {*known, "number"}]
        if missing:
            raise KeyError(missing[0])
        known["planning"] = _planning(how.get("planning"))
        return SavedTake(origin, Job(number=0, **known), how["prompt"])
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not the JSON file of a take ({error})") from None


def _planning(how: dict[str, Any] | None) -> Planning | None:
    if how is None:
        return None
    tempos = tuple(Tempo(**tempo) for tempo in how["timeline"]["tempos"])
    meters = tuple(MeterStart(m["beat"], m["bar"], Meter(**m["meter"])) for m in how["timeline"]["meters"])
    return Planning(**{**how, "timeline": Timeline(tempos, meters)})


def read_prompt(take: Path, name: str) -> dict[str, NDArray[Any]]:
    """The prompt of a take's JSON file.

    Raises:
        ValueError: it is missing or damaged.
    """
    from safetensors.numpy import load_file

    path = take.parent / Path(name).name
    try:
        prompt: dict[str, NDArray[Any]] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"cannot read the take's prompt {path} ({error}): it must lie beside its JSON file") from None
    if prompt_name(prompt) != path.name:
        raise ValueError(f"{path} is not what it was when the take was made: fetch it again")
    return prompt


def prompt_name(prompt: Prompt) -> str:
    """The name of a prompt's file: 16 hex digits over all that is in it."""
    digest = hashlib.sha256()
    for name in sorted(prompt):
        array = prompt[name]
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return f"{digest.hexdigest()[:16]}.prompt.safetensors"


def _save_prompt(folder: Path, prompt: Prompt) -> str:
    from safetensors.numpy import save

    name = prompt_name(prompt)
    if not (folder / name).exists():
        _write(folder / name, save({key: np.ascontiguousarray(array) for key, array in prompt.items()}))
    return name


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f"{path.name}.part")
    try:
        draft.write_bytes(content)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
