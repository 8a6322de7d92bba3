"""One tier of the model, compiled: what its stacks see of known cells, and frames bin by bin, drawn or judged.

Everything but the panels of weights lies in one float32 arena a tier; `Places` says where. Rows are cells, ``t * bins
+ f``. Hidden sizes are padded to whole panels. The threads that share a tier call the same kernel with their ``part``
and meet between its phases; no sum is ever parted, so that the bits do not depend on ``parts``.

Merges, all exact in real numbers (`packed_tier` makes the matrices):
  - everything that is linear in a few channels or in one value goes straight into the gates;
  - constants (biases, bin embeddings, projections' biases) are collected into one row a bin;
  - the last projection of the frequency-delayed stack is part of the mixture's matrix, and with two layers the first
    one is part of the second's input matrix.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from melnet_music.model.config import VALUE_LIMIT
from melnet_music.sampling.cpu.barrier import meet
from melnet_music.sampling.cpu.compiled import apart, compiled, inner, pasted
from melnet_music.sampling.cpu.gates import LSTM, apply_gates, exp_strip
from melnet_music.sampling.cpu.products import product, short_product
from melnet_music.sampling.cpu.recurrence import START, W, add_state, run_in_frequency, run_in_time
from melnet_music.sampling.cpu.target import PANEL_COLUMNS

_LIMIT, _ZERO = np.float32(VALUE_LIMIT), np.float32(0.0)


class Places(NamedTuple):
    """Sizes of a tier, and where everything is. ``hidden`` and all widths are padded to whole panels.

    In the weights (float32 or bfloat16) and in the fine weights (always float32) lie panels, in the arena all else.
    """

    cell: int
    gates: int
    hidden: int
    bins: int
    layers: int
    components: int
    theta: int
    """Width of a mixture's row: pi logits, mu, sigma."""
    central_hidden: int
    """0: no centralized stack."""
    # --- weights
    outlet: int
    project: int
    """Of every layer, ``[3 hidden] -> [hidden]``."""
    upward: int
    """Of every layer of the frequency-delayed stack, ``[hidden] -> gates``: what is known before the frame is drawn."""
    upward_project: int
    """Of its layers but the last, ``[hidden] -> [hidden]``; with three layers and more."""
    central_project: int
    """Of every layer, ``[central_hidden] -> [hidden]``; -1: the widths are equal, and there is none."""
    # --- fine weights
    inlet: int
    """``[1] -> [hidden]``."""
    central_inlet: int
    """``[bins] -> [central_hidden]``."""
    below: int
    """Of every layer of the frequency-delayed stack, ``[1] -> gates``: the value below."""
    head_base: int
    """``[hidden] -> theta``: what is known before the frame is drawn."""
    head: int
    """``[head_inputs] -> theta``: the value below and what the frequency-delayed stack made of the bins below."""
    head_inputs: int
    # --- constants in the arena
    cell_constant: int
    """``[bins, hidden]``, in the input of the time-delayed stack."""
    upward_constant: int
    """``[layers, bins, gates]``."""
    head_constant: int
    """``[bins, theta]``."""
    central_constant: int
    zeros: int
    # --- state in the arena
    own: int
    """``[1 + frames, bins]``: the frame before, then the frames."""
    extractor_state: int
    time_state: int
    """``[layers, P, bins, hidden]``."""
    central_state: int
    """``[layers, P, central_hidden]``."""
    # --- given with a chunk
    channels: int
    """``[frames, bins, C]``."""
    uniform: int
    normal: int
    known: int
    """``[frames]``, not 0: the frame is known, and not drawn."""
    nats: int
    """``[frames]``, of frames that are judged: mean over their bins."""
    # --- made on the way
    base: int
    """``[frames, bins, hidden]``: the extractor's features, with the constants of the time-delayed stack's input."""
    base_step: int
    """0 without an extractor: constants only."""
    joined: int
    """``[frames, bins, directions, hidden]``."""
    delayed_inlet: int
    delayed: int
    """``[layers, frames, bins, hidden]``: outputs of the time-delayed stack."""
    delayed_step: int
    central_h: int
    central_out: int
    central: int
    """``[layers, frames, hidden]``: outputs of the centralized stack."""
    central_step: int
    mixed: int
    upward_gates: int
    """``[layers, bins, gates]``."""
    head_rows: int
    """``[bins, theta]``."""
    vector: int
    """The value below (at 15), then two vectors of hidden (from 16): see `_draw_bins`."""
    upward_state: int
    upward_memory: int
    upward_now: int
    """One row of gates, one of what the state gives."""
    theta_now: int
    scratch: int
    scratch_step: int
    """From one thread's scratch to the next."""


EXTRACT, ADVANCE, DRAW, JUDGE = 0, 1, 2, 3
EXTRACTOR_RNNS = 4


@inner
def _share(count: int, part: int, parts: int) -> Any:
    """The part of ``count`` rows, in whole tiles of 6 rows where it can be."""
    tiles = -(-count // 6)
    return min(count, tiles * part // parts * 6), min(count, tiles * (part + 1) // parts * 6)


@pasted
def _extract(
    p: Any, rnns: Any, fine: Any, weights: Any, arena: Any, sync: Any, frames: int, part: int, parts: int
) -> None:
    """The conditioning of ``frames`` frames from their channels: fills ``base``, advances the extractor's state."""
    hidden, bins = p.hidden, p.bins
    scratch, row = p.scratch + part * p.scratch_step, EXTRACTOR_RNNS * hidden
    for d in range(EXTRACTOR_RNNS):
        if d % parts != part:
            continue
        out, rnn = p.joined + d * hidden, rnns[d]
        if d < 2:
            state = p.extractor_state if d == 0 else -1
            run_in_time(
                p.cell, hidden, p.gates, rnn, fine, weights, arena, p.channels, frames, bins, 0, bins, state, out, row,
                d == 1, scratch,
            )  # fmt: skip
        else:
            run_in_frequency(
                p.cell, hidden, p.gates, rnn, fine, weights, arena, p.channels, frames, bins, out, row, d == 3, scratch
            )
    meet(sync, parts)
    first, last = _share(bins, part, parts)
    for t in range(frames):
        top = t * bins + first
        product(
            weights, p.outlet, hidden // PANEL_COLUMNS, row, arena, p.joined + top * row, row,
            p.cell_constant + first * hidden, hidden, p.base + top * hidden, hidden, last - first,
        )  # fmt: skip
    meet(sync, parts)


@pasted
def _advance(
    p: Any, rnns: Any, fine: Any, weights: Any, arena: Any, sync: Any, first: int, frames: int, states_only: bool,
    part: int, parts: int,
) -> None:  # fmt: skip
    """Time-delayed and centralized stacks over ``frames`` frames from frame ``first``.

    Leaves their outputs in ``delayed`` and ``central``, at frame 0 on, unless only the states are wanted.
    """
    hidden, bins, panels, rows = p.hidden, p.bins, p.hidden // PANEL_COLUMNS, frames * p.bins
    scratch, row = p.scratch + part * p.scratch_step, 3 * hidden
    before = p.own + first * bins
    if part == 0 and p.central_hidden > 0:
        _centralized(p, rnns, fine, weights, arena, before, frames, scratch)
    low, high = _share(bins, part, parts)
    for t in range(frames):
        product(
            fine, p.inlet, panels, 1, arena, before + t * bins + low, 1,
            p.base + (first + t) * p.base_step + low * hidden, hidden,
            p.delayed_inlet + (t * bins + low) * hidden, hidden, high - low,
        )  # fmt: skip
    meet(sync, parts)
    top, bottom = _share(rows, part, parts)
    x = p.delayed_inlet
    for layer in range(p.layers):
        at, state = EXTRACTOR_RNNS + 3 * layer, p.time_state + layer * (1 + (p.cell == LSTM)) * bins * hidden
        run_in_time(
            p.cell, hidden, p.gates, rnns[at], weights, weights, arena, x, frames, bins, low, high, state,
            p.joined, row, False, scratch,
        )  # fmt: skip
        if states_only and layer == p.layers - 1:
            break
        if part == 0:
            run_in_frequency(
                p.cell, hidden, p.gates, rnns[at + 1], weights, weights, arena, x, frames, bins,
                p.joined + hidden, row, False, scratch,
            )  # fmt: skip
        if part == parts - 1:
            run_in_frequency(
                p.cell, hidden, p.gates, rnns[at + 2], weights, weights, arena, x, frames, bins,
                p.joined + 2 * hidden, row, True, scratch,
            )  # fmt: skip
        meet(sync, parts)
        out = p.delayed + layer * p.delayed_step
        product(
            weights, p.project + layer * row * hidden, panels, row, arena, p.joined + top * row, row,
            x + top * hidden, hidden, out + top * hidden, hidden, bottom - top,
        )  # fmt: skip
        meet(sync, parts)
        x = out
    meet(sync, parts)


@pasted
def _centralized(
    p: Any, rnns: Any, fine: Any, weights: Any, arena: Any, before: int, frames: int, scratch: int
) -> None:
    width, hidden = p.central_hidden, p.hidden
    product(
        fine, p.central_inlet, width // PANEL_COLUMNS, p.bins, arena, before, p.bins, p.central_constant, 0,
        p.central_h, width, frames,
    )  # fmt: skip
    for layer in range(p.layers):
        rnn = rnns[EXTRACTOR_RNNS + 3 * p.layers + layer]
        state, out = p.central_state + layer * (1 + (p.cell == LSTM)) * width, p.central + layer * p.central_step
        run_in_time(
            p.cell, width, p.gates, rnn, weights, weights, arena, p.central_h, frames, 1, 0, 1, state, p.central_out,
            width, False, scratch,
        )  # fmt: skip
        for i in range(frames * width):
            arena[p.central_h + i] += arena[p.central_out + i]
        if p.central_project < 0:
            for i in range(frames * width):
                arena[out + i] = arena[p.central_h + i]
        else:
            product(
                weights, p.central_project + layer * width * hidden, hidden // PANEL_COLUMNS, width, arena,
                p.central_h, width, p.zeros, 0, out, hidden, frames,
            )  # fmt: skip


@compiled
def run_tier(
    p: Any, rnns: Any, fine: Any, weights: Any, arena: Any, sync: Any, job: int, first: int, last: int,
    temperature: float, bias: float, tilt: float, log_sigma_floor: float, softplus: bool, part: int, parts: int,
) -> None:  # fmt: skip
    """Do a job for a chunk; one kernel for all of them, so that what they share is compiled once.

    `EXTRACT`: the conditioning of frames 0 to ``last`` from their channels: fills ``base``, advances the extractor's
    state. `ADVANCE`: the states after frames ``first`` to ``last``, all known. `DRAW`: those frames drawn into ``own``,
    but for the known ones, and the states after them. `JUDGE`: `ADVANCE` frame by frame, and how unlikely each is.
    """
    if job == EXTRACT:
        _extract(p, rnns, fine, weights, arena, sync, last, part, parts)
        return
    step = last - first if job == ADVANCE else 1
    for t in range(first, last, step):
        _advance(p, rnns, fine, weights, arena, sync, t, step, job == ADVANCE, part, parts)
        if job == ADVANCE or (job == DRAW and arena[p.known + t] != _ZERO):
            continue
        _prepare_bins(p, fine, weights, arena, p.base + t * p.base_step, part, parts)
        meet(sync, parts)
        if part == 0:
            _draw_bins(
                p, rnns, fine, weights, arena, t, temperature, bias, tilt, log_sigma_floor, softplus, job == JUDGE
            )
        meet(sync, parts)


@pasted
def _prepare_bins(p: Any, fine: Any, weights: Any, arena: Any, base: int, part: int, parts: int) -> None:
    """All of a frame's gates and mixtures that does not depend on the frame itself."""
    hidden, width = p.hidden, p.gates * p.hidden
    first, last = _share(p.bins, part, parts)
    for layer in range(p.layers):
        delayed, central = p.delayed + layer * p.delayed_step, p.central + layer * p.central_step
        for f in range(first, last):
            row = f * hidden
            if p.central_hidden > 0:
                for i in range(hidden):
                    arena[p.mixed + row + i] = arena[base + row + i] + arena[delayed + row + i] + arena[central + i]
            else:
                for i in range(hidden):
                    arena[p.mixed + row + i] = arena[base + row + i] + arena[delayed + row + i]
        place = (layer * p.bins + first) * width
        product(
            weights, p.upward + layer * hidden * width, width // PANEL_COLUMNS, hidden, arena,
            p.mixed + first * hidden, hidden, p.upward_constant + place, width, p.upward_gates + place, width,
            last - first,
        )  # fmt: skip
    product(
        fine, p.head_base, p.theta // PANEL_COLUMNS, hidden, arena, base + first * hidden, hidden,
        p.head_constant + first * p.theta, p.theta, p.head_rows + first * p.theta, p.theta, last - first,
    )  # fmt: skip


@inner
def _draw_bins(
    p: Any, rnns: Any, fine: Any, weights: Any, arena: Any, t: int, temperature: float, bias: float,
    tilt: float, log_sigma_floor: float, softplus: bool, judged: bool,
) -> None:  # fmt: skip
    """One frame, low bin to high; judged: the frame is known, and its nats are what is wanted.

    The vector holds the value below, then what the later layers and the mixture read of the layers before: with one
    layer its state, with two both states, with more the sum of the projections, then the last layer's state.
    """
    apart()
    hidden, layers, width = p.hidden, p.layers, p.gates * p.hidden
    panels = width // PANEL_COLUMNS
    value, carried = p.vector + PANEL_COLUMNS - 1, p.vector + PANEL_COLUMNS
    gx, gh = p.upward_now, p.upward_now + width
    rnn_first = EXTRACTOR_RNNS + 4 * layers
    arena[value] = _ZERO
    for layer in range(layers):
        start = rnns[rnn_first + layer, START]
        state = _upward_state(p, layer)
        for i in range(hidden):
            arena[state + i] = arena[start + i]
            if p.cell == LSTM:
                arena[p.upward_memory + layer * hidden + i] = arena[start + hidden + i]
    own, nats = p.own + (t + 1) * p.bins, 0.0
    for f in range(p.bins):
        for layer in range(layers):
            rnn, state = rnns[rnn_first + layer], _upward_state(p, layer)
            known = p.upward_gates + (layer * p.bins + f) * width
            product(fine, p.below + layer * width, panels, 1, arena, value, 0, known, 0, gx, 0, 1)
            if layer > 0:
                product(weights, rnn[W], panels, hidden, arena, carried, 0, gx, 0, gx, 0, 1)
            add_state(p.cell, hidden, panels, rnn, weights, arena, state, 0, gx, 0, gh, 1)
            apply_gates(p.cell, hidden, arena, gx, gh, state, p.upward_memory + layer * hidden, state)
            if layers > 2 and layer < layers - 1:
                product(
                    weights, p.upward_project + layer * hidden * hidden, hidden // PANEL_COLUMNS, hidden, arena,
                    state, 0, carried if layer else p.zeros, 0, carried, 0, 1,
                )  # fmt: skip
        short_product(
            fine, p.head, p.theta // PANEL_COLUMNS, p.head_inputs, arena, value, p.head_rows + f * p.theta, p.theta_now
        )
        if judged:
            nats -= _log_density(
                arena, p.theta_now, p.components, arena[own + f], log_sigma_floor, softplus, p.theta_now + p.theta
            )
            arena[value] = arena[own + f]
            continue
        place = t * p.bins + f
        drawn = _draw_value(
            arena, p.theta_now, p.components, arena[p.uniform + place], arena[p.normal + place], temperature, bias,
            tilt, log_sigma_floor, softplus, p.theta_now + p.theta,
        )  # fmt: skip
        arena[own + f] = drawn
        arena[value] = drawn
    if judged:
        arena[p.nats + t] = nats / p.bins


@pasted
def _upward_state(p: Any, layer: int) -> Any:
    """Where a layer's state in the frequency-delayed stack is, see `_draw_bins`."""
    carried = p.vector + PANEL_COLUMNS
    if layer == p.layers - 1:
        return carried if p.layers == 1 else carried + p.hidden
    return carried if p.layers == 2 else p.upward_state + layer * p.hidden


@inner
def _draw_value(
    arena: Any, theta: int, components: int, uniform: float, normal: float, temperature: float, bias: float,
    tilt: float, log_sigma_floor: float, softplus: bool, weights: int,
) -> Any:  # fmt: skip
    """A value from one bin's row of pi logits, mu and sigma: `Mixture.draw`. ``weights``: room for the components."""
    sharper = np.float32(1.0 + bias)
    for k in range(components):
        arena[weights + k] = arena[theta + k] * sharper
        if tilt != _ZERO:
            sigma = _sigma(arena[theta + 2 * components + k], temperature, bias, log_sigma_floor, softplus)
            arena[weights + k] += tilt * (arena[theta + components + k] + np.float32(0.5) * tilt * sigma * sigma)
    highest = arena[weights]
    for k in range(1, components):
        highest = max(highest, arena[weights + k])
    for k in range(components):
        arena[weights + k] -= highest
    for k in range(0, components, PANEL_COLUMNS):
        exp_strip(arena, weights + k, weights + k)
    total = _ZERO
    for k in range(components):
        total += arena[weights + k]
    place, reached, pick = uniform * total, _ZERO, components - 1
    for k in range(components - 1):
        reached += arena[weights + k]
        if reached > place:
            pick = k
            break
    sigma = _sigma(arena[theta + 2 * components + pick], temperature, bias, log_sigma_floor, softplus)
    value = np.float32(arena[theta + components + pick] + tilt * sigma * sigma + sigma * normal)
    return min(max(value, -_LIMIT), _LIMIT)


@inner
def _log_density(
    arena: Any, theta: int, components: int, value: float, log_sigma_floor: float, softplus: bool, parts: int
) -> Any:
    """Of a value under one bin's row of pi logits, mu and sigma: `Mixture.log_prob`. ``parts``: room for components."""
    highest, likeliest = arena[theta], np.float32(-np.inf)
    for k in range(components):
        log_sigma = _log_sigma(arena[theta + 2 * components + k], log_sigma_floor, softplus)
        standard = (value - arena[theta + components + k]) * math.exp(-log_sigma)
        arena[parts + k] = arena[theta + k] - log_sigma - np.float32(0.5) * standard * standard
        highest, likeliest = max(highest, arena[theta + k]), max(likeliest, arena[parts + k])
    total, reached = 0.0, 0.0
    for k in range(components):
        total += math.exp(arena[theta + k] - highest)
        reached += math.exp(arena[parts + k] - likeliest)
    return likeliest + math.log(reached) - highest - math.log(total) - 0.5 * math.log(2.0 * math.pi)


@pasted
def _log_sigma(spread: Any, log_sigma_floor: float, softplus: bool) -> Any:
    if softplus:
        return log_sigma_floor + max(spread, _ZERO) + math.log1p(math.exp(-abs(spread)))
    return max(spread, log_sigma_floor)


@pasted
def _sigma(spread: Any, temperature: float, bias: float, log_sigma_floor: float, softplus: bool) -> Any:
    return math.exp(_log_sigma(spread, log_sigma_floor, softplus) - bias) * temperature
