"""The figures of many works together: whether takes keep what was heard, and stay within what real music does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields

import numpy as np
from numpy.typing import NDArray

from melnet_music.evaluation.planned.measures import SpanMeasures
from melnet_music.evaluation.planned.work_measures import Counts, SideMeasures, WorkMeasures

SIDES = ("real", "planned", "unplanned", "plan", "score")
MEASURES = tuple(field.name for field in fields(SpanMeasures))
DENSITY_WITHIN, BEAT_AT_LEAST = 0.25, 0.75
LEAST_BEAT = 0.1
"""What was heard with less of a beat says nothing of keeping it."""
SPREAD = (5, 95)
"""Percentiles of windows of real music, as the ear hears it."""

Array = NDArray[np.float64]


def figures(works: Sequence[WorkMeasures]) -> dict[str, object]:
    """Plain JSON: shares are of 1, and null stands where there was nothing to measure."""
    with_takes = [work for work in works if "planned" in work.sides]
    real_windows = [window for work in works for window in work.sides["real"].windows]
    spread = {
        name: [round(float(value), 4) for value in np.nanpercentile(_column(real_windows, name), SPREAD)]
        for name in ("pitch_class_entropy", "in_key")
    }
    real_returns = _mean(_column([work.sides["real"].whole for work in with_takes], "rhythm_returns"))
    sides: dict[str, object] = {}
    for side in SIDES:
        measured = [work.sides[side] for work in with_takes if side in work.sides]
        if not measured:
            continue
        number = min(len(one.windows) for one in measured)
        sides[side] = {
            **_held(measured, lambda one: one.whole, spread),
            "windows_within": {
                name: _share(_inside(_column([w for one in measured for w in one.windows], name), limits))
                for name, limits in spread.items()
            },
            "rhythm_returns_over_real": _ratio(
                _mean(_column([one.whole for one in measured], "rhythm_returns")), real_returns
            ),
            "by_window": [_held(measured, lambda one, n=n: one.windows[n], spread) for n in range(number)],  # type: ignore[misc]
        }
    return {
        "works": len(works),
        "works_with_takes": len(with_takes),
        "real_windows": len(real_windows),
        "real_spread": spread,
        "heard": _means([work.sides["real"].heard for work in with_takes]),
        "sides": sides,
        "ear_on_real": _found([counts for work in works for counts in work.ear_on_real]),
        "ear_on_plan": _found([counts for work in works for counts in work.ear_on_plan]),
        "ear_on_plan_by_window": [
            _found([work.ear_on_plan[n] for work in with_takes])
            for n in range(min((len(work.ear_on_plan) for work in with_takes), default=0))
        ],
        "each": [asdict(work) for work in works],
    }


def _held(
    measured: Sequence[SideMeasures], span: Callable[[SideMeasures], SpanMeasures], spread: dict[str, list[float]]
) -> dict[str, object]:
    """Spans against what was heard before them, and within real music."""
    heard, spans = [one.heard for one in measured], [span(one) for one in measured]
    held: dict[str, object] = {"mean": _means(spans)}
    for name in ("notes_per_second", "moments_per_second", "onsets_per_second"):
        ratio = _column(spans, name) / _column(heard, name)
        held[f"{name}_ratio"] = _median(ratio)
        held[f"{name}_within"] = _share((np.abs(ratio - 1) <= DENSITY_WITHIN)[np.isfinite(ratio)])
    for name in ("beat", "bar", "note_beat", "note_bar"):
        before, values = _column(heard, name), _column(spans, name)
        told = before >= LEAST_BEAT
        ratio = np.nan_to_num(values, nan=0.0)[told] / before[told]  # of silence: none of it is kept
        if np.isnan(values).all():  # notes alone do not sound
            ratio = ratio[:0]
        held[f"{name}_ratio"] = _median(ratio)
        held[f"{name}_kept"] = _share(ratio >= BEAT_AT_LEAST)
        held[f"{name}_told"] = int(told.sum())
    for name, limits in spread.items():
        held[f"{name}_within"] = _share(_inside(_column(spans, name), limits))
    return held


def _found(counts: Sequence[Counts]) -> dict[str, object]:
    hits, found, played = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0, 0)
    return {
        "precision": round(hits / found, 3) if found else None,
        "recall": round(hits / played, 3) if played else None,
        "played": played,
    }


def _column(spans: Sequence[SpanMeasures], name: str) -> Array:
    return np.array([getattr(span, name) for span in spans], np.float64)


def _inside(values: Array, limits: Sequence[float]) -> NDArray[np.bool_]:
    """What is silent is outside."""
    return np.asarray((values >= limits[0]) & (values <= limits[1]))


def _means(spans: Sequence[SpanMeasures]) -> dict[str, float | None]:
    return {name: _mean(_column(spans, name)) for name in MEASURES}


def _mean(values: Array) -> float | None:
    known = values[np.isfinite(values)]
    return round(float(known.mean()), 3) if len(known) else None


def _median(values: Array) -> float | None:
    known = values[np.isfinite(values)]
    return round(float(np.median(known)), 3) if len(known) else None


def _share(true: NDArray[np.bool_]) -> float | None:
    return round(float(true.mean()), 3) if len(true) else None


def _ratio(value: float | None, over: float | None) -> float | None:
    return round(value / over, 3) if value is not None and over else None
