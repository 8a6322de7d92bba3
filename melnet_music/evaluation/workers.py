"""Takes and descriptions made side by side: worker processes, each with an instrument of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with librosa

from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.take_request import TakeRequest

Samples = npt.NDArray[np.float32]
Job = TypeVar("Job")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]
"""(done, total)."""
NamedProgress = Callable[[str, int, int], None]
"""(what, done, total)."""


@dataclass(frozen=True, eq=False)
class TakeJob:
    """One take: what to hear first, and what to make then."""

    preset: Path
    engine: str
    heard: Samples
    """float32[n] at the preset's rate."""
    request: TakeRequest
    gap_s: tuple[float, float] | None = None
    """The part of what was heard to repaint; None: go on from its end."""


def make_take(job: TakeJob) -> Samples:
    """float32[n] at the preset's rate. One core."""
    instrument = _instrument(job.preset, job.engine)
    instrument.clear()
    instrument.hear(job.heard)
    if job.gap_s is None:
        return np.concatenate(list(instrument.continuation(job.request)))
    return np.concatenate(list(instrument.inpainting(job.request, *job.gap_s)))


@lru_cache(maxsize=1)
def _instrument(preset: Path, engine: str) -> Instrument:
    return Instrument.load(preset, engine=engine, threads=1)


class Workers:
    """Processes that work a list off, or this one alone. The results do not depend on how many there are."""

    def __init__(self, pool: ProcessPoolExecutor | None) -> None:
        self._pool = pool

    def work_off(self, work: Callable[[Job], Result], jobs: Sequence[Job], progress: Progress) -> list[Result]:
        """``work`` of every job, in their order; ``progress(done, total)``.

        Raises:
            ValueError: a process died.
        """
        results: list[Result] = []
        progress(0, len(jobs))
        try:
            for result in map(work, jobs) if self._pool is None else self._pool.map(work, jobs):
                results.append(result)
                progress(len(results), len(jobs))
        except BrokenProcessPool:
            raise ValueError(
                "a worker process died, perhaps for want of memory: try --processes 1, or smaller counts"
            ) from None
        return results


def naming(progress: NamedProgress, what: str) -> Progress:
    """The progress of one of several things."""
    return lambda done, total: progress(what, done, total)


@contextmanager
def workers_of(processes: int) -> Iterator[Workers]:
    """So many processes to work a list off; with 1 this process does all the work.

    Raises:
        ValueError: fewer than one.
    """
    if processes < 1:
        raise ValueError(f"processes is {processes}, want 1 or more")
    if processes == 1:
        yield Workers(None)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_limit_threads) as pool:
        try:
            yield Workers(pool)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _limit_threads() -> None:
    import torch

    threadpool_limits(1)
    torch.set_num_threads(1)
