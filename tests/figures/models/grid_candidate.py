"""MelNet's own stacks as score model: nats a bar against those of the one that was kept, on the same held-out bars.

The stacks (`melnet_music.model.stacks`) run over the grid of steps and keys. Every cell is drawn from 23 classes:
nothing begins, or a note of one of 22 lengths. What the kept model's heads see of the past joins as features: patterns
of 1, 2, 4, 8 and 16 bars ago, at the same place and just after, what sounds, and the place in the bar. Both are asked
for the same: when, which and how long, not how loud.

    python -m tests.figures.models.grid_candidate --minutes 15 --scores FILE.jsonl.gz \\
        --kept presets/score/weights.safetensors
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from melnet_music.model.preset import read_weights
from melnet_music.model.stacks import CentralizedStack, FrequencyDelayedStack, TimeDelayedStack
from melnet_music.notes.score.features import look_at_pitches, place_of
from melnet_music.notes.score.tokens import LENGTHS, NEVER
from melnet_music.training.score.material import KINDS, composed_works, read_score_files
from melnet_music.training.score.network import ScoreNetwork, ScoreShape, tensors_of
from melnet_music.training.score.scores import Score
from melnet_music.training.score.sequences import Stretch, empty_rows, write_rows
from tests.figures.support.program import run

_LOG = logging.getLogger(__name__)

BARS = 4
"""Of a clip, and of what is measured of each score."""
_CLASSES = len(LENGTHS) + 1
_PARTS = {"back": 32, "soon": 16, "sounds": 5, "phase": 12, "quarter": 16, "compound": 19, "left": 5}


class Grid(nn.Module):
    """Time-delayed, centralized and frequency-delayed stack over keys, with a categorical head."""

    def __init__(self, hidden: int, layers: int) -> None:
        super().__init__()
        self.features = nn.ModuleDict({name: nn.Embedding(count, hidden) for name, count in _PARTS.items()})
        self.time = TimeDelayedStack("mingru", 88, hidden, layers, True)
        self.central = CentralizedStack("mingru", 88, 2 * hidden, hidden, layers)
        self.frequency = FrequencyDelayedStack("mingru", 88, hidden, layers, True)
        self.copied = nn.Embedding(32, _CLASSES)
        self.head = nn.Linear(hidden, _CLASSES)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias[0] = 5.0
            self.copied.weight.zero_()

    def forward(self, cells: Tensor, seen: dict[str, Tensor]) -> Tensor:
        """``cells [1, T, 88]`` classes and what is seen before each step -> logits ``[1, T, 88, classes]``."""
        began = (cells > 0).float() * (0.5 + cells / _CLASSES)
        features = torch.stack([self.features[name](value) for name, value in seen.items()]).sum(0)
        previous = torch.cat((torch.zeros_like(began[:, :1]), began[:, :-1]), 1)
        past, _ = self.time(previous, features, tuple(rnn.initial(1, 88) for rnn in self.time.time))
        central, _ = self.central(previous, tuple(rnn.initial(1) for rnn in self.central.time))
        past = [out + whole.unsqueeze(2) for out, whole in zip(past, central, strict=True)]
        below = torch.cat((torch.zeros_like(began[:, :, :1]), began[:, :, :-1]), 2)
        h = self.frequency(below, self.frequency.context(features), past)
        logits: Tensor = self.head(h) + self.copied(seen["back"])
        return logits


def grid_clip(score: Score, first_bar: int, shift: int) -> tuple[Tensor, dict[str, Tensor]]:
    """``[1, T, 88]`` classes of `BARS` bars, and what is seen of each cell before its step."""
    bars = score.bars
    start, end = int(bars.starts[first_bar]), int(bars.starts[first_bar + BARS])
    pitches = score.pitches.astype(int) + shift
    roll = np.zeros((int(bars.starts[-1]) + 1, 88), np.uint8)
    roll[score.onsets, pitches] = score.lengths + 1
    ends = np.full(88, NEVER, np.int32)
    for onset, key, length in zip(score.onsets, pitches, score.lengths, strict=True):
        if start - 300 <= onset < start:
            ends[key] = onset + LENGTHS[length]
    seen: dict[str, NDArray[np.uint8]] = {name: np.zeros((end - start, 88), np.uint8) for name in _PARTS}
    ahead, lengths = np.zeros(88, np.uint8), np.zeros((88, 9), np.uint8)
    for row, step in enumerate(range(start, end)):
        bar = bars.bar_at(step)
        look_at_pitches(
            step, bar, roll, bars.starts, bars.upbeat, 0, 0, ends, seen["back"][row], seen["soon"][row], ahead,
            lengths, seen["sounds"][row],
        )  # fmt: skip
        places = place_of(step, bar, bars.starts, bars.compound, bars.upbeat)
        for name, place in zip(("phase", "quarter", "compound", "left"), places, strict=True):
            seen[name][row] = place
        for key in np.flatnonzero(roll[step]):
            ends[key] = step + LENGTHS[roll[step, key] - 1]
    cells = torch.from_numpy(roll[start:end].astype(np.int64))[None]
    return cells, {name: torch.from_numpy(value.astype(np.int64))[None] for name, value in seen.items()}


def kept_nats(network: ScoreNetwork, score: Score, first_bar: int) -> tuple[float, int]:
    """Nats of when, which and how long, in the same bars, and the notes."""
    rows = empty_rows(1, 1024)
    write_rows(rows, 0, score, Stretch(first_bar))
    last = int(np.searchsorted(score.onsets, score.bars.starts[first_bar + BARS]))
    notes = last - int(np.searchsorted(score.onsets, score.bars.starts[first_bar]))
    counted = np.flatnonzero(rows.next_pitch[0] >= 0)[:notes]
    rows.next_time[0, counted[-1] + 1 :] = -1
    rows.next_pitch[0, counted[-1] + 1 :] = -1
    rows.next_velocity[:] = -1
    with torch.no_grad():
        losses = network.losses(tensors_of(rows))
    return float(losses.time + losses.pitch + losses.length), notes


def grid_nats(grid: Grid, score: Score, first_bar: int) -> float:
    cells, seen = grid_clip(score, first_bar, 0)
    with torch.no_grad():
        return float(functional.cross_entropy(grid(cells, seen).flatten(0, 2), cells.flatten(), reduction="sum"))


def measure(
    folder: Path, *, minutes: float, hidden: int, layers: int, works: int, scores: str, kept: str
) -> dict[str, object]:
    """Args:
    minutes: of CPU time to train the grid for.
    hidden, layers: its size.
    works: held-out scores of each kind.
    scores: a score file, for training and measuring; or nothing.
    kept: weights of the model that was kept.
    """
    torch.set_num_threads(1)
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    files = read_score_files([Path(scores)] if scores else [])
    train = {kind: composed_works(kind, 1, 60, "train") for kind in KINDS}
    train |= {"scores": files.train[0]} if files.train else {}
    held_out = {kind: composed_works(kind, 1, works, "valid") for kind in KINDS}
    held_out |= {"scores": files.valid[:works]} if files.valid else {}
    grid = Grid(hidden, layers)
    optimizer = torch.optim.AdamW(grid.parameters(), 3e-3, (0.9, 0.98))
    started, clips = time.process_time(), 0
    while (share := (time.process_time() - started) / (60 * minutes)) < 1:
        optimizer.param_groups[0]["lr"] = 3e-3 * min(1.0, (clips + 1) / 20) * (1 - 0.95 * share)
        kind = list(train)[int(rng.integers(len(train)))]
        score = train[kind][int(rng.integers(len(train[kind])))]
        last = score.bars.bar_at(int(score.onsets[-1]))
        shift = int(rng.integers(max(-6, -int(score.pitches.min())), min(6, 87 - int(score.pitches.max())) + 1))
        cells, seen = grid_clip(score, int(rng.integers(max(last - BARS, 1))), shift)
        loss = functional.cross_entropy(grid(cells, seen).flatten(0, 2), cells.flatten(), reduction="sum")
        optimizer.zero_grad()
        (loss / max(int((cells > 0).sum()), 8)).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(grid.parameters(), 1.0)
        optimizer.step()
        clips += 1
        if clips % 25 == 0:
            _LOG.info("%d clips, %.0f %%, %.2f nats a note", clips, 100 * share, loss.item() / (cells > 0).sum())
    weights = read_weights(Path(kept))
    hidden_kept = len(weights["norm.weight"])
    layers_kept = sum(name.endswith(".into.weight") for name in weights)
    network = ScoreNetwork(ScoreShape(hidden_kept, layers_kept, len(weights["layers.0.up.bias"])))
    network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})
    network.eval()
    table: dict[str, object] = {}
    for kind, measured in held_out.items():
        sums = np.zeros(3)
        for score in measured:
            first = score.bars.bar_at(int(score.onsets[len(score) // 4]))
            nats, notes = kept_nats(network, score, first)
            sums += (nats, grid_nats(grid, score, first), notes)
        bars = BARS * len(measured)
        table[kind] = {
            "bars": bars, "notes": int(sums[2]),
            "kept_nats_a_bar": round(sums[0] / bars, 2), "grid_nats_a_bar": round(sums[1] / bars, 2),
            "kept_nats_a_note": round(sums[0] / sums[2], 3), "grid_nats_a_note": round(sums[1] / sums[2], 3),
        }  # fmt: skip
    own = sum(p.numel() for p in grid.parameters())
    return {"grid_clips": clips, "grid_weights": own, "multiplications_a_cell": 12 * layers * hidden**2, "nats": table}


if __name__ == "__main__":
    run(measure, minutes=6.0, hidden=32, layers=2, works=12, scores="", kept="presets/score/weights.safetensors")
