"""Planned takes measured: held-out works, takes of some of them, figures as JSON, a table, and pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from melnet_music.evaluation.evaluate import rounded
from melnet_music.evaluation.planned.figures import figures
from melnet_music.evaluation.planned.pictures import picture_take
from melnet_music.evaluation.planned.table import tables
from melnet_music.evaluation.planned.takes import TakeMaker
from melnet_music.evaluation.planned.work_measures import (
    LONGEST_BAR_SECONDS,
    WorkJob,
    measure_work,
)
from melnet_music.evaluation.planned.works import held_out_works
from melnet_music.evaluation.workers import NamedProgress, naming, workers_of

JSON_FILE, TABLE_FILE, TAKES_FOLDER = "planned.json", "planned.md", "takes"


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    works: int = 10
    """That takes are made of."""
    real: int = 40
    """Works, those among them, that tell what real music does."""
    pictures: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.works <= self.real:
            raise ValueError(f"{self.works} works of {self.real} real ones: want at least 1, and no more than are real")
        if not 0 <= self.pictures <= self.works:
            raise ValueError(f"{self.pictures} pictures of {self.works} works: want 0 to as many")


def measure_planned_takes(
    maker: TakeMaker, kind: str, seed: int, out: Path, extent: Extent, processes: int, progress: NamedProgress
) -> str:
    """Write ``planned.json``, ``planned.md`` and pictures of the first works to ``out``; returns the tables.

    Takes are kept in ``maker.folder``: where it was stopped, the same call goes on.

    Raises:
        ValueError: no such kind or seed, or a file cannot be read or written.
    """
    works = held_out_works(kind, seed, extent.real, maker.heard_seconds + maker.seconds + LONGEST_BAR_SECONDS)
    jobs = [WorkJob(work, maker, number < extent.works) for number, work in enumerate(works)]
    with workers_of(processes) as workers:
        measured = workers.work_off(measure_work, jobs, naming(progress, "works"))
        pictured = [(job, out / f"planned-{kind}-{n + 1}.png") for n, job in enumerate(jobs[: extent.pictures])]
        out.mkdir(parents=True, exist_ok=True)
        workers.work_off(picture_take, pictured, naming(progress, "pictures"))
    found = {"kind": kind, "seed": seed, **figures(measured)}
    (out / JSON_FILE).write_text(json.dumps(rounded(found), indent=1) + "\n", encoding="utf-8")
    written = tables(found)
    (out / TABLE_FILE).write_text(written, encoding="utf-8")
    return written
