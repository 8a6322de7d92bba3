"""The evaluation on one page: a panel for every question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from melnet_music.evaluation.continuations import STEP_SEMITONES, Continuations
from melnet_music.evaluation.gap_edges import GapEdges
from melnet_music.evaluation.likelihood import WHOLE, Conditioning, Knowing, Likelihood
from melnet_music.evaluation.long_takes import LongTakes
from melnet_music.evaluation.note_following import NoteFollowing
from melnet_music.evaluation.report.drawing import pyplot

_MODEL, _REAL, _SPOILT, _OTHER = "tab:blue", "tab:green", "tab:red", "0.6"
_KINDS = {
    "generated": _MODEL, "real": _REAL, "vocoded": "tab:olive", "shuffled_frames": _SPOILT,
    "repeated_frame": "tab:brown",
}  # fmt: skip
_STYLE = {"axes.titlesize": 9.5, "axes.labelsize": 8, "xtick.labelsize": 8, "ytick.labelsize": 8}
_PITCH_CLASSES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]


def draw_page(preset: str, digest: str, parts: Mapping[str, Any], path: Path) -> None:
    """Write the page as PNG. A part that is missing leaves its panels empty, and says so."""
    plots = pyplot()
    with plots.rc_context(_STYLE):
        figure = _page(plots, preset, digest, parts)
    figure.savefig(path, dpi=90)
    plots.close(figure)


def _page(plots: Any, preset: str, digest: str, parts: Mapping[str, Any]) -> Any:
    figure, axes = plots.subplots(4, 4, figsize=(17, 15.5), layout="constrained")
    panels: list[tuple[str, type, Callable[[Any, Any], None]]] = [
        ("likelihood", Likelihood, _tiers),
        ("likelihood", Likelihood, _whole_grid),
        ("conditioning", Conditioning, _future),
        ("conditioning", Conditioning, _notes_known),
        ("continuations", Continuations, _distances),
        ("continuations", Continuations, _pitch_classes),
        ("continuations", Continuations, _steps),
        ("continuations", Continuations, _summaries),
        ("long", LongTakes, lambda axis, part: _drift(axis, part, "level")),
        ("long", LongTakes, lambda axis, part: _drift(axis, part, "onset_rate")),
        ("long", LongTakes, lambda axis, part: _drift(axis, part, "brightness")),
        ("long", LongTakes, lambda axis, part: _drift(axis, part, "pitch_class_entropy")),
        ("inpainting", GapEdges, _edges),
        ("inpainting", GapEdges, _edge_tails),
        ("notes", NoteFollowing, _followed),
        ("continuations", Continuations, _detection),
    ]
    for axis, (name, kind, draw) in zip(axes.flat, panels, strict=True):
        part = parts.get(name)
        if isinstance(part, kind):
            draw(axis, part)
        else:
            _say(axis, f"{name}: " + ("not measured" if part is None else part.missing))
    figure.suptitle(f"{preset} ({digest}) on held-out music", fontsize=15)
    return figure


def _say(axis: Any, text: str) -> None:
    axis.set_axis_off()
    axis.text(0.5, 0.5, text, ha="center", va="center", wrap=True, fontsize=9)


def _bars(axis: Any, labels: list[str], columns: dict[str, tuple[list[float], str]]) -> None:
    """Groups of bars side by side."""
    width = 0.8 / len(columns)
    for number, (name, (values, colour)) in enumerate(columns.items()):
        axis.bar(np.arange(len(labels)) + (number + 0.5) * width - 0.4, values, width, label=name, color=colour)
    axis.set_xticks(range(len(labels)), labels, fontsize=8)
    axis.axhline(0, color="black", lw=0.6)
    axis.legend(fontsize=7)


def _tiers(axis: Any, part: Likelihood) -> None:
    names = list(part.tiers[0].baselines)
    columns = {"model": ([tier.model[WHOLE].all for tier in part.tiers], _MODEL)}
    for name, colour in zip(names, (_OTHER, "0.8"), strict=True):
        columns[name.replace("_", " ")] = ([tier.baselines[name].all for tier in part.tiers], colour)
    _bars(axis, [f"tier {tier.tier}" for tier in part.tiers], columns)
    axis.set(title=f"nats a bin by tier, {part.excerpts} excerpts (less is better)")


def _whole_grid(axis: Any, part: Likelihood) -> None:
    rows = {
        name if name == WHOLE or not name.isdigit() else f"chunk {name}": value
        for name, value in part.whole_grid.items()
    }
    if part.against and part.against.whole_grid:
        rows[part.against.preset] = part.against.whole_grid[WHOLE]
    labels = [name.replace("_", "\n") for name in rows]
    _bars(
        axis,
        labels,
        {
            "all bins": ([value.all for value in rows.values()], _MODEL),
            "loud bins": ([value.loud for value in rows.values()], "tab:cyan"),
        },
    )
    axis.set(title="nats per bin of the full grid (less is better)")


def _future(axis: Any, part: Conditioning) -> None:
    _known(axis, part.future, part.future_missing, f"gap of {part.gap_seconds:.1f} s: its future")


def _notes_known(axis: Any, part: Conditioning) -> None:
    _known(axis, part.notes, part.notes_missing, "notes")


def _known(axis: Any, knowing: Knowing | None, missing: str | None, what: str) -> None:
    if knowing is None:
        _say(axis, f"{what}: {missing}")
        return
    labels = [*(f"tier {number + 1}" for number in range(len(knowing.tiers))), "all"]
    rows = [*knowing.tiers, knowing.whole_grid]
    colours = {"given": _MODEL, "shuffled": _SPOILT}
    columns = {name: ([row["withheld"].all - row[name].all for row in rows], colours[name]) for name in knowing.gain}
    _bars(axis, labels, columns)
    gain, error = knowing.gain["given"], knowing.gain_standard_error["given"]
    axis.set(title=f"{what} known: gain in nats a bin\nall tiers {gain:+.4f} ± {error:.4f}")


def _distances(axis: Any, part: Continuations) -> None:
    """Every measure over the distance of real music to itself."""
    names = list(part.distances)
    for kind, colour in _KINDS.items():
        values = [
            getattr(one, kind) / one.real if one.real else float("nan")
            for one in (part.distances[name] for name in names)
        ]
        axis.plot(values, range(len(names)), "o", color=colour, label=kind.replace("_", " "), ms=6, alpha=0.8)
    axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=8)
    axis.set(xscale="log", title=f"distance to real music over its own floor\n{part.takes} takes of {part.seconds:g} s")
    axis.axvline(1, color="black", lw=0.6)
    axis.legend(fontsize=7)


def _pitch_classes(axis: Any, part: Continuations) -> None:
    shares = part.histograms["pitch_classes"]
    _bars(axis, _PITCH_CLASSES, {kind: (shares[kind], _KINDS[kind]) for kind in ("real", "generated")})
    axis.set(title="pitch classes, share of strength")


def _steps(axis: Any, part: Continuations) -> None:
    shares = part.histograms["melodic_steps"]
    steps = range(-STEP_SEMITONES, STEP_SEMITONES + 1)
    for kind in ("real", "generated", "shuffled_frames"):
        axis.plot(steps, shares[kind], color=_KINDS[kind], label=kind.replace("_", " "))
    axis.set(title="steps of the top line, semitones: shares")
    axis.legend(fontsize=7)


def _summaries(axis: Any, part: Continuations) -> None:
    names = list(part.summaries)
    cells = [
        [f"{part.summaries[name][kind].mean:.2f} ± {part.summaries[name][kind].deviation:.2f}" for kind in kinds]
        for kinds in [("real", "generated", "vocoded")]
        for name in names
    ]
    axis.set_axis_off()
    table = axis.table(
        cells, rowLabels=[name.replace("_", " ") for name in names], colLabels=["real", "generated", "vocoded"],
        loc="center right", colWidths=[0.24] * 3,
    )  # fmt: skip
    table.auto_set_font_size(False)
    table.set_fontsize(7.5)
    table.scale(1, 1.6)
    axis.set_title("continuations: mean ± deviation")


def _drift(axis: Any, part: LongTakes, name: str) -> None:
    measure = part.measures[name]
    centres = (np.arange(len(measure.median_by_window)) + 0.5) * part.window_seconds
    axis.axhspan(*measure.spread, color=_REAL, alpha=0.2, label="real, 5th to 95th percentile")
    axis.plot(centres, measure.median_by_window, "o-", color=_MODEL, label="takes, median")
    axis.set(xlabel="seconds", ylabel=measure.unit.split(",")[0], xlim=(0, None))
    share, real = measure.generated.share_of_windows, measure.real.share_of_windows
    axis.set_title(
        f"{name.replace('_', ' ')}: {measure.generated.takes_that_leave} of {part.takes} takes leave the spread\n"
        f"{share:.0%} of windows outside (real {real:.0%})"
    )
    axis.legend(fontsize=7)


def _edges(axis: Any, part: GapEdges) -> None:
    names = list(part.measures)
    for number, name in enumerate(names):
        measure = part.measures[name]
        rows = {"entering": _MODEL, "leaving": "tab:cyan", "hard_cut": _SPOILT}
        for shift, (kind, colour) in enumerate(rows.items()):
            low, lower, middle, upper, high = getattr(measure, kind).percentiles
            y = number + 0.25 * (shift - 1)
            axis.plot([low, high], [y, y], color=colour, lw=1)
            axis.plot([lower, upper], [y, y], color=colour, lw=5, label=kind.replace("_", " ") if not number else None)
            axis.plot(middle, y, "|", color="black", ms=9)
    for line in (25, 50, 75):
        axis.axvline(line, color="black", lw=0.4, ls=":")
    axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=8)
    axis.set(
        xlim=(0, 100),
        title=f"edges of {part.gaps} repainted gaps: percentile in real music\n(natural: median 50, thick 25 to 75)",
    )
    axis.legend(fontsize=7)


def _edge_tails(axis: Any, part: GapEdges) -> None:
    names = list(part.measures)
    _bars(
        axis,
        [name.replace("_", "\n") for name in names],
        {
            kind.replace("_", " "): ([100 * getattr(part.measures[name], kind).above_95 for name in names], colour)
            for kind, colour in (("entering", _MODEL), ("leaving", "tab:cyan"), ("hard_cut", _SPOILT))
        },
    )
    axis.axhline(5, color=_REAL, lw=1.5)
    axis.set(title="edges beyond the natural 95th percentile, %\n(green: natural)")


def _followed(axis: Any, part: NoteFollowing) -> None:
    kinds = ("given", "shuffled", "free", "real")
    _bars(
        axis,
        ["with notes", "against\nother notes", "without\nnotes", "real sound"],
        {
            "recall": ([getattr(part, kind).recall for kind in kinds], _MODEL),
            "precision": ([getattr(part, kind).precision for kind in kinds], "tab:cyan"),
        },
    )
    axis.set(ylim=(0, 1), title=f"given notes heard in the take: {part.takes} takes, {part.given.notes} notes")


def _detection(axis: Any, part: Continuations) -> None:
    worth = part.detection
    if worth is None:
        _say(axis, "what the detectors are worth is not known:\nno notes beside the recordings")
        return
    axis.set_axis_off()
    lines = [
        "What the detectors are worth, on the real continuations:",
        f"onsets: precision {worth.onset_precision:.2f}, recall {worth.onset_recall:.2f} of {worth.onsets}",
        f"notes: precision {worth.note_precision:.2f}, recall {worth.note_recall:.2f} of {worth.notes}",
        f"within {1000 * worth.tolerance_seconds:.0f} ms",
        f"polyphony: {worth.polyphony_found:.1f} found, {worth.polyphony_true:.1f} by the score,",
        f"correlation {worth.polyphony_correlation:.2f}",
        "",
        f"Frechet distance: {part.distances['frechet'].generated:.2f}; real {part.distances['frechet'].real:.2f},",
        f"vocoded {part.distances['frechet'].vocoded:.2f}, shuffled {part.distances['frechet'].shuffled_frames:.2f},",
        f"repeated frame {part.distances['frechet'].repeated_frame:.2f}",
    ]
    axis.text(0, 0.5, "\n".join(lines), va="center", fontsize=9)
