"""Plans measured on held-out scores: what the score model goes on with, beside how the music really went on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise

import numpy as np

from melnet_music.composing.leakage import shared_ngrams
from melnet_music.composing.perform import PerformedNote
from melnet_music.evaluation.score.note_measures import NoteMeasures, best_key, measure_notes
from melnet_music.notes.score.grid import STEPS_PER_QUARTER, GridNote
from melnet_music.notes.score.network import ScoreModel
from melnet_music.notes.score.planner import Plan
from melnet_music.notes.score.settings import PlanSettings
from melnet_music.notes.score.state import ScoreState
from melnet_music.training.score.scores import Score

HEARD_S, WINDOW_S, WINDOWS = 20.0, 15.0, 4
_MEASURES = tuple(field.name for field in fields(NoteMeasures))
_SPREAD = (5, 95)
"""Percentiles of real music within which a window counts as real."""
_DENSITY_WITHIN, _BEAT_AT_LEAST = 0.25, 0.75
_LEAST_BEAT = 0.1
"""What was heard with less of a beat says nothing of keeping it."""


@dataclass(frozen=True)
class Continuation:
    """One score, as it was heard, as it went on, and as it was planned."""

    name: str
    heard: NoteMeasures
    real: list[NoteMeasures]
    """By windows, as far as the score goes."""
    planned: list[NoteMeasures]
    planned_whole: NoteMeasures
    real_whole: NoteMeasures | None
    planned_notes: list[GridNote]
    prime_s: float
    plan_s: float
    first_bar_s: float
    """CPU seconds: to read what was heard, to plan it all, and to plan the first bar."""


def continue_score(model: ScoreModel, score: Score, settings: PlanSettings, seed: int) -> Continuation | None:
    """Plan a minute after about `HEARD_S` of a score; nothing where it is too short for that and one window."""
    bars, notes = score.bars.copy(), score.notes()
    steps_of_s = STEPS_PER_QUARTER * score.quarters_per_minute / 60
    window = round(WINDOW_S * steps_of_s)
    start = bars.start(bars.bar_at(round(HEARD_S * steps_of_s)) + 1)
    heard = [note for note in notes if note.onset < start]
    if notes[-1].onset < start + window or len(heard) < 16:
        return None
    began = time.process_time()
    state = ScoreState(model, bars)
    state.add(heard)
    primed = time.process_time()
    plan = Plan.begin(state, start, settings, np.random.default_rng(seed))
    planned = plan.extend(bars.start(bars.bar_at(start) + 1))
    first = time.process_time()
    planned += plan.extend(start + WINDOWS * window)
    done = time.process_time()
    key = best_key(heard)
    first_onset = heard[0].onset
    edges = [start + index * window for index in range(WINDOWS + 1)]
    spans = list(pairwise(edges))
    real_spans = [span for span in spans if span[1] <= notes[-1].onset]
    whole = (start, start + WINDOWS * window)
    return Continuation(
        score.name,
        measure_notes(heard, bars, first_onset, start, key),
        [measure_notes(notes, bars, *span, key, [n for n in notes if n.onset < span[0]]) for span in real_spans],
        [measure_notes(planned, bars, *span, key, [*heard, *planned]) for span in spans],
        measure_notes(planned, bars, *whole, key, heard),
        measure_notes(notes, bars, start, real_spans[-1][1], key, heard) if real_spans else None,
        planned,
        primed - began,
        done - primed,
        first - primed,
    )


def continue_scores(
    model: ScoreModel,
    scores: Sequence[Score],
    settings: PlanSettings,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[Continuation]:
    """`continue_score` of all that are long enough."""
    made = []
    for number, score in enumerate(scores):
        continuation = continue_score(model, score, settings, seed + number)
        if continuation is not None:
            made.append(continuation)
        if progress is not None:
            progress(number + 1, len(scores))
    return made


def summarise(made: Sequence[Continuation]) -> dict[str, object]:
    """The figures of a set of continuations; plain JSON. Shares are of 1."""
    if not made:
        return {"continuations": 0}
    heard = np.array([_row(each.heard) for each in made])
    real_windows = [window for each in made for window in each.real]
    spread = {
        name: np.nanpercentile([getattr(window, name) for window in real_windows], _SPREAD)
        for name in ("pitch_class_entropy", "in_key")
    }
    sides: dict[str, object] = {}
    for side in ("real", "planned"):
        wholes = [each.planned_whole if side == "planned" else each.real_whole for each in made]
        kept = [index for index, whole in enumerate(wholes) if whole is not None]
        rows = np.array([_row(whole) for whole in wholes if whole is not None])
        by_window = [
            [getattr(each, side)[number] for each in made if len(getattr(each, side)) > number]
            for number in range(WINDOWS)
        ]
        density, moments = (
            rows[:, column] / heard[kept, column]
            for column in (_MEASURES.index("notes_per_quarter"), _MEASURES.index("moments_per_quarter"))
        )
        figures: dict[str, object] = {
            "density_within": _share(np.abs(density - 1) <= _DENSITY_WITHIN),
            "density_ratio": round(float(np.median(density)), 3),
            "moments_within": _share(np.abs(moments - 1) <= _DENSITY_WITHIN),
            "moments_ratio": round(float(np.median(moments)), 3),
            "rhythm_returns": _mean(rows[:, _MEASURES.index("rhythm_returns")]),
        }
        for name in ("beat_autocorrelation", "bar_autocorrelation"):
            column = _MEASURES.index(name)
            with_beat = heard[kept, column] >= _LEAST_BEAT
            ratio = rows[with_beat, column] / heard[kept, column][with_beat]
            figures[f"{name}_kept"] = _share(ratio >= _BEAT_AT_LEAST)
            figures[f"{name}_ratio"] = round(float(np.nanmedian(ratio)), 3) if len(ratio) else None
        for name, (low, high) in spread.items():
            values = np.array([getattr(window, name) for windows in by_window for window in windows])
            figures[f"{name}_within"] = _share((values >= low) & (values <= high))
        figures["by_window"] = [
            {name: _mean(np.array([getattr(window, name) for window in windows])) for name in _MEASURES}
            for windows in by_window
            if windows
        ]
        sides[side] = figures
    notes = sum(len(each.planned_notes) for each in made)
    return {
        "continuations": len(made),
        "heard": {name: _mean(heard[:, index]) for index, name in enumerate(_MEASURES)},
        **sides,
        "ms_a_note": round(1000 * sum(each.plan_s for each in made) / max(notes, 1), 3),
        "first_bar_ms": round(1000 * float(np.median([each.first_bar_s for each in made])), 1),
    }


def leakage(
    made: Sequence[Continuation], trained: Sequence[Score], lengths: Sequence[int] = (8, 16)
) -> dict[str, float]:
    """Stretches of so many notes of the planned top line that occur in what was trained on, as shares."""
    known = [_performed(score.notes()) for score in trained]
    planned = [_performed(each.planned_notes) for each in made]
    return {str(n): round(shared_ngrams(known, planned, n), 4) for n in lengths}


def _performed(notes: Sequence[GridNote]) -> list[PerformedNote]:
    half = 0.5 / STEPS_PER_QUARTER
    return [
        PerformedNote(n.onset * half, (n.onset + n.steps) * half, (n.onset + n.steps) * half, n.pitch, 64, 0, 0)
        for n in notes
    ]


def _row(measures: NoteMeasures) -> list[float]:
    return list(asdict(measures).values())


def _mean(values: np.ndarray) -> float | None:  # type: ignore[type-arg]
    known = values[~np.isnan(values)]
    return round(float(known.mean()), 3) if len(known) else None


def _share(true: np.ndarray) -> float | None:  # type: ignore[type-arg]
    return round(float(true.mean()), 3) if len(true) else None
