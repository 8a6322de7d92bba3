"""How a preset was trained: the curves that lie in its folder, drawn."""

from __future__ import annotations

from pathlib import Path

from melnet_music.evaluation.report.drawing import pyplot
from melnet_music.training.curve import read_curves


def draw_curves(folder: Path, tiers: int, path: Path) -> bool:
    """Write the training curves of the tiers of ``folder`` as PNG; False: there are none."""
    curves = {tier: lines for tier, lines in read_curves(folder, range(tiers)).items() if lines}
    if not curves:
        return False
    plots = pyplot()
    figure, axes = plots.subplots(1, len(curves), figsize=(3.4 * len(curves), 3), layout="constrained", squeeze=False)
    for axis, (tier, lines) in zip(axes.flat, curves.items(), strict=True):
        axis.plot([line.minutes for line in lines], [line.train_nats for line in lines], lw=0.8, label="training")
        held_out = [line for line in lines if line.valid_nats is not None]
        minutes = [line.minutes for line in held_out]
        axis.plot(minutes, [line.valid_nats for line in held_out], "o-", ms=3, label="held out")
        axis.plot(minutes, [line.valid_loud_nats for line in held_out], "o-", ms=3, label="held out, loud bins")
        axis.set(title=f"tier {tier + 1}, {lines[-1].step} steps", xlabel="minutes", ylim=_range(lines[-1].train_nats))
    axes[0, 0].set_ylabel("nats a bin")
    axes[0, 0].legend(fontsize=7)
    figure.savefig(path, dpi=90)
    plots.close(figure)
    return True


def _range(last_nats: float) -> tuple[float, float]:
    """Where a curve is worth looking at: its first steps are far above."""
    return last_nats - 0.5, last_nats + 1.2
