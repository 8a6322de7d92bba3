"""The optimisers that a preset may name, and how their rate runs over a training run.

``muon`` (Jordan 2024, kellerjordan.github.io/posts/muon) steps along the orthogonalised momentum of every weight
matrix, and with Adam along all else. torch.optim has a Muon too, but it orthogonalises in bfloat16 always: on a CPU
without such units that takes longer than the whole rest of a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer, RMSprop

from melnet_music.model.config import TierTraining, TrainingConfig

MUON_MOMENTUM = 0.95
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of Jordan's quintic iteration: singular values end up in about 0.7..1.2 after five rounds."""
_ROUNDS = 5


class Muon(Optimizer):
    """Momentum, orthogonalised: all singular values of a step are about the same.

    A step's root mean square is 0.2 of the rate, as Adam's is about (Liu et al. 2025, arXiv 2502.16982), so that both
    take rates of one size. Matrices only.
    """

    def __init__(self, matrices: Iterable[Tensor], lr: float, momentum: float = MUON_MOMENTUM) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One step; ``closure`` is not supported."""
        for group in self.param_groups:
            stepped = sorted((p for p in group["params"] if p.grad is not None), key=lambda p: tuple(p.shape))
            for shape, equal in groupby(stepped, key=lambda p: tuple(p.shape)):
                self._step_together(list(equal), shape, group["lr"], group["momentum"])

    def _step_together(self, matrices: list[Tensor], shape: tuple[int, ...], rate: float, momentum: float) -> None:
        updates = []
        for matrix in matrices:
            buffer = self.state[matrix].setdefault("momentum_buffer", torch.zeros_like(matrix))
            buffer.lerp_(matrix.grad, 1 - momentum)
            updates.append(torch.lerp(matrix.grad, buffer, momentum))  # type: ignore[arg-type]  # Nesterov's
        scale = 0.2 * math.sqrt(max(shape))
        for matrix, update in zip(matrices, orthogonalised(torch.stack(updates)), strict=True):
            matrix.add_(update, alpha=-rate * scale)


def orthogonalised(matrices: Tensor) -> Tensor:
    """``[N, A, B]`` with their singular values brought near 1 by five Newton-Schulz rounds."""
    a, b, c = _NEWTON_SCHULZ
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def make_optimizers(network: nn.Module, training: TrainingConfig, plan: TierTraining) -> list[Optimizer]:
    """The optimisers of one tier's network, at their peak rates."""
    if training.optimizer == "rmsprop":
        return [RMSprop(network.parameters(), plan.learning_rate, momentum=0.9)]
    if training.optimizer == "adam":
        return [Adam(network.parameters(), plan.learning_rate, betas=(0.9, 0.99))]
    matrices = list(_hidden_matrices(network))
    taken = {id(matrix) for matrix in matrices}
    others = [p for p in network.parameters() if id(p) not in taken]
    return [Muon(matrices, plan.matrix_rate), Adam(others, plan.learning_rate, betas=(0.9, 0.99))]


def _hidden_matrices(network: nn.Module) -> Iterator[Tensor]:
    """Matrices from hidden to hidden: neither embeddings, initial states, inlets of few channels nor the outlet."""
    for name, parameter in network.named_parameters():
        of_vectors = "embedding" in name or name.endswith("start") or name.startswith("outlet")
        if parameter.ndim == 2 and min(parameter.shape) > 8 and not of_vectors:
            yield parameter


def rate_factor(step: int, fraction: float, training: TrainingConfig) -> float:
    """The rate over its peak: linear warm-up in steps, cosine decay over the run's ``fraction`` 0..1."""
    warm = min(1.0, (step + 1) / max(training.warmup_steps, 1))
    decay = training.final_rate + (1 - training.final_rate) * 0.5 * (1 + math.cos(math.pi * min(fraction, 1.0)))
    return warm * decay


def clip_length(plan: TierTraining, fraction: float, group: int) -> int:
    """Short clips first: more steps while there is most to learn. A multiple of ``group`` frames."""
    part = 4 if fraction < 0.15 else 2 if fraction < 0.4 else 1
    return max(group, plan.clip_frames // part // group * group)
