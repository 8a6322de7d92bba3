"""The fused training pass against the module's own: the same mixtures, the same gradients, clip after clip."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_models import tiny_config, tiny_model
from torch import Tensor

from melnet_music.model.config import ModelConfig
from melnet_music.model.network import MelNet, TierNetwork
from melnet_music.model.scan import scan
from melnet_music.model.tier_state import TierState
from melnet_music.training.fused.fused_scan import Direction, fused_scan
from melnet_music.training.fused.fused_tier import fused_pass, reset_rows

BATCH, FRAMES = 2, 12
CONFIGS = {
    "plain": tiny_config(layers=2, future_conditioning=False, note_conditioning=False),
    "centralized": tiny_config(layers=2, centralized_hidden=4, future_conditioning=False, note_conditioning=False),
    "projected": tiny_config(layers=2, centralized_hidden=6),
    "upsampled": tiny_config(layers=2, splits=("time", "frequency"), centralized_hidden=6),
    "bare": tiny_config(layers=1, splits=("frequency",), bin_embedding=False, sigma="exp"),
}


def given(model: MelNet, tier: int, dtype: torch.dtype, frames: int = FRAMES) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(tier)
    bins, channels = model.grids[tier].bins, model.tier(tier).channels
    shapes = (BATCH, frames, bins), (BATCH, frames, bins, channels), (BATCH, frames, bins)
    x, known, noise = (torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes)
    return x, known, 0.1 * noise


def gradients(network: TierNetwork) -> dict[str, Tensor]:
    found = {name: each.grad.clone() for name, each in network.named_parameters() if each.grad is not None}
    network.zero_grad()
    return found


@pytest.mark.parametrize("chunk", [None, 4, 5])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-5)])
def test_mixtures_and_gradients_are_the_modules(
    config: ModelConfig, chunk: int | None, dtype: torch.dtype, tolerance: float
) -> None:
    model = tiny_model(config, dtype=dtype)
    for tier in range(len(model.grids)):
        network = model.tier(tier)
        x, channels, noise = given(model, tier, dtype)
        results = []
        for run in (network, fused_pass(network)):
            mixed, after = run(x, channels, None, chunk, noise)
            log_prob = mixed.log_prob(x)
            log_prob.mean().backward()
            results.append(([log_prob.detach(), *tensors(after)], gradients(network)))
        (values, pulls), (fused_values, fused_pulls) = results
        for expected, found in zip(values, fused_values, strict=True):
            torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
        assert fused_pulls.keys() == pulls.keys()
        for name, expected in pulls.items():
            torch.testing.assert_close(fused_pulls[name], expected, rtol=tolerance, atol=tolerance, msg=name)


def tensors(state: TierState[Tensor]) -> list[Tensor]:
    known: list[Tensor] = []
    state.map(lambda tensor: known.append(tensor.detach()))
    return known


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_clip_after_clip_with_the_state_carried_is_the_whole_clip(config: ModelConfig) -> None:
    model = tiny_model(config, dtype=torch.float64)
    for tier in range(len(model.grids)):
        run = fused_pass(model.tier(tier))
        x, channels, noise = given(model, tier, torch.float64)
        whole, last = run(x, channels, None, 4, noise)
        state, parts = None, []
        for first in range(0, FRAMES, 4):
            clip = slice(first, first + 4)
            mixed, state = run(x[:, clip], channels[:, clip], state, 4, noise[:, clip])
            parts.append(mixed.log_prob(x[:, clip]))
        assert state is not None
        torch.testing.assert_close(torch.cat(parts, 1), whole.log_prob(x), rtol=1e-12, atol=1e-12)
        for expected, found in zip(tensors(last), tensors(state), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_row_that_begins_anew_forgets_and_the_others_go_on() -> None:
    model = tiny_model(CONFIGS["upsampled"])
    network = model.tier(0)
    run = fused_pass(network)
    x, channels, _ = given(model, 0, torch.float64)
    _, state = run(x, channels, None, 4, None)
    mixed = reset_rows(state, network.initial_state(BATCH), torch.tensor([True, False]))
    pairs = zip(tensors(mixed), tensors(state), tensors(network.initial_state(BATCH)), strict=True)
    for number, (found, old, fresh) in enumerate(pairs):
        axis = 0 if number == 0 else 1
        assert torch.equal(found.select(axis, 0), fresh.select(axis, 0))
        assert torch.equal(found.select(axis, 1), old.select(axis, 1))


def test_products_in_bfloat16_come_close_and_the_rest_stays_in_float32() -> None:
    model = tiny_model(CONFIGS["upsampled"], dtype=torch.float32)
    network = model.tier(0)
    x, channels, _ = given(model, 0, torch.float32)
    exact, _ = network(x, channels, None, 4)
    mixed, state = fused_pass(network, torch.bfloat16)(x, channels, None, 4, None)
    assert {tensor.dtype for tensor in (*mixed, *tensors(state))} == {torch.float32}
    # eight bits of mantissa through four products; seen 0.1
    assert (mixed.log_prob(x) - exact.log_prob(x)).abs().mean() < 0.2
    mixed.log_prob(x).mean().backward()
    assert all(torch.isfinite(pull).all() for pull in gradients(network).values())


def test_other_cells_are_refused() -> None:
    with pytest.raises(ValueError, match="a tier of gru cells cannot be fused, expected mingru: use its own forward"):
        fused_pass(tiny_model(tiny_config(cell="gru")).tier(0))


@pytest.mark.parametrize("direction", ["higher", "lower", "later", "earlier"])
def test_a_recurrence_of_several_is_the_scan_along_its_axis(direction: Direction) -> None:
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(2, 6, 5, 12, generator=generator)
    other, start = torch.randn(3, generator=generator), torch.randn(3, generator=generator)
    states = fused_scan(raw, ("higher", direction), None, (other, start))[..., 3:]
    axis = 2 if direction in ("higher", "lower") else 1
    lead = (2, 5, 3) if axis == 1 else (2, 6, 3)
    backward = direction in ("lower", "earlier")
    expected = scan(torch.sigmoid(raw[..., 6:9]), raw[..., 9:], start.expand(lead), axis, backward)
    torch.testing.assert_close(states, expected)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1 recurrences with 0 starts over a grid \[1, 2, 3, 4\], expected as many"):
        fused_scan(torch.zeros(1, 2, 3, 4), ("later",), None, ())


KERNEL_CHECK = """
import torch
from melnet_music.training.fused import fused_scan as module
from melnet_music.training.fused.fused_scan_cuda import FusedScan

assert module._kernels_run_on("cpu")
plain = module.fused_scan
small, wide = (2, 5, 2, 3), (1, 1, 2, 130)  # a bin takes the interpreter milliseconds
for shape, chunk in ((small, None), (small, 2), (small, 9), (wide, 3)):
    B, T, F, H = shape
    generator = torch.Generator().manual_seed(1)
    raw = torch.randn(B, T, F, 8 * H, generator=generator)
    starts = [torch.randn(B, F, H, generator=generator), *torch.randn(3, H, generator=generator)]
    pull = torch.randn(B, T, F, 4 * H, generator=generator)
    directions = ("later", "earlier", "higher", "lower")
    results = []
    for fused in (False, True):
        module._kernels_run_on = lambda device: fused
        given = [tensor.clone().requires_grad_() for tensor in (raw, *starts)]
        states = plain(given[0], directions, chunk, given[1:])
        (states * pull).sum().backward()
        results.append([states.detach(), *(tensor.grad for tensor in given)])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    half = FusedScan.apply(raw.bfloat16(), directions, chunk, *starts)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), results[0][0], rtol=0.05, atol=0.05)
print("equal")
"""


def test_the_triton_kernels_are_the_recurrences() -> None:
    pytest.importorskip("triton", reason="comes with torch's CUDA builds")
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KERNEL_CHECK], capture_output=True, text=True, timeout=300,
        env={**os.environ, "TRITON_INTERPRET": "1"}, cwd=Path(__file__).parent.parent.parent,
    )  # fmt: skip
    assert result.stdout.strip() == "equal", result.stderr
