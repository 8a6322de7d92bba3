"""One work measured: what was heard of it, how it went on, and takes in its sound, over the whole and by windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melnet_music.evaluation.planned.measures import (
    OnsetStrength,
    Performed,
    Samples,
    SpanMeasures,
    found_notes,
    measure_span,
)
from melnet_music.evaluation.planned.takes import TakeMaker, make_take
from melnet_music.evaluation.planned.works import Join, WorkNumber, sounding_work
from melnet_music.evaluation.score.note_measures import best_key
from melnet_music.model.preset import load_preset
from melnet_music.notes.ear.ear import Ear, as_notes, load_ear
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.quantise import quantise
from melnet_music.sound.mel import log_mel

WINDOW_SECONDS = 15.0
LONGEST_BAR_SECONDS = 12.0
"""A work is so much longer than what is heard and what is made: takes begin with a bar."""


@dataclass(frozen=True)
class SideMeasures:
    """Of one side, and of the heard part before it, which it is held against."""

    heard: SpanMeasures
    whole: SpanMeasures
    windows: list[SpanMeasures]


Counts = tuple[int, int, int]
"""Of notes: found and played, found, played."""


@dataclass(frozen=True)
class WorkMeasures:
    """One work. Sides: ``real``, ``planned`` and ``unplanned`` sound, the ``plan`` and the real ``score`` as notes."""

    name: str
    join_s: float
    tempo_bpm: float
    meter: str
    sides: dict[str, SideMeasures]
    ear_on_real: list[Counts]
    """The ear's notes of the real continuation against its notes, by windows."""
    ear_on_plan: list[Counts]
    """The ear's notes of the planned take against the plan's, by windows; empty where no take was made."""


@dataclass(frozen=True)
class WorkJob:
    """A work to measure."""

    work: WorkNumber
    maker: TakeMaker
    takes: bool
    """Whether takes are made; else the real music alone is measured."""


def measure_work(job: WorkJob) -> WorkMeasures:
    """All of one work, on one core.

    Raises:
        ValueError: a file cannot be read or written, or a soundfont is missing.
    """
    sound, ear = load_preset(job.maker.preset).config.sound, load_ear(job.maker.ear)
    work = sounding_work(job.work, sound)
    join = Join.after(work, job.maker.heard_seconds)
    end_s = join.second + job.maker.seconds
    span = (join.second, end_s)
    key = best_key(quantise([note for note in work.notes if note.onset_s < join.second], work.times))
    audio = work.audio[: round(end_s * sound.sample_rate_hz)]
    heard_real = heard_in(ear, audio)
    real = Performed(heard_real, work.times, work.bars, OnsetStrength.of(audio, sound.sample_rate_hz))
    sides = {
        "real": _side(real, real, span, key),
        "score": _side(score := Performed(work.notes, work.times, work.bars), score, span, key),
    }
    on_plan = list[Counts]()
    if job.takes:
        for planned in (True, False):
            take = make_take(job.maker, work, join, planned=planned)
            notes = heard_in(ear, take.audio)
            strength = OnsetStrength.of(take.audio, sound.sample_rate_hz)
            made = Performed(notes, join.times, work.bars, strength)
            sides["planned" if planned else "unplanned"] = _side(real, made, span, key)
            if planned:
                before = [note for note in notes if note.onset_s < join.second]
                plan = Performed([*before, *take.plan], join.times, work.bars)
                sides["plan"] = _side(real, plan, span, key)
                on_plan = [found_notes(notes, take.plan, *window) for window in windows(*span)]
    on_real = [found_notes(heard_real, work.notes, *window) for window in windows(*span)]
    meter = work.bars.meters[0]
    name = f"{meter.numerator}/{meter.denominator}"
    return WorkMeasures(work.name, join.second, join.tempo_bpm, name, sides, on_real, on_plan)


def heard_in(ear: Ear, audio: Samples) -> list[Note]:
    """The notes that an ear hears in sound of its own rate."""
    return as_notes(ear.hear_all(log_mel(audio, ear.config.sound)))


def windows(start_s: float, end_s: float) -> Sequence[tuple[float, float]]:
    """The whole windows of a span."""
    number = int((end_s - start_s) / WINDOW_SECONDS + 1e-6)
    return [(start_s + n * WINDOW_SECONDS, start_s + (n + 1) * WINDOW_SECONDS) for n in range(number)]


def _side(heard: Performed, music: Performed, span: tuple[float, float], key: NDArray[np.bool_]) -> SideMeasures:
    begin_s = float(heard.times.seconds_at(0.0))
    return SideMeasures(
        measure_span(heard, begin_s, span[0], key),
        measure_span(music, *span, key),
        [measure_span(music, *window, key) for window in windows(*span)],
    )
