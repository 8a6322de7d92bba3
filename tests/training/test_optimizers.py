"""The optimisers, their rate, and how clips grow."""

from __future__ import annotations

import pytest
import torch
from tiny_training import tiny_config
from torch import nn

from melnet_music.model.config import TierTraining, TrainingConfig
from melnet_music.model.network import MelNet
from melnet_music.training.optimizers import Muon, clip_length, make_optimizers, orthogonalised, rate_factor


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 24), (1, 40, 10)])
def test_singular_values_are_brought_near_one(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 7
    values = torch.linalg.svdvals(orthogonalised(matrices))
    assert values.min() > 0.3
    assert values.max() < 1.3
    directions = torch.linalg.svd(matrices, full_matrices=False)
    turned = directions.U.mT @ orthogonalised(matrices) @ directions.Vh.mT
    assert torch.allclose(turned, torch.diag_embed(turned.diagonal(dim1=-2, dim2=-1)), atol=1e-4)  # nothing is turned


def test_a_step_of_muon_has_the_size_of_one_of_adam() -> None:
    matrix = nn.Parameter(torch.zeros(32, 64))
    matrix.grad = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
    Muon([matrix], lr=0.01).step()
    assert matrix.detach().square().mean().sqrt() == pytest.approx(0.2 * 0.01, rel=0.2)


def test_muon_finds_a_linear_map() -> None:
    generator = torch.Generator().manual_seed(0)
    wanted = torch.randn(12, 12, generator=generator)
    matrix = nn.Parameter(torch.zeros(12, 12))
    optimizer = Muon([matrix], lr=0.1)
    inputs = torch.randn(64, 12, generator=generator)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 300)
        loss = (inputs @ (matrix - wanted).T).square().mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert loss.item() < 1e-2


@pytest.mark.parametrize(("name", "count"), [("muon", 2), ("adam", 1), ("rmsprop", 1)])
def test_every_parameter_has_one_optimiser(name: str, count: int) -> None:
    config = tiny_config(optimizer=name)
    for tier in (0, 1):
        network = MelNet(config.model, config.sound.mel_bins).tier(tier)
        optimizers = make_optimizers(network, config.training, config.training.tiers[tier])
        assert len(optimizers) == count
        held = [id(p) for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]]
        assert sorted(held) == sorted(id(p) for p in network.parameters())
        if name == "muon":
            hidden = {id(p) for p in optimizers[0].param_groups[0]["params"]}
            named = {name for name, p in network.named_parameters() if id(p) in hidden}
            assert "time_delayed.project.0.weight" in named
            others = ("embedding", "start", "inlet", "bias")
            assert not any(part in name for name in named for part in others)
            assert "outlet.weight" not in named


def test_the_rate_warms_up_and_decays_to_its_end() -> None:
    training = TrainingConfig(warmup_steps=10, final_rate=0.1)
    assert rate_factor(0, 0.0, training) == pytest.approx(0.1)
    assert rate_factor(9, 0.0, training) == pytest.approx(1.0)
    assert rate_factor(500, 0.5, training) == pytest.approx(0.55)
    assert rate_factor(999, 1.0, training) == pytest.approx(0.1)
    assert rate_factor(0, 0.7, TrainingConfig(warmup_steps=0, final_rate=1.0)) == 1.0  # the paper's: constant


def test_clips_grow_to_their_length_in_whole_groups() -> None:
    plan = TierTraining(learning_rate=1.0, minutes=1, clip_frames=100)
    lengths = [clip_length(plan, fraction, 4) for fraction in (0, 0.14, 0.15, 0.39, 0.4, 1)]
    assert lengths == [24, 24, 48, 48, 100, 100]
    assert clip_length(plan.model_copy(update={"clip_frames": 8}), 0, 8) == 8
