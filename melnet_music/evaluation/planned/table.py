"""The figures of planned takes as tables in markdown: goals over the whole, and measures by windows."""

from __future__ import annotations

from typing import Any

from melnet_music.evaluation.planned.figures import SIDES

_NAMES = {
    "real": "real sound",
    "planned": "planned takes",
    "unplanned": "unplanned takes",
    "plan": "the plans, as notes",
    "score": "the real notes",
}
_ROWS = (
    ("notes a second over heard, median", "notes_per_second_ratio"),
    ("...within 25 %", "notes_per_second_within"),
    ("moments a second at which notes begin over heard, median", "moments_per_second_ratio"),
    ("onsets a second over heard (librosa), median", "onsets_per_second_ratio"),
    ("beat over heard, median", "beat_ratio"),
    ("...at least 0.75", "beat_kept"),
    ("bar over heard, median", "bar_ratio"),
    ("...at least 0.75", "bar_kept"),
    ("beat of the notes over heard, median", "note_beat_ratio"),
    ("bar of the notes over heard, median", "note_bar_ratio"),
)
_BY_WINDOW = (
    ("notes a second over heard, median", "notes_per_second_ratio"),
    ("...within 25 %", "notes_per_second_within"),
    ("beat over heard, median", "beat_ratio"),
    ("...at least 0.75", "beat_kept"),
    ("bar over heard, median", "bar_ratio"),
    ("entropy inside the real spread", "pitch_class_entropy_within"),
    ("in key inside the real spread", "in_key_within"),
)


def tables(found: dict[str, Any]) -> str:
    """What `figures` returned, as two tables."""
    sides = {side: found["sides"][side] for side in SIDES if side in found["sides"]}
    head = [f"{found['works_with_takes']} works", *(_NAMES[side] for side in sides)]
    rows = [[label, *(_cell(side[name]) for side in sides.values())] for label, name in _ROWS]
    for label, name in (("entropy", "pitch_class_entropy"), ("in key", "in_key")):
        rows.append(
            [
                f"windows whose {label} is inside the real spread",
                *(_cell(s["windows_within"][name]) for s in sides.values()),
            ]
        )
    rows.append(["rhythm returns over real", *(_cell(side["rhythm_returns_over_real"]) for side in sides.values())])
    lines = [*_table(head, rows), ""]
    made = {side: sides[side] for side in ("real", "planned", "unplanned") if side in sides}
    number = min((len(side["by_window"]) for side in made.values()), default=0)
    head = ["by windows of 15 s", "", *(str(n + 1) for n in range(number))]
    rows = [
        [label, _NAMES[name], *(_cell(side["by_window"][n][measure]) for n in range(number))]
        for label, measure in _BY_WINDOW
        for name, side in made.items()
    ]
    return "\n".join([*lines, *_table(head, rows)]) + "\n"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
