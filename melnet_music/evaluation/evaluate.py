"""What a preset is worth on held-out music: every measurement, put together as one JSON file and one page."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from melnet_music.evaluation.continuations import Continuations, compare_continuations
from melnet_music.evaluation.gap_edges import GapEdges, measure_gap_edges
from melnet_music.evaluation.likelihood import (
    Conditioning,
    Likelihood,
    conditioned_likelihood,
    held_out_likelihood,
)
from melnet_music.evaluation.long_takes import LongTakes, measure_long_takes
from melnet_music.evaluation.note_following import NoteFollowing, measure_note_following
from melnet_music.evaluation.places import NotMeasurableError
from melnet_music.evaluation.report.curves import draw_curves
from melnet_music.evaluation.report.page import draw_page
from melnet_music.evaluation.report.pictures import picture_continuations
from melnet_music.evaluation.sounds import TakeSource
from melnet_music.evaluation.workers import NamedProgress, Workers, naming, workers_of
from melnet_music.model.preset import Preset
from melnet_music.sampling import DEFAULT_ENGINE
from melnet_music.training.data.features import Work, load_works

log = logging.getLogger(__name__)

PARTS = ("likelihood", "conditioning", "continuations", "long", "inpainting", "notes", "pictures")
JSON_FILE, PAGE_FILE, CURVES_FILE = "evaluation.json", "evaluation.png", "curves.png"
_DIGITS = 6
"""Significant ones in the JSON file: more than any figure is worth."""


@dataclass(frozen=True)
class Sizes:
    """How much of everything is measured."""

    excerpts: int = 24
    continuations: int = 200
    continuation_seconds: float = 8.0
    long_takes: int = 20
    long_seconds: float = 60.0
    gaps: int = 60
    note_takes: int = 60
    pictures: int = 3

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            least = 5 if name == "long_seconds" else 1 if name in ("continuation_seconds", "pictures") else 2
            if not least <= value < math.inf:
                raise ValueError(f"{name} is {value:g}, want {least} or more")


QUICK_SIZES = Sizes(2, 4, 2.0, 2, 5.0, 2, 2, 1)
"""Enough to see that everything runs; the figures are worth nothing."""


@dataclass(frozen=True)
class Missing:
    """A part that could not be measured."""

    missing: str
    """Why."""


PartResult = Likelihood | Conditioning | Continuations | LongTakes | GapEdges | NoteFollowing | list[str] | Missing


@dataclass(frozen=True)
class Evaluation:
    """What was measured, on what."""

    preset: str
    digest: str
    engine: str
    seed: int
    held_out_works: int
    held_out_seconds: float
    sizes: Sizes
    parts: dict[str, PartResult]


def evaluate(
    preset: Preset,
    data: Path,
    out: Path,
    *,
    parts: Sequence[str] = PARTS,
    sizes: Sizes = QUICK_SIZES,
    against: Preset | None = None,
    engine: str = DEFAULT_ENGINE,
    seed: int = 1,
    processes: int = 1,
    progress: NamedProgress,
) -> Evaluation:
    """Measure a preset on the test split of ``data`` and write ``evaluation.json``, ``evaluation.png`` and pictures;
    ``curves.png`` too, where the training curves lie beside the weights.

    The same preset, data, sizes and seed make the same file on one machine, whatever the number of processes.

    Raises:
        ValueError: an unknown part, no data, or a size out of range.
    """
    if unknown := sorted(set(parts) - set(PARTS)):
        raise ValueError(f"no part {unknown[0]!r}; there are: {', '.join(PARTS)}")
    sound = preset.config.sound
    held_out = load_works(data, "test", sound, naming(progress, "reading test"), processes=processes)
    train: list[Work] = []
    if "likelihood" in parts:
        train = load_works(data, "train", sound, naming(progress, "reading train"), processes=processes)
    out.mkdir(parents=True, exist_ok=True)
    source = TakeSource(preset.path, engine, sound)
    seconds = sum(len(work.log_mel) for work in held_out) / sound.frames_per_second
    done: dict[str, PartResult] = {}
    evaluation = Evaluation(preset.name, preset.digest, engine, seed, len(held_out), seconds, sizes, done)
    with workers_of(processes) as workers:
        measuring = _measuring(preset, train, held_out, out, source, sizes, against, seed, workers, progress)
        for part in PARTS:
            if part not in parts:
                continue
            started = time.monotonic()
            try:
                done[part] = measuring[part]()
            except NotMeasurableError as error:
                log.warning("%s: %s", part, error)
                done[part] = Missing(str(error))
            log.info("%s took %.0f s", part, time.monotonic() - started)
            # after every part, so that an interrupted run leaves what it has measured
            (out / JSON_FILE).write_text(json.dumps(rounded(asdict(evaluation)), indent=1) + "\n", encoding="utf-8")
    draw_page(preset.name, preset.digest, done, out / PAGE_FILE)
    draw_curves(preset.path, len(preset.config.model.tiers), out / CURVES_FILE)
    return evaluation


def rounded(value: Any) -> Any:
    """The same for JSON: numbers to six digits, what is no number as null."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value


def _measuring(
    preset: Preset,
    train: list[Work],
    held_out: list[Work],
    out: Path,
    source: TakeSource,
    sizes: Sizes,
    against: Preset | None,
    seed: int,
    workers: Workers,
    progress: NamedProgress,
) -> dict[str, Callable[[], PartResult]]:
    return {
        "likelihood": lambda: held_out_likelihood(
            preset, train, held_out, count=sizes.excerpts, seed=seed, against=against, workers=workers,
            progress=progress,
        ),
        "conditioning": lambda: conditioned_likelihood(
            preset, held_out, count=sizes.excerpts, workers=workers, progress=naming(progress, "conditioning")
        ),
        "continuations": lambda: compare_continuations(
            source, held_out, count=sizes.continuations, seconds=sizes.continuation_seconds, seed=seed,
            workers=workers, progress=progress,
        ),
        "long": lambda: measure_long_takes(
            source, held_out, count=sizes.long_takes, seconds=sizes.long_seconds, seed=seed, workers=workers,
            progress=progress,
        ),
        "inpainting": lambda: measure_gap_edges(
            source, held_out, count=sizes.gaps, seed=seed, workers=workers, progress=progress
        ),
        "notes": lambda: measure_note_following(
            source, held_out, count=sizes.note_takes, seconds=sizes.continuation_seconds, seed=seed,
            workers=workers, progress=progress,
        ),
        "pictures": lambda: picture_continuations(
            source, held_out, out, count=sizes.pictures, seed=seed, workers=workers, progress=progress
        ),
    }  # fmt: skip
