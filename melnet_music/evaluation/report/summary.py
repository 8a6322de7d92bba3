"""The evaluation in a few lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from melnet_music.evaluation.continuations import Continuations
from melnet_music.evaluation.gap_edges import GapEdges
from melnet_music.evaluation.likelihood import Conditioning, Likelihood
from melnet_music.evaluation.long_takes import LongTakes
from melnet_music.evaluation.note_following import NoteFollowing


def summary(parts: Mapping[str, Any]) -> list[str]:
    """Lines for a terminal."""
    return [line for name, part in parts.items() for line in _of_part(name, part)]


def _of_part(name: str, part: Any) -> list[str]:
    match part:
        case Likelihood():
            return _likelihood(part)
        case Conditioning():
            return _conditioning(part)
        case Continuations():
            return [
                f"{part.takes} continuations of {part.seconds:g} s, distance to real music: "
                "generated / real itself / vocoded / shuffled frames / repeated frame",
                *(
                    f"  {measure:16} {one.generated:8.3f} {one.real:8.3f} {one.vocoded:8.3f} "
                    f"{one.shuffled_frames:8.3f} {one.repeated_frame:8.3f}  {one.unit}"
                    for measure, one in part.distances.items()
                ),
            ]
        case LongTakes():
            return [
                f"{part.takes} takes of {part.seconds:g} s, windows outside real music's 5th to 95th percentile",
                *(
                    f"  {measure:20} {one.generated.share_of_windows:6.1%} (real {one.real.share_of_windows:.1%}), "
                    f"{one.generated.takes_that_leave} takes leave, {one.generated.takes_that_end_outside} end outside"
                    for measure, one in part.measures.items()
                ),
            ]
        case GapEdges():
            return [
                f"edges of {part.gaps} repainted gaps beyond the natural 95th percentile (natural: 5 %): "
                "entering / leaving / hard cut",
                *(
                    f"  {measure:16} {one.entering.above_95:6.1%} {one.leaving.above_95:6.1%} "
                    f"{one.hard_cut.above_95:6.1%}"
                    for measure, one in part.measures.items()
                ),
            ]
        case NoteFollowing():
            return [
                f"{part.given.notes} notes given to {part.takes} takes, heard: {part.given.recall:.1%}; by chance "
                f"{part.shuffled.recall:.1%}, without notes {part.free.recall:.1%}, in the real sound "
                f"{part.real.recall:.1%}"
            ]
        case list():
            return [f"{len(part)} pictures"]
    return [f"{name}: {part.missing}"]


def _likelihood(part: Likelihood) -> list[str]:
    names = list(part.whole_grid)
    rows = {f"tier {tier.tier}": {**tier.model, **tier.baselines} for tier in part.tiers}
    rows["full grid"] = part.whole_grid
    lines = [
        f"nats a bin on {part.excerpts} excerpts, all / loud bins; less is better",
        f"{'':10}" + "".join(f"{name:>20}" for name in names),
    ]
    for label, row in rows.items():
        cells = (f"{row[name].all:+.3f} / {row[name].loud:+.3f}" for name in names)
        lines.append(f"{label:10}" + "".join(f"{cell:>20}" for cell in cells))
    if part.against and part.against.not_comparable:
        lines.append(f"against {part.against.preset}: {part.against.not_comparable}")
    elif part.against:
        better = ", ".join(
            f"{value:+.4f} ± {part.against.better_by_standard_error[name]:.4f} ({name})"
            for name, value in part.against.better_by.items()
        )
        lines.append(f"against {part.against.preset}: better by {better}")
    return lines


def _conditioning(part: Conditioning) -> list[str]:
    lines = []
    for what, knowing, missing in (
        (f"the future of a gap of {part.gap_seconds:.1f} s", part.future, part.future_missing),
        ("the notes", part.notes, part.notes_missing),
    ):
        if knowing is None:
            lines.append(f"{what}: {missing}")
            continue
        gains = ", ".join(
            f"{name} {gain:+.4f} ± {knowing.gain_standard_error[name]:.4f}" for name, gain in knowing.gain.items()
        )
        lines.append(f"{what}, gain over withheld in nats a bin: {gains}")
    return lines
