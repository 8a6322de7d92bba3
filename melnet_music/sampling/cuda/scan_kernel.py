"""The minGRU recurrences of one layer along the axes of a known grid, all in one launch.

One program walks one line of the grid for a block of units. Gates and candidates come as one product left them. There
is no way back: for training there are others.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Literal

import torch
import triton
from torch import Tensor
from triton import language as tl

Direction = Literal["later", "earlier", "higher", "lower"]
"""Along time and along frequency, both ways. ``earlier`` starts anew at the end of each chunk."""

_MOST_UNITS = 64
_AHEAD = 4
"""Steps whose gates are fetched before their turn: only the sums have to wait for one another."""


def scan_lines(raw: Tensor, directions: tuple[Direction, ...], starts: Tensor, state: Tensor | None, chunk: int | None
               ) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Run R recurrences over one grid.

    Args:
        raw: ``[B, T, F, 2 H R]``, recurrence after recurrence the logits of its gate and its candidates.
        directions: of each; at most the first is ``later``.
        starts: ``[R, H]``, before the first step.
        state: ``[B, F, H]``, in place of the first's start.
        chunk: ``earlier`` starts anew after so many frames; None: never.

    Returns:
        all states ``[B, T, F, H R]``, and ``[B, F, H]``, of the first after the last frame (if it is ``later``).
    """
    B, T, F, width = raw.shape
    count, hidden = len(directions), width // (2 * len(directions))
    raw, state = raw.contiguous(), starts if state is None else state.contiguous()
    states, after = raw.new_empty(B, T, F, hidden * count), raw.new_empty(B, F, hidden)
    table, most = _lines(directions, (B, T, F), chunk, raw.device)
    block = min(_MOST_UNITS, triton.next_power_of_2(hidden))
    _scan[most, triton.cdiv(hidden, block), count](
        raw, starts, state, states, after, table, hidden, count, LATER=directions[0] == "later", BLOCK=block,
        AHEAD=_AHEAD, num_warps=max(1, block // 32),
    )  # fmt: skip
    return states, after


@cache
def _lines(
    directions: Sequence[Direction], shape: tuple[int, int, int], chunk: int | None, device: torch.device
) -> tuple[Tensor, int]:
    """How each recurrence's lines lie in the grid, counted in its cells (see `_scan`); and the most lines of one."""
    B, T, F = shape
    rows = []
    for direction in directions:
        if direction in ("higher", "lower"):
            rows.append([B * T, F, F, 1, 1, F, 1, direction == "lower"])
            continue
        length = min(chunk or T, T) if direction == "earlier" else T
        segments = -(-T // length)
        rows.append([B * segments * F, length, T, segments, F, T * F, F, direction == "earlier"])
    return torch.tensor(rows, dtype=torch.int32, device=device), max(int(row[0]) for row in rows)


@triton.jit(do_not_specialize=["count"])  # type: ignore[untyped-decorator, unused-ignore]
def _scan(  # type: ignore[no-untyped-def]
    raw, starts, state, states, after, table, hidden, count, LATER: tl.constexpr, BLOCK: tl.constexpr,
    AHEAD: tl.constexpr,
):  # fmt: skip
    line = tl.program_id(0)
    number = tl.program_id(2)
    mine = table + number * 8
    if line < tl.load(mine):
        length, total, segments = tl.load(mine + 1), tl.load(mine + 2), tl.load(mine + 3)
        beside, stride, step = tl.load(mine + 4), tl.load(mine + 5), tl.load(mine + 6)
        backward = tl.load(mine + 7)
        unit = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
        inside = unit < hidden
        segment = (line // beside) % segments
        steps = tl.minimum(length, total - segment * length)
        cell = (line // (beside * segments)) * stride + segment * length * step + line % beside
        cell += backward * (steps - 1) * step
        step = step * (1 - 2 * backward)
        begin = starts + number * hidden
        if LATER:  # noqa: SIM102 - known when it is compiled
            if number == 0:
                begin = state + line * hidden
        h = tl.load(begin + unit, mask=inside, other=0.0)
        for done in tl.range(0, steps, num_stages=AHEAD):
            place = (cell + done * step).to(tl.int64) * count + number
            logits = tl.load(raw + place * 2 * hidden + unit, mask=inside, other=0.0)
            candidate = tl.load(raw + place * 2 * hidden + hidden + unit, mask=inside, other=0.0)
            h += (candidate - h) / (1.0 + tl.exp(-logits))
            tl.store(states + place * hidden + unit, h, mask=inside)
        if LATER:  # noqa: SIM102 - known when it is compiled
            if number == 0:
                tl.store(after + line * hidden + unit, h, mask=inside)
