"""What the cpu engine merges when it packs a tier is, number by number, what the torch modules do in float64.

Between the gates everything is linear: a sum of matrices times what the recurrences gave, and a constant. Both sides
are asked for those matrices and constants; the packed side does with its panels what `tier_kernels` does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from packed_panels import from_bfloat16, unpacked
from tiny_models import tiny_config, tiny_model
from torch import Tensor
from torch.nn import functional as F

from melnet_music.model.cells import CELLS, Recurrence
from melnet_music.model.config import CellName, ModelConfig
from melnet_music.model.network import TierNetwork
from melnet_music.sampling.cpu.gates import CELL_NUMBERS, GATES
from melnet_music.sampling.cpu.packed_tier import PackedTier, pack_tier
from melnet_music.sampling.cpu.packing import padded, to_bfloat16
from melnet_music.sampling.cpu.products import CHAINS
from melnet_music.sampling.cpu.recurrence import Rnn
from melnet_music.sampling.cpu.target import TARGET
from melnet_music.sampling.cpu.tier_kernels import EXTRACTOR_RNNS

Linear = Callable[[dict[str, Tensor]], Tensor]

BINS, HIDDEN, COMPONENTS = 6, 20, 7
"""HIDDEN is padded to two panels, a row of a mixture as well."""
UNKNOWING = {"future_conditioning": False, "note_conditioning": False}


class Case(NamedTuple):
    """A tier of a model."""

    config: ModelConfig
    tier: int = 0

    @property
    def sizes(self) -> dict[str, int]:
        """Of everything that the linear parts of the tier read: outputs of recurrences, and values of bins."""
        shape, layers = self.config.tiers[self.tier], range(self.config.tiers[self.tier].layers)
        extracted = self.tier > 0 or self.config.future_conditioning
        return {
            **({"extracted": 4 * shape.hidden} if extracted else {}),
            "previous": 1,
            **{f"delayed_{layer}": 3 * shape.hidden for layer in layers},
            **({f"central_{layer}": shape.centralized_hidden for layer in layers} if shape.centralized_hidden else {}),
            "value": 1,
            **{f"state_{layer}": shape.hidden for layer in layers},
        }


def case(tier: int = 0, **options: Any) -> Case:
    return Case(tiny_config(**{"hidden": HIDDEN, "components": COMPONENTS, **options}), tier)


CASES = {
    **{f"{cell}, {layers}": case(cell=cell, layers=layers, centralized_hidden=18)
       for cell in CELLS for layers in (1, 2, 3)},
    "sixteen layers": case(hidden=4, layers=16, centralized_hidden=3),
    "an upper tier": case(tier=1, splits=("time",), layers=2),
    "equal widths": case(layers=2, centralized_hidden=HIDDEN),
    "not centralized": case(layers=2),
    "no bin embedding": case(layers=2, centralized_hidden=HIDDEN, bin_embedding=False),
    "no extractor": case(layers=2, centralized_hidden=18, **UNKNOWING),
    "no extractor, no bin embedding": case(layers=3, bin_embedding=False, **UNKNOWING),
    "whole panels": case(cell="gru", hidden=16, layers=2, centralized_hidden=32),
}  # fmt: skip
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
extracting = pytest.mark.parametrize(
    "case",
    [c for c in CASES.values() if "extracted" in c.sizes],
    ids=[n for n, c in CASES.items() if "extracted" in c.sizes],
)
centralizing = pytest.mark.parametrize(
    "case",
    [c for c in CASES.values() if "central_0" in c.sizes],
    ids=[n for n, c in CASES.items() if "central_0" in c.sizes],
)
bins = pytest.mark.parametrize("f", [1, BINS - 1])


def affine(function: Linear, sizes: dict[str, int]) -> NDArray[np.float64]:
    """The constant and the matrix of a function: ``[outputs, 1 + inputs]``."""
    total = sum(sizes.values())
    probes = torch.cat([torch.zeros(1, total), torch.eye(total)]).double()
    made = function(dict(zip(sizes, probes.split(list(sizes.values()), 1), strict=True)))
    return torch.cat([made[:1], made[1:] - made[:1]]).detach().numpy().T


def assert_same_function(packed: Linear, defined: Linear, sizes: dict[str, int]) -> None:
    """To the rounding of a few float32 numbers."""
    actual, expected = affine(packed, sizes), affine(defined, sizes)
    assert np.abs(expected[:, 1:]).max() > 0.01  # it does depend on something
    np.testing.assert_allclose(actual, expected, rtol=0, atol=5e-7 * max(1.0, np.abs(expected).max()))


# ---- as torch's modules have it ----


def gates_of(cell: Recurrence, x: Tensor, state: Tensor) -> Tensor:
    """Pre-activations. The GRU's reset gate scales what the state gives its third gate: that is kept apart."""
    read = dict(cell.named_parameters())
    if "weight" in read:
        return F.linear(x, read["weight"], read["bias"])
    from_x = F.linear(x, read["layer.weight_ih_l0"], read["layer.bias_ih_l0"])
    from_state = F.linear(state, read["layer.weight_hh_l0"], read["layer.bias_hh_l0"])
    if isinstance(cell, CELLS["lstm"]):
        return from_x + from_state
    both, hidden = 2 * cell.hidden, cell.hidden
    return torch.cat([from_x[:, :both] + from_state[:, :both], from_x[:, both:], from_state[:, both:]], 1).reshape(
        -1, 4 * hidden
    )


class Defined:
    """One bin of a tier, by its modules."""

    def __init__(self, network: TierNetwork, f: int) -> None:
        self._network, self._f = network, f

    def _embedding(self, stack: Any) -> Any:
        return 0 if stack.embedding is None else stack.embedding[self._f]

    def extractor_gates(self, direction: str, channels: Tensor, state: Tensor) -> Tensor:
        extractor = self._network.extractor
        return gates_of(getattr(extractor, direction), extractor.inlet(channels) + self._embedding(extractor), state)

    def features(self, given: dict[str, Tensor]) -> Any:
        return self._network.extractor.outlet(given["extracted"]) if "extracted" in given else 0

    def delayed(self, given: dict[str, Tensor]) -> list[Tensor]:
        """What goes into the layers of the time-delayed stack, and out of the last."""
        stack = self._network.time_delayed
        h = [stack.inlet(given["previous"]) + self._embedding(stack) + self.features(given)]
        for layer, project in enumerate(stack.project):
            h.append(h[-1] + project(given[f"delayed_{layer}"]))
        return h

    def upward(self, given: dict[str, Tensor]) -> list[Tensor]:
        """What goes into the layers' cells of the frequency-delayed stack, and out of the last layer."""
        stack, inputs = self._network.frequency_delayed, []
        h = stack.inlet(given["value"]) + self._embedding(stack) + self.features(given)
        for layer, (project, past) in enumerate(zip(stack.project, self.delayed(given)[1:], strict=True)):
            if self._network.centralized is not None:
                past = past + self._network.centralized.project[layer](given[f"central_{layer}"])
            inputs.append(h + past)
            h = h + project(given[f"state_{layer}"])
        return [*inputs, h]


# ---- as it is packed ----


class Packed:
    """One bin of a tier, by its panels and constants. All padding that it meets must be zero."""

    def __init__(self, packed: PackedTier, f: int) -> None:
        self._packed, self._f, self.p, self._gates = packed, f, packed.places, packed.places.gates

    def _units(self, blocks: int = 1, *, central: bool = False) -> NDArray[np.int64]:
        """Where the units of so many blocks are among the padded ones."""
        hidden = self._packed.central_hidden if central else self._packed.hidden
        return (np.arange(blocks)[:, None] * padded(hidden) + np.arange(hidden)).reshape(-1)

    def _real(self, array: NDArray[Any], *where: NDArray[np.int64]) -> Tensor:
        padding = array.copy()
        padding[np.ix_(*where)] = 0
        assert not padding.any()
        return torch.from_numpy(array[np.ix_(*where)].astype(np.float64))

    def matrix(
        self,
        place: int,
        rows: NDArray[np.int64],
        height: int,
        columns: NDArray[np.int64],
        width: int,
        *,
        fine: bool = False,
    ) -> Tensor:
        """``rows`` and ``columns`` of the padded ``[height, width]``."""
        store = self._packed.fine if fine else self._packed.weights
        return self._real(unpacked(store[place:], height, width), rows, columns)

    def constant(self, place: int, units: NDArray[np.int64], size: int) -> Tensor:
        return self._real(self._packed.constants[place : place + size], units)

    def rnn(self, number: int) -> Rnn:
        return Rnn(*self._packed.rnns[number].tolist())

    def gates(self, rnn: Rnn, from_x: Tensor, state: Tensor, *, bias: bool = True, central: bool = False) -> Tensor:
        """As `gates_of`; ``from_x``: what the inputs give."""
        hidden = self.p.central_hidden if central else self.p.hidden
        rows, units = self._units(self._gates, central=central), self._units(central=central)
        width = self._gates * hidden
        if bias:
            from_x = from_x + self.constant(rnn.bias + self._f * rnn.bias_step, rows, width)
        if self._gates == GATES["mingru"]:
            return from_x
        from_state = state @ self.matrix(rnn.u, rows, width, units, hidden).T
        if self._gates == GATES["lstm"]:
            return from_x + from_state
        from_state = from_state + self.constant(rnn.hidden_bias, rows, width)
        both = 2 * len(units)
        return torch.cat([from_x[:, :both] + from_state[:, :both], from_x[:, both:], from_state[:, both:]], 1)

    def inputs(self, rnn: Rnn, columns: NDArray[np.int64], *, fine: bool = False, central: bool = False) -> Tensor:
        """The matrix from ``columns`` of a recurrence's inputs to its gates."""
        height = self._gates * (self.p.central_hidden if central else self.p.hidden)
        return self.matrix(rnn.w, self._units(self._gates, central=central), height, columns, rnn.inputs, fine=fine)

    def extractor_gates(self, number: int, channels: Tensor, state: Tensor) -> Tensor:
        rnn = self.rnn(number)
        assert rnn.inputs == channels.shape[1]
        return self.gates(rnn, channels @ self.inputs(rnn, np.arange(rnn.inputs), fine=True).T, state)

    def base(self, given: dict[str, Tensor]) -> Tensor:
        p = self.p
        constant = self.constant(p.cell_constant + self._f * p.hidden, self._units(), p.hidden)
        if "extracted" not in given:
            return constant + torch.zeros_like(given["value"])
        return (
            constant
            + given["extracted"] @ self.matrix(p.outlet, self._units(), p.hidden, self._units(4), 4 * p.hidden).T
        )

    def delayed(self, given: dict[str, Tensor]) -> list[Tensor]:
        """As `Defined.delayed`, but for constants that are added elsewhere."""
        p, units = self.p, self._units()
        h = [self.base(given) + given["previous"] @ self.matrix(
            p.inlet, units, p.hidden, np.arange(1), 1, fine=True).T]  # fmt: skip
        for layer in range(p.layers):
            place = p.project + layer * 3 * p.hidden * p.hidden
            project = self.matrix(place, units, p.hidden, self._units(3), 3 * p.hidden)
            h.append(h[-1] + given[f"delayed_{layer}"] @ project.T)
        return h

    def delayed_gates(self, layer: int, direction: int, given: dict[str, Tensor], state: Tensor) -> Tensor:
        rnn = self.rnn(EXTRACTOR_RNNS + 3 * layer + direction)
        assert rnn.inputs == self.p.hidden
        return self.gates(rnn, self.delayed(given)[layer] @ self.inputs(rnn, self._units()).T, state)

    def central(self, layer: int, given: dict[str, Tensor]) -> Tensor:
        """Its output, but for constants that are added elsewhere."""
        p, h = self.p, given[f"central_{layer}"]
        if p.central_project < 0:
            return h
        place = p.central_project + layer * p.central_hidden * p.hidden
        return h @ self.matrix(place, self._units(), p.hidden, self._units(central=True), p.central_hidden).T

    def carried(self, given: dict[str, Tensor], last: int) -> list[Tensor]:
        """What is read of the layers' states before ``last``: with three layers and more their projections' sum."""
        p, units = self.p, self._units()
        if p.layers < 3:
            return [given[f"state_{layer}"] for layer in range(last)]
        total = torch.zeros_like(given["state_0"])
        for layer in range(last):
            place = p.upward_project + layer * p.hidden * p.hidden
            total = total + given[f"state_{layer}"] @ self.matrix(place, units, p.hidden, units, p.hidden).T
        return [total]

    def upward_gates(self, layer: int, given: dict[str, Tensor]) -> Tensor:
        """Of the frequency-delayed stack."""
        p, units, rows = self.p, self._units(), self._units(self._gates)
        width = self._gates * p.hidden
        mixed = self.base(given) + self.delayed(given)[layer + 1]
        if p.central_hidden:
            mixed = mixed + self.central(layer, given)
        before = self.matrix(p.upward + layer * p.hidden * width, rows, width, units, p.hidden)
        constant = self.constant(p.upward_constant + (layer * p.bins + self._f) * width, rows, width)
        rnn = self.rnn(EXTRACTOR_RNNS + 4 * p.layers + layer)
        below = self.matrix(p.below + layer * width, rows, width, np.arange(1), 1, fine=True)
        total = mixed @ before.T + constant + given["value"] @ below.T
        assert rnn.inputs == (p.hidden if layer else 0)
        if layer:
            (carried,) = self.carried(given, layer)
            total = total + carried @ self.inputs(rnn, units).T
        return self.gates(rnn, total, given[f"state_{layer}"], bias=False)

    def theta(self, given: dict[str, Tensor]) -> Tensor:
        p, units, rows = self.p, self._units(), np.arange(3 * self.p.components)
        vector = [given["value"], *(self.carried(given, p.layers - 1) if p.layers > 1 else [])]
        vector.append(given[f"state_{p.layers - 1}"])
        columns = np.concatenate([[0], *(1 + i * p.hidden + units for i in range(len(vector) - 1))])
        head = self.matrix(p.head, rows, p.theta, columns, p.head_inputs, fine=True)
        base = self.matrix(p.head_base, rows, p.theta, units, p.hidden, fine=True)
        constant = self.constant(p.head_constant + self._f * p.theta, rows, p.theta)
        return constant + self.base(given) @ base.T + torch.cat(vector, 1) @ head.T


@cache
def both_sides(case: Case, bfloat16: bool = False) -> tuple[TierNetwork, PackedTier]:
    model = tiny_model(case.config, mel_bins=BINS, dtype=torch.float32)
    weights = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    return model.tier(case.tier).double(), pack_tier(weights, case.config, case.tier, BINS, bfloat16=bfloat16)


def sides(case: Case, f: int) -> tuple[Defined, Packed]:
    network, packed = both_sides(case)
    return Defined(network, f), Packed(packed, f)


# ---- the merges ----


@extracting
@bins
@pytest.mark.parametrize("number", range(EXTRACTOR_RNNS))
def test_the_extractor_s_inlet_is_part_of_its_gates(case: Case, f: int, number: int) -> None:
    defined, packed = sides(case, f)
    direction = ("later", "earlier", "higher", "lower")[number]
    channels, hidden = both_sides(case)[1].channels, case.config.tiers[case.tier].hidden
    assert_same_function(
        lambda given: packed.extractor_gates(number, given["channels"], given["state"]),
        lambda given: defined.extractor_gates(direction, given["channels"], given["state"]),
        {"channels": channels, "state": hidden},
    )


@cases
@bins
def test_the_time_delayed_stack_keeps_its_projections_biases_out_of_the_sum(case: Case, f: int) -> None:
    """And its first input is the same for both stacks, but for constants."""
    defined, packed = sides(case, f)
    stack, shape = both_sides(case)[0].time_delayed, case.config.tiers[case.tier]
    for layer in {0, min(1, shape.layers - 1), shape.layers - 1}:
        for direction, rnns in enumerate((stack.time, stack.upward, stack.downward)):
            assert_same_function(
                lambda given, layer=layer, direction=direction: packed.delayed_gates(
                    layer, direction, given, given["state"]
                ),
                lambda given, layer=layer, rnns=rnns: gates_of(
                    rnns[layer], defined.delayed(given)[layer], given["state"]
                ),
                {**case.sizes, "state": shape.hidden},
            )


@cases
@bins
def test_the_frequency_delayed_stack_s_gates(case: Case, f: int) -> None:
    """With two layers the first's projection is part of the second's matrix, with more their sum is carried on."""
    defined, packed = sides(case, f)
    stack, layers = both_sides(case)[0].frequency_delayed, case.config.tiers[case.tier].layers
    for layer in {0, min(1, layers - 1), layers - 1}:
        assert_same_function(
            lambda given, layer=layer: packed.upward_gates(layer, given),
            lambda given, layer=layer: gates_of(
                stack.upward[layer], defined.upward(given)[layer], given[f"state_{layer}"]
            ),
            case.sizes,
        )


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_s_two_biases_are_one_but_for_what_the_reset_gate_scales(cell: CellName) -> None:
    """Of a recurrence whose inputs have no constant: the centralized one."""
    network, packed_tier = both_sides(CASES[f"{cell}, 2"])
    assert network.centralized is not None
    packed, read = Packed(packed_tier, 0), dict(network.centralized.time[1].named_parameters())
    gates, width, wide = GATES[cell], 18, 32
    rows = np.concatenate([gate * wide + np.arange(width) for gate in range(gates)])
    rnn = packed.rnn(EXTRACTOR_RNNS + 3 * 2 + 1)
    bias = packed.constant(rnn.bias, rows, gates * wide)
    expected = read["bias"] if cell == "mingru" else read["layer.bias_ih_l0"] + read["layer.bias_hh_l0"]
    if cell == "gru":
        expected = torch.cat([expected[: 2 * width], read["layer.bias_ih_l0"][2 * width :]])
        behind = packed.constant(rnn.hidden_bias, rows, gates * wide)
        assert (behind[: 2 * width] == 0).all()
        torch.testing.assert_close(behind[2 * width :], read["layer.bias_hh_l0"][2 * width :], rtol=1e-7, atol=0)
    torch.testing.assert_close(bias, expected, rtol=1e-7, atol=1e-8)


@cases
@bins
def test_the_last_projection_is_part_of_the_mixture_s_matrix(case: Case, f: int) -> None:
    defined, packed = sides(case, f)
    outlet = both_sides(case)[0].outlet
    assert_same_function(packed.theta, lambda given: outlet(defined.upward(given)[-1]), case.sizes)


@centralizing
def test_the_centralized_stack(case: Case) -> None:
    """Its input and gates; its outputs are among what the frequency-delayed stack's gates read."""
    network, packed_tier = both_sides(case)
    packed, stack, width = Packed(packed_tier, 0), network.centralized, network.config.tiers[0].centralized_hidden
    assert stack is not None
    p, units = packed.p, np.arange(width)
    inlet = packed.matrix(p.central_inlet, units, p.central_hidden, np.arange(BINS), BINS, fine=True)
    constant = packed.constant(p.central_constant, units, p.central_hidden)
    assert_same_function(
        lambda given: given["frame"] @ inlet.T + constant, lambda given: stack.inlet(given["frame"]), {"frame": BINS}
    )
    for layer, cell in enumerate(stack.time):
        rnn = packed.rnn(EXTRACTOR_RNNS + 3 * p.layers + layer)
        assert (rnn.inputs, rnn.bias_step) == (p.central_hidden, 0)
        assert_same_function(
            lambda given, rnn=rnn: packed.gates(
                rnn, given["h"] @ packed.inputs(rnn, units, central=True).T, given["state"], central=True
            ),
            lambda given, cell=cell: gates_of(cell, given["h"], given["state"]),
            {"h": width, "state": width},
        )
    assert (p.central_project < 0) == (width == network.config.tiers[0].hidden)


def recurrences(network: TierNetwork) -> dict[int, Recurrence]:
    """By their numbers among the packed ones."""
    stack, extractor, layers = network.time_delayed, network.extractor, len(network.time_delayed.time)
    numbered: dict[int, Any] = {}
    if extractor is not None:
        numbered |= enumerate((extractor.later, extractor.earlier, extractor.higher, extractor.lower))
    for layer in range(layers):
        delayed = (stack.time[layer], stack.upward[layer], stack.downward[layer])
        numbered |= enumerate(delayed, EXTRACTOR_RNNS + 3 * layer)
    if network.centralized is not None:
        numbered |= enumerate(network.centralized.time, EXTRACTOR_RNNS + 3 * layers)
    numbered |= enumerate(network.frequency_delayed.upward, EXTRACTOR_RNNS + 4 * layers)
    return numbered


@cases
def test_initial_states_are_padded_with_zeros(case: Case) -> None:
    network, packed_tier = both_sides(case)
    packed = Packed(packed_tier, 0)
    for number, recurrence in recurrences(network).items():
        wide, units = padded(recurrence.hidden), np.arange(recurrence.hidden)
        places = np.concatenate([part * wide + units for part in range(recurrence.parts)])
        start = packed.constant(packed.rnn(number).start, places, recurrence.parts * wide)
        assert torch.equal(start, recurrence.start.reshape(-1))


@cases
def test_sizes_are_the_tier_s(case: Case) -> None:
    network, packed = both_sides(case)
    p, shape = packed.places, case.config.tiers[case.tier]
    width = shape.centralized_hidden if case.tier == 0 else 0
    assert (p.cell, p.gates) == (CELL_NUMBERS[case.config.cell], GATES[case.config.cell])
    assert (p.hidden, p.bins, p.layers) == (padded(shape.hidden), BINS, shape.layers)
    assert (p.components, p.theta) == (case.config.components, padded(3 * case.config.components))
    assert (p.central_hidden, packed.channels) == (padded(width), network.channels)
    assert p.head_inputs % CHAINS == 0
    assert len(packed.rnns) == EXTRACTOR_RNNS + 5 * shape.layers


@pytest.mark.parametrize("case", [CASES["gru, 2"], CASES["sixteen layers"]], ids=["gru, 2", "sixteen layers"])
def test_bfloat16_rounds_the_weights_and_nothing_else(case: Case) -> None:
    exact, rounded = both_sides(case)[1], both_sides(case, bfloat16=True)[1]
    assert rounded.places == exact.places
    assert np.array_equal(rounded.rnns, exact.rnns)
    assert np.array_equal(rounded.fine, exact.fine)
    assert np.array_equal(rounded.constants, exact.constants)
    assert (exact.weights.dtype, rounded.weights.dtype) == (np.float32, np.uint16)
    # a line of 16 weights, or a pair of lines, stays one: its order is the packing's, see test_cpu_packing.py
    line = 32 if TARGET.dots else 16
    lines, halves = exact.weights.reshape(-1, line), from_bfloat16(rounded.weights).reshape(-1, line)
    assert np.array_equal(np.sort(from_bfloat16(to_bfloat16(lines))), np.sort(halves))


@cases
def test_every_matrix_begins_on_a_cache_line(case: Case) -> None:
    packed = both_sides(case)[1]
    for store in (packed.weights, packed.fine, packed.constants):
        assert store.ctypes.data % 64 == 0
        assert store.size % 16 == 0
    places = {name: place for name, place in packed.places._asdict().items() if place > 0}
    stored = ("outlet", "project", "upward", "central_project", "inlet", "central_inlet", "head_base", "head", "zeros")
    assert all(places.get(name, 0) % 16 == 0 for name in stored)
    columns = [Rnn._fields.index(name) for name in ("w", "u", "bias", "hidden_bias", "start")]
    assert not (packed.rnns[:, columns] % 16).any()
