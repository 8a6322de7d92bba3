"""A tier's training curve: lines of JSON, and for TensorBoard scalars, pictures and sound."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

log = logging.getLogger(__name__)

TENSORBOARD_FOLDER = "tensorboard"
_SHOWN_NATS = 9.0
"""Below the loudest bin; pictures are black from there on."""


@dataclass(frozen=True)
class TierProgress:
    """One line of a tier's training curve."""

    tier: int
    step: int
    minutes: float
    fraction: float
    train_nats: float
    """Mean over the steps since the last line, nats a bin of ln magnitude; not a number if all were left out."""
    valid_nats: float | None = None
    valid_loud_nats: float | None = None


class Curve:
    """``tier-N.jsonl`` and a folder for TensorBoard, of one tier (N from 1)."""

    def __init__(self, out: Path, tier: int, from_step: int) -> None:
        """``tier`` counts from 0. Lines after ``from_step``, of a run that was killed, are taken back."""
        self._path = out / f"tier-{tier + 1}.jsonl"
        lines = self._path.read_text().splitlines() if self._path.exists() and from_step else []
        kept = [line for line in lines if _step_of(line) <= from_step]
        self._path.write_text("".join(f"{line}\n" for line in kept))
        self._property_values = _property_values(out / TENSORBOARD_FOLDER / f"tier-{tier + 1}", from_step)

    def add(self, line: TierProgress) -> None:
        """Write a line down, at once."""
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(line)) + "\n")
        if self._property_values is None:
            return
        for name, value in asdict(line).items():
            if name.endswith("nats") and value is not None:
                self._property_values.add_scalar(f"nats a bin/{name.removesuffix('_nats')}", value, line.step)
        self._property_values.flush()

    def add_sample(
        self, name: str, step: int, log_mel: npt.NDArray[np.float32], audio: npt.NDArray[np.float32], rate_hz: int
    ) -> None:
        """Show ``log_mel [T, M]`` and its sound on TensorBoard."""
        if self._property_values is None:
            return
        grey = np.clip((log_mel.T[::-1] - log_mel.max()) / _SHOWN_NATS + 1, 0, 1)
        self._property_values.add_image(name, np.ascontiguousarray(grey[None]), step)
        self._property_values.add_audio(name, audio[None], step, sample_rate=rate_hz)
        self._property_values.flush()

    def close(self) -> None:
        if self._property_values is not None:
            self._property_values.close()


def read_curves(out: Path, tiers: Sequence[int]) -> dict[int, list[TierProgress]]:
    """The curves of tiers (counted from 0) as far as they were written."""
    curves = {}
    for tier in tiers:
        path = out / f"tier-{tier + 1}.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        curves[tier] = [TierProgress(**json.loads(line)) for line in lines if line.endswith("}")]
    return curves


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # cut off when the run was killed


def _property_values(folder: Path, from_step: int) -> SummaryWriter | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.info("no TensorBoard here: pip install 'melnet-music[train]' for curves and samples to look at")
        return None
    return SummaryWriter(str(folder), purge_step=from_step + 1 if from_step else None)  # type: ignore[no-untyped-call]
