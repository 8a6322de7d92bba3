from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from melnet_music.model.cells import CELLS, Recurrence
from melnet_music.model.config import CellName
from melnet_music.model.scan import scan

INPUTS, HIDDEN = 3, 5

cells = pytest.mark.parametrize("cell", CELLS)
ways = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
axes = pytest.mark.parametrize("dim", [1, 2], ids=["time", "frequency"])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make_cell(cell: CellName, reverse: bool = False, hidden: int = HIDDEN) -> Recurrence:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        recurrence = CELLS[cell](INPUTS, hidden, reverse).double()
        recurrence.start.data.normal_()
    return recurrence


def defined_scan(z: Tensor, candidate: Tensor, initial: Tensor, dim: int, reverse: bool) -> Tensor:
    """The recurrence word for word."""
    state, states = initial, []
    steps = range(z.shape[dim])
    for step in reversed(steps) if reverse else steps:
        state = state + z.select(dim, step) * (candidate.select(dim, step) - state)
        states.append(state)
    return torch.stack(states[::-1] if reverse else states, dim)


def scan_case(shape: tuple[int, ...], dim: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    z, candidate = torch.sigmoid(2 * random(*shape, seed=seed)), random(*shape, seed=seed + 1)
    return z, candidate, random(*shape[:dim], *shape[dim + 1 :], seed=seed + 2)


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 19), st.integers(1, 19), st.integers(1, 5)),
    dim=st.sampled_from([1, 2]),
    reverse=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_both_forms_of_the_scan_and_their_gradients_are_the_recurrence(
    shape: tuple[int, ...], dim: int, reverse: bool, seed: int
) -> None:
    pull = random(*shape, seed=seed + 3)
    results = []
    for form, dtype in ((defined_scan, torch.float64), (scan, torch.float64), (scan, torch.float32)):
        z, candidate, initial = (tensor.to(dtype).requires_grad_() for tensor in scan_case(shape, dim, seed))
        states = form(z, candidate, initial, dim, reverse)
        gradients = torch.autograd.grad((states * pull.to(dtype)).sum(), (z, candidate, initial))
        results.append([states, *gradients])
    for expected, doubling, compiled in zip(*results, strict=True):
        torch.testing.assert_close(doubling, expected, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(compiled.double(), expected, rtol=1e-5, atol=1e-5)


def test_compiled_scan_takes_tensors_of_any_layout() -> None:
    """Transposed gates, an expanded initial state, and the expanded gradient of a sum."""
    shapes = (2, 6, 7, 4), (2, 6, 7, 4), (4,)
    results = []
    for form, dtype in ((defined_scan, torch.float64), (scan, torch.float32)):
        z, candidate, initial = (random(*shape).to(dtype).requires_grad_() for shape in shapes)
        states = form(torch.sigmoid(z).transpose(1, 2), candidate.transpose(1, 2), initial.expand(2, 7, 4), 2, False)
        results.append([states, *torch.autograd.grad(states.sum(), (z, candidate, initial))])
    for expected, compiled in zip(*results, strict=True):
        torch.testing.assert_close(compiled.double(), expected, rtol=1e-5, atol=1e-5)


@ways
@axes
def test_gradcheck_of_the_doubling_scan(dim: int, reverse: bool) -> None:
    given_tensors = [tensor.requires_grad_() for tensor in scan_case((2, 5, 3, 2), dim, 0)]
    assert torch.autograd.gradcheck(lambda z, c, i: scan(z, c, i, dim, reverse), given_tensors)


@cells
@ways
@axes
def test_whole_equals_step_by_step(cell: CellName, reverse: bool, dim: int) -> None:
    recurrence, x = make_cell(cell, reverse), random(2, 4, 6, INPUTS)
    whole, after = recurrence(x, dim)
    rows = x.movedim(dim, 0).reshape(x.shape[dim], -1, INPUTS)
    state, outputs = recurrence.initial(rows.shape[1]), []
    for row in rows.flip(0) if reverse else rows:
        out, state = recurrence.step(row, state)
        outputs.append(out)
    stepped = torch.stack(outputs[::-1] if reverse else outputs)
    torch.testing.assert_close(whole.movedim(dim, 0).flatten(1, 2), stepped, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(after.flatten(1, 2), state, rtol=1e-12, atol=1e-12)


@cells
@ways
@axes
@pytest.mark.parametrize("cut", [1, 3])
def test_a_carried_state_continues_the_whole(cell: CellName, reverse: bool, dim: int, cut: int) -> None:
    recurrence, x = make_cell(cell, reverse), random(2, 4, 4, INPUTS)
    whole, after = recurrence(x, dim)
    parts = x.split([cut, 4 - cut], dim)
    state, outputs = None, []
    for part in reversed(parts) if reverse else parts:
        out, state = recurrence(part, dim, state)
        outputs.append(out)
    joined = torch.cat(outputs[::-1] if reverse else outputs, dim)
    torch.testing.assert_close(joined, whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state, after, rtol=1e-12, atol=1e-12)


@cells
def test_float32_agrees_with_float64(cell: CellName) -> None:
    recurrence, x = make_cell(cell), random(2, 9, 6, INPUTS)
    exact, _ = recurrence(x, 1)
    fast, _ = recurrence.float()(x.float(), 1)
    torch.testing.assert_close(fast.double(), exact, rtol=1e-5, atol=1e-5)


@cells
@ways
def test_gradcheck_of_the_cells(cell: CellName, reverse: bool) -> None:
    recurrence = make_cell(cell, reverse)
    state = random(recurrence.parts, 2, 3, HIDDEN, seed=4).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, s: recurrence(x, 1, s), (random(2, 4, 3, INPUTS).requires_grad_(), state), fast_mode=True
    )


@cells
@ways
def test_the_initial_state_is_trained(cell: CellName, reverse: bool) -> None:
    recurrence = make_cell(cell, reverse)
    out, _ = recurrence(random(2, 4, 3, INPUTS), 1)
    out.sum().backward()
    assert recurrence.start.grad is not None
    assert (recurrence.start.grad != 0).all()


@cells
def test_time_constants_are_spread_evenly_on_a_log_scale(cell: CellName) -> None:
    """With no input, a unit with the time constant n keeps 1 - 1/n of its state in a step."""
    longest, hidden = 100.0, 2000
    recurrence = make_cell(cell, hidden=hidden)
    for parameter in recurrence.parameters():
        parameter.data.zero_()
    recurrence.start_with_time_constants(longest, torch.Generator().manual_seed(0))
    _, state = recurrence.step(
        torch.zeros(1, INPUTS, dtype=torch.float64), torch.ones(recurrence.parts, 1, hidden).double()
    )
    steps = 1 / (1 - state[-1, 0])
    assert 1.19 < steps.min() < 1.21
    assert 0.9 * longest < steps.max() <= longest * 1.001
    # 2000 uniform draws: one standard deviation of a quartile is 0.01 of the range
    for share in (0.25, 0.5, 0.75):
        assert abs(steps.quantile(share).log().item() / math.log(longest) - share) < 0.04
