"""The compiled parts of the cpu engine: each against its definition in float64, and the laws of bits it rests on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numpy as np
import pytest
import torch
from llvmlite import ir
from numba import njit
from numpy.typing import NDArray
from packed_panels import from_bfloat16, unpacked
from torch import Tensor

from melnet_music.model.cells import CELLS, Recurrence
from melnet_music.model.config import CellName
from melnet_music.sampling.cpu import micro_kernels, packing
from melnet_music.sampling.cpu.barrier import SYNC_WORDS, meet
from melnet_music.sampling.cpu.compiled import compiled
from melnet_music.sampling.cpu.gates import CELL_NUMBERS, GATES, apply_gates, exp_strip
from melnet_music.sampling.cpu.matrix_tiles import emit_matrix_tile
from melnet_music.sampling.cpu.micro_kernels import make_tile
from melnet_music.sampling.cpu.packing import padded, panels, to_bfloat16
from melnet_music.sampling.cpu.products import CHAINS, product, short_product
from melnet_music.sampling.cpu.recurrence import BLOCK_ROWS, Rnn, run_in_frequency, run_in_time, scratch_floats
from melnet_music.sampling.cpu.target import (
    AMX,
    AVX2,
    AVX512,
    AVX512_BF16,
    NEON,
    PORTABLE,
    TARGET,
    Target,
    choose_target,
)

Array = NDArray[np.float32]

UNTOUCHED = np.array([0x7FC0BEEF], np.uint32).view(np.float32)[0]
"""Fills what a kernel is not to read or write: a NaN that would spread, and of bits that no arithmetic makes."""
DEPTHS = [1, 2, 3, 5, 17, 64, 100]
ROWS = [*range(1, 15), *range(47, 51), 161]
TARGETS = [AVX512, AVX2, NEON, PORTABLE]
"""Those whose tiles any compiler can make, if need be of shorter vectors."""
one_by_one = pytest.mark.skipif(TARGET.dots, reason="this processor adds products of bfloat16 in pairs")

targets = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
depths = pytest.mark.parametrize("k", DEPTHS)
formats = pytest.mark.parametrize("bfloat16", [False, True], ids=["float32", "bfloat16"])
cells = pytest.mark.parametrize("cell", CELLS)
ways = pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def same_bits(first: Array, second: Array) -> bool:
    return np.array_equal(np.ascontiguousarray(first).view(np.uint32), np.ascontiguousarray(second).view(np.uint32))


class Arena:
    """Grids at places of one array, with untouched numbers before, between and behind them and in their strides."""

    def __init__(self) -> None:
        self._parts: list[Array] = []
        self._size = 0
        self.add(np.full((1, 37), UNTOUCHED), 37)
        self.array = np.empty(0, np.float32)

    def add(self, grid: NDArray[Any], stride: int = 0) -> int:
        """Put ``[rows, columns]``, row after row ``stride`` apart (as wide as it is, unless told); its place."""
        rows, columns = grid.shape
        wide = np.full((rows, max(stride, columns)), UNTOUCHED)
        wide[:, :columns] = grid
        place = self._size
        self._parts += [wide.reshape(-1), np.full(19, UNTOUCHED)]
        self._size += wide.size + 19
        return place

    def room(self, rows: int, columns: int, stride: int = 0) -> int:
        """As `add`, of numbers that are still to be made."""
        return self.add(np.full((rows, columns), UNTOUCHED), stride)

    def build(self) -> Array:
        """The array itself."""
        self.array = np.concatenate(self._parts)
        self._before = self.array.copy()
        return self.array

    def grid(self, place: int, rows: int, columns: int, stride: int = 0) -> Array:
        """A view."""
        stride = stride or columns
        return np.lib.stride_tricks.as_strided(self.array[place:], (rows, columns), (4 * stride, 4))

    def assert_nothing_else_was_written(self, *grids: Array) -> None:
        """Everything but these views is as it was built."""
        now = self.array.copy()
        for grid in grids:
            for row in grid:
                first = (row.ctypes.data - self.array.ctypes.data) // 4
                now[first : first + len(row)] = self._before[first : first + len(row)]
        assert same_bits(now, self._before)


# ---- target ----


@pytest.mark.parametrize(
    ("machine", "features", "expected"),
    [
        ("x86_64", {"avx512f", "avx2", "fma", "sse2"}, AVX512),
        ("x86_64", {"avx512f", "avx512bf16", "avx2", "fma", "sse2"}, AVX512_BF16),
        ("x86_64", {"avx512f", "avx512bf16", "amx-tile", "amx-bf16", "avx2", "fma"}, AMX),
        ("x86_64", {"avx512f", "avx512bf16", "amx-bf16", "avx2", "fma"}, AVX512_BF16),
        ("AMD64", {"avx2", "fma", "avx"}, AVX2),
        ("x86_64", {"avx2", "avx"}, PORTABLE),
        ("x86_64", {"fma", "avx"}, PORTABLE),
        ("x86_64", set(), PORTABLE),
        ("arm64", {"neon"}, NEON),
        ("aarch64", set(), NEON),
        ("ARM64", set(), NEON),
        ("riscv64", {"v"}, PORTABLE),
    ],
)
def test_the_target_follows_from_machine_and_features(machine: str, features: set[str], expected: Target) -> None:
    assert choose_target(machine, features) is expected


@targets
def test_a_target_s_vectors_fill_a_panel(target: Target) -> None:
    assert packing.PANEL_COLUMNS % target.lanes == 0
    # two interleaved vectors of bfloat16, or one
    assert target.lanes == packing.PANEL_COLUMNS or packing.PANEL_COLUMNS % (2 * target.lanes) == 0


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="features of x86")
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"NUMBA_CPU_NAME": "generic"}, "portable"),
        ({"NUMBA_CPU_FEATURES": "+avx,+avx2,-fma"}, "portable"),
        ({"NUMBA_CPU_FEATURES": "+avx,+avx2,+fma"}, "avx2"),
        ({"NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+avx512f"}, "avx512"),
        ({"NUMBA_ENABLE_AVX": "0"}, "portable"),
    ],
    ids=str,
)
def test_numba_s_settings_count(settings: dict[str, str], expected: str) -> None:
    printing = "from melnet_music.sampling.cpu.target import TARGET; print(TARGET.name)"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    result = subprocess.run(
        [sys.executable, "-c", printing],
        env=inherited | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert result.stdout.strip() == expected


# ---- packing ----


def some_floats() -> Array:
    """All ties and neighbours of ties of some exponents, denormals, infinities, zeros, the largest, and random bits."""
    halves = np.arange(0, 0x10000, 7, dtype=np.uint32) << 16
    around = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    special = np.array([0, 1, 0x7FFFFF, 0x800000, 0x7F7FFFFF, 0x7F800000, 0x7F7F8000, 0x7F7F7FFF], np.uint32)
    random_bits = np.random.default_rng(0).integers(0, 2**32, 100_000, np.uint32)
    values = np.concatenate([(halves[:, None] + around).reshape(-1), special, special | 0x80000000, random_bits])
    floats = values.astype(np.uint32).view(np.float32)
    return floats[~np.isnan(floats)]


def test_bfloat16_is_torch_s() -> None:
    values = some_floats()
    expected = torch.from_numpy(values).to(torch.bfloat16)
    assert np.array_equal(to_bfloat16(values), expected.view(torch.int16).numpy().view(np.uint16))
    assert same_bits(from_bfloat16(to_bfloat16(values)), expected.float().numpy())


def test_a_bfloat16_comes_back_as_it_was() -> None:
    halves = np.arange(0x10000, dtype=np.uint16)
    halves = halves[~np.isnan(from_bfloat16(halves))]
    assert np.array_equal(to_bfloat16(from_bfloat16(halves)), halves)


@pytest.mark.parametrize(("size", "expected"), [(0, 0), (1, 16), (16, 16), (17, 32), (250, 256)])
def test_sizes_are_padded_to_whole_panels(size: int, expected: int) -> None:
    assert padded(size) == expected


@pytest.mark.parametrize("target", [*TARGETS, AVX512_BF16], ids=lambda target: target.name)
def test_panels_unpack_to_the_matrix(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "TARGET", target)
    matrix = random(48, 5)
    exact, rounded = panels(matrix, bfloat16=False), panels(matrix, bfloat16=True)
    assert (exact.dtype, rounded.dtype) == (np.float32, np.uint16)
    assert same_bits(unpacked(exact, 48, 5), matrix)
    assert same_bits(unpacked(rounded, 48, 5, target), from_bfloat16(to_bfloat16(matrix)))


def test_a_panel_holds_sixteen_outputs_of_one_input_after_the_other() -> None:
    matrix = np.arange(32 * 3, dtype=np.float32).reshape(32, 3)
    stored = panels(matrix, bfloat16=False)
    assert stored[:16].tolist() == matrix[:16, 0].tolist()
    assert stored[16:32].tolist() == matrix[:16, 1].tolist()
    assert stored[48:64].tolist() == matrix[16:, 0].tolist()


# ---- tiles and products ----


@compiled
def multiply(
    weights: Any, at: int, panels: int, k: int, arena: Any, x: int, ldx: int, start: int, lds: int, y: int, ldy: int,
    rows: int,
) -> None:  # fmt: skip
    product(weights, at, panels, k, arena, x, ldx, start, lds, y, ldy, rows)


@compiled
def multiply_short(weights: Any, at: int, panels: int, k: int, arena: Any, x: int, start: int, y: int) -> None:
    short_product(weights, at, panels, k, arena, x, start, y)


class Layout(NamedTuple):
    """How the rows of a product lie."""

    ldx_more: int
    """Than K."""
    ldy_more: int
    """Than the outputs."""
    start: str
    """``rows``, ``one`` for all rows, or ``y``: in place."""


LAYOUTS = [Layout(0, 0, "rows"), Layout(3, 5, "rows"), Layout(1, 0, "one"), Layout(0, 16, "y"), Layout(2, 0, "y")]


class Multiplication:
    """``y = start + x @ matrix.T``, to be computed by a kernel, and what it has to give."""

    def __init__(self, rows: int, count: int, k: int, layout: Layout, bfloat16: bool, seed: int = 0) -> None:
        self.rows, self.panels, self.k, self.layout = rows, count, k, layout
        outputs = 16 * count
        self.x, self.matrix = random(rows, k, seed=seed), random(outputs, k, seed=seed + 1)
        self.start = random(1 if layout.start == "one" else rows, outputs, seed=seed + 2)
        self.at = 16 * 3  # three lines of another matrix before
        self.paired = bfloat16 and packing.TARGET.dots
        self.panel = 16 * (k + k % 2 if self.paired else k)  # from one panel to the next
        self.weights = np.concatenate(
            [np.full(self.at, 0x7FC0, np.uint16) if bfloat16 else np.full(self.at, UNTOUCHED),
             panels(self.matrix, bfloat16=bfloat16)]
        )  # fmt: skip
        self.ldx, self.ldy = k + layout.ldx_more, outputs + layout.ldy_more
        self.arena = Arena()
        self.x_place = self.arena.add(self.x, self.ldx)
        if layout.start == "y":
            self.y_place = self.start_place = self.arena.add(self.start, self.ldy)
            self.lds = self.ldy
        else:
            self.lds = outputs + 7 if layout.start == "rows" else 0
            self.start_place = self.arena.add(self.start, self.lds)
            self.y_place = self.arena.room(rows, outputs, self.ldy)
        self.arena.build()
        self.y = self.arena.grid(self.y_place, rows, outputs, self.ldy)

    def run(self, kernel: Callable[..., None] | None = None) -> Array:
        """By `product`, or by a tile that takes all rows and panels at once."""
        places = (self.x_place, self.ldx, self.start_place, self.lds, self.y_place, self.ldy)
        if kernel is None:
            multiply(self.weights, self.at, self.panels, self.k, self.arena.array, *places, self.rows)
        else:
            kernel(self.weights, self.at, self.arena.array, self.k, *places)
        self.arena.assert_nothing_else_was_written(self.y)
        return self.y.copy()

    def assert_right(self, y: Array, matrix: Array) -> None:
        """Within what K roundings of products and sums can be wrong by (Higham 2002, section 3.1)."""
        given = from_bfloat16(to_bfloat16(self.x)) if self.paired else self.x
        x, matrix, start = (part.astype(np.float64) for part in (given, matrix, self.start))
        bound = (self.k + 2) * 2.0**-24 * (np.abs(start) + np.abs(x) @ np.abs(matrix).T)
        assert (np.abs(y - (start + x @ matrix.T)) <= bound).all()


@cache
def tile_kernel(rows: int, count: int, chains: int, target: Target) -> Callable[..., None]:
    tile = make_tile(rows, count, chains=chains, target=target)

    @njit
    def run(
        weights: Any, at: int, arena: Any, k: int, x: int, ldx: int, start: int, lds: int, y: int, ldy: int
    ) -> None:
        tile(weights, at, arena, k, x, ldx, start, lds, y, ldy)

    made: Callable[..., None] = run
    return made


def tile_shapes(target: Target) -> list[tuple[int, int]]:
    """Those that `products` uses."""
    shapes = [(target.tall_rows, target.tall_panels), (target.tall_rows, 1), (4, 1), (1, target.flat_panels), (1, 1)]
    return list(dict.fromkeys(shapes))


@formats
@targets
def test_a_tile_is_the_product(target: Target, bfloat16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever processor it is made for: the compiler breaks vectors that are too long for this one."""
    monkeypatch.setattr(packing, "TARGET", target)
    for rows, count in tile_shapes(target):
        for k in DEPTHS:
            for layout in LAYOUTS:
                case = Multiplication(rows, count, k, layout, bfloat16, seed=k)
                matrix = unpacked(case.weights[case.at :], 16 * count, k, target)
                case.assert_right(case.run(tile_kernel(rows, count, 1, target)), matrix)


@formats
@targets
def test_a_tile_s_bits_are_those_of_the_smallest_tile(
    target: Target, bfloat16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "TARGET", target)
    for rows, count in tile_shapes(target):
        case = Multiplication(rows, count, 17, LAYOUTS[1], bfloat16)
        whole = case.run(tile_kernel(rows, count, 1, target))
        for row in range(rows):
            for panel in range(count):
                y = case.y[row : row + 1, 16 * panel : 16 * panel + 16]
                y[:] = UNTOUCHED
                tile_kernel(1, 1, 1, target)(
                    case.weights, case.at + 16 * panel * case.k, case.arena.array, case.k,
                    case.x_place + row * case.ldx, 0, case.start_place + row * case.lds + 16 * panel, 0,
                    case.y_place + row * case.ldy + 16 * panel, 0,
                )  # fmt: skip
                assert same_bits(y, whole[row : row + 1, 16 * panel : 16 * panel + 16])


@formats
def test_all_processors_with_fused_multiply_add_give_the_same_bits(
    bfloat16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for target in (AVX512, AVX2, NEON):
        monkeypatch.setattr(packing, "TARGET", target)
        results.append(Multiplication(1, 1, 100, LAYOUTS[0], bfloat16).run(tile_kernel(1, 1, 1, target)))
    assert same_bits(results[0], results[1])
    assert same_bits(results[0], results[2])


@formats
@targets
def test_chains_are_sums_of_their_own(target: Target, bfloat16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "TARGET", target)
    for k in DEPTHS:
        case = Multiplication(1, 1, CHAINS * k, LAYOUTS[0], bfloat16)
        tile = tile_kernel(1, 1, CHAINS, target)
        tile(case.weights, case.at, case.arena.array, k, case.x_place, 0, case.start_place, 0, case.y_place, 0)
        case.arena.assert_nothing_else_was_written(case.y)
        case.assert_right(case.y, unpacked(case.weights[case.at :], 16, CHAINS * k, target))


@formats
@depths
def test_a_product_of_any_number_of_rows_and_panels(k: int, bfloat16: bool) -> None:
    for rows in ROWS:
        for count in range(1, 10):  # and all layouts for each of the rows
            case = Multiplication(rows, count, k, LAYOUTS[(rows + count) % len(LAYOUTS)], bfloat16)
            case.assert_right(case.run(), unpacked(case.weights[case.at :], 16 * count, k))


@one_by_one
@depths
def test_a_product_with_bfloat16_is_that_with_the_rounded_weights(k: int) -> None:
    for rows in (1, 6, 11, 49):
        packed = Multiplication(rows, 9, k, LAYOUTS[1], bfloat16=True)
        rounded = Multiplication(rows, 9, k, LAYOUTS[1], bfloat16=False)
        rounded.weights[rounded.at :] = panels(from_bfloat16(to_bfloat16(rounded.matrix)), bfloat16=False)
        assert same_bits(packed.run(), rounded.run())


@formats
@depths
def test_a_row_s_bits_do_not_depend_on_how_many_rows_are_computed_beside_it(k: int, bfloat16: bool) -> None:
    most = max(ROWS)
    for count in (1, 3, 9):
        case = Multiplication(most, count, k, LAYOUTS[1], bfloat16)

        def computed(first: int, rows: int, case: Multiplication = case) -> Array:
            case.y[:] = UNTOUCHED
            multiply(
                case.weights, case.at, case.panels, case.k, case.arena.array, case.x_place + first * case.ldx, case.ldx,
                case.start_place + first * case.lds, case.lds, case.y_place + first * case.ldy, case.ldy, rows,
            )  # fmt: skip
            case.arena.assert_nothing_else_was_written(case.y[first : first + rows])
            return case.y[first : first + rows].copy()

        alone = np.concatenate([computed(row, 1) for row in range(most)])
        for rows in ROWS:
            assert same_bits(computed(0, rows), alone[:rows])
            assert same_bits(computed(most - rows, rows), alone[most - rows :])


@formats
def test_a_panel_s_bits_do_not_depend_on_the_panels_beside_it(bfloat16: bool) -> None:
    for rows in (1, 4, 6, 13):
        case = Multiplication(rows, 9, 17, LAYOUTS[1], bfloat16)
        whole = case.run()
        for panel in range(9):
            columns = slice(16 * panel, 16 * panel + 16)
            case.y[:] = UNTOUCHED
            multiply(
                case.weights, case.at + panel * case.panel, 1, case.k, case.arena.array, case.x_place, case.ldx,
                case.start_place + 16 * panel, case.lds, case.y_place + 16 * panel, case.ldy, rows,
            )  # fmt: skip
            assert same_bits(case.y[:, columns], whole[:, columns])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_short_product(count: int) -> None:
    for k in DEPTHS:
        case = Multiplication(1, count, CHAINS * k, LAYOUTS[0], bfloat16=False)
        multiply_short(
            case.weights, case.at, count, case.k, case.arena.array, case.x_place, case.start_place, case.y_place
        )
        case.arena.assert_nothing_else_was_written(case.y)
        case.assert_right(case.y, unpacked(case.weights[case.at :], 16 * count, case.k))


INSTRUCTION_SETS = {
    AVX512_BF16: ("x86_64-linux-gnu", ["cooperlake", "znver4", "sapphirerapids"]),
    AVX512: ("x86_64-linux-gnu", ["skylake-avx512", "znver4", "sapphirerapids"]),
    AVX2: ("x86_64-linux-gnu", ["haswell", "znver3"]),
    NEON: ("aarch64-linux-gnu", ["generic", "apple-m1", "neoverse-n1"]),
    PORTABLE: ("x86_64-linux-gnu", ["x86-64"]),
}


def tile_module(rows: int, count: int, bfloat16: bool, target: Target) -> str:
    """A tile as LLVM IR, without numba around it."""
    module, numbers = ir.Module("tile"), ir.FloatType().as_pointer()
    weights = ir.IntType(16).as_pointer() if bfloat16 else numbers
    kind = ir.FunctionType(ir.VoidType(), [weights, ir.IntType(64), numbers, *[ir.IntType(64)] * 7])
    function = ir.Function(module, kind, "tile")
    builder = ir.IRBuilder(function.append_basic_block())
    arrays = SimpleNamespace(make_array=lambda kind: lambda context, builder, value: SimpleNamespace(data=value))
    signature = SimpleNamespace(args=[None] * 10)
    micro_kernels._Tile(arrays, builder, signature, list(function.args), rows, count, 1, bfloat16, target).emit()
    builder.ret_void()
    return str(module)


def compiled_for(module: str, triple: str, processor: str) -> str:
    """Assembly of another processor."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        machine = llvm.Target.from_triple(triple).create_target_machine(cpu=processor, opt=3)
    except RuntimeError:
        pytest.skip(f"this LLVM knows no {triple}")
    parsed = llvm.parse_assembly(module)
    parsed.triple, parsed.data_layout = triple, str(machine.target_data)
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(parsed, passes)
    assembly: str = machine.emit_assembly(parsed)
    return assembly


def innermost_loops(assembly: str) -> list[list[str]]:
    """The instructions from a label to the jump back to it."""
    loops, label, body = [], "", []
    for line in assembly.splitlines():
        if found := re.match(r"(\.L\w+):", line):
            label, body = found[1], []
        elif found := re.match(r"\s+(?:j\w+|b\.\w+|cbn?z)\s.*?(\.L\w+)$", line):
            if found[1] == label:
                loops.append(body)
                label, body = "", []
        else:
            body.append(line)
    return loops


@formats
@pytest.mark.parametrize("target", INSTRUCTION_SETS, ids=lambda target: target.name)
def test_a_tile_keeps_its_sums_in_registers(target: Target, bfloat16: bool) -> None:
    """The loop over K reaches for the stack nowhere. Tiles of more rows than the target's tallest are never run."""
    triple, processors = INSTRUCTION_SETS[target]
    for rows, count in tile_shapes(target):
        if rows > target.tall_rows:
            continue
        for processor in processors:
            loops = innermost_loops(compiled_for(tile_module(rows, count, bfloat16, target), triple, processor))
            assert loops
            for body in loops:
                assert any(re.search("fmadd|fmla|mulps|dpbf16ps", line) for line in body)
                assert not [line for line in body if re.search(r"%rsp|\[sp|, sp\b", line)], (processor, rows, count)


@pytest.mark.parametrize("count", [1, 2])
def test_a_matrix_tile_is_made_of_the_processor_s_instructions(count: int) -> None:
    """Whatever processor this is: two reads of weights and two products for every read of inputs."""
    module, numbers, places = ir.Module("tile"), ir.FloatType().as_pointer(), ir.IntType(64)
    weights = ir.IntType(16).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [weights, places, places, numbers, *[places] * 8])
    function = ir.Function(module, kind, "tile")
    builder = ir.IRBuilder(function.append_basic_block())
    emit_matrix_tile(builder, count, function.args[0], function.args[3], list(function.args))
    builder.ret_void()
    (loop,) = innermost_loops(compiled_for(str(module), "x86_64-linux-gnu", "sapphirerapids"))
    for instruction, times in (("tdpbf16ps", count), ("tileloadd", 1 + count)):
        assert sum(instruction in line for line in loop) == times


# ---- gates ----


@compiled
def gate(cell: int, hidden: int, arena: Any, gx: int, gh: int, h: int, c: int, out: int) -> None:
    apply_gates(cell, hidden, arena, gx, gh, h, c, out)


@compiled
def exponential(count: int, arena: Any, x: int, out: int) -> None:
    for i in range(0, count, 16):
        exp_strip(arena, x + i, out + i)


def wide_values(*shape: int, limit: float, seed: int) -> Array:
    """Of all sizes up to ``limit``, tiny ones and zeros among them."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(-1, 1, shape) * 10.0 ** rng.uniform(-8, np.log10(limit), shape)
    special = rng.choice([0.0, -0.0, 1e-30, -1e-30, 1e-40, limit, -limit], shape)
    return np.where(rng.random(shape) < 0.2, special, values).astype(np.float32)


class GateCase:
    """One row of pre-activations."""

    def __init__(self, cell: CellName, hidden: int, limit: float, seed: int = 0) -> None:
        self.cell, self.hidden, self.parts = cell, hidden, 2 if cell == "lstm" else 1
        # what the state gives an LSTM or a minGRU is in gx already
        self.gx = wide_values(GATES[cell], hidden, limit=limit, seed=seed)
        self.gh = wide_values(3, hidden, limit=limit, seed=seed + 1) if cell == "gru" else np.zeros((1, hidden))
        self.state = wide_values(self.parts, hidden, limit=1.0, seed=seed + 2)

    def run(self, *, in_place: bool = False) -> tuple[Array, Array]:
        """The state after: hidden ``[H]`` and memory ``[H]``."""
        arena, hidden = Arena(), self.hidden
        gx, gh, state = (arena.add(grid) for grid in (self.gx, self.gh, self.state))
        out = state if in_place else arena.room(1, hidden)
        array, c = arena.build(), state + hidden
        gate(CELL_NUMBERS[self.cell], hidden, array, gx, gh, state, c, out)
        written = [arena.grid(out, 1, hidden), *([arena.grid(c, 1, hidden)] if self.cell == "lstm" else [])]
        arena.assert_nothing_else_was_written(*written)
        return written[0][0].copy(), written[-1][0].copy()

    def expected(self) -> Tensor:
        """``[P, H]`` by torch's cell: with no input and no matrices its biases are the pre-activations."""
        cell = CELLS[self.cell](1, self.hidden).double()
        for parameter in cell.parameters():
            parameter.data.zero_()
        named = dict(cell.named_parameters())
        named["bias" if self.cell == "mingru" else "layer.bias_ih_l0"].data[:] = torch.from_numpy(self.gx).reshape(-1)
        if self.cell == "gru":
            named["layer.bias_hh_l0"].data[:] = torch.from_numpy(self.gh).reshape(-1)
        state = torch.from_numpy(self.state).double()
        return cell.step(torch.zeros(1, 1, dtype=torch.float64), state[:, None])[1][:, 0].detach()


@cells
@pytest.mark.parametrize("limit", [1.0, 10.0, 100.0])
def test_gates_are_torch_s(cell: CellName, limit: float) -> None:
    """To 1e-6, or 1e-6 of the largest number that is added up on the way and not squashed before."""
    for seed in range(20):
        case = GateCase(cell, 256, limit, seed=10 * seed)
        unsquashed = {"mingru": case.gx[1], "gru": case.gh[-1], "lstm": case.state[-1]}[cell]
        bound = 1e-6 * np.maximum(1, np.abs(unsquashed))
        h, c = case.run()
        expected = case.expected().numpy()
        assert (np.abs(h - expected[0]) <= bound).all()
        assert (np.abs(c - expected[-1]) <= bound).all()


@cells
def test_gates_in_place_give_the_same_bits(cell: CellName) -> None:
    case = GateCase(cell, 64, 10.0)
    for apart, in_place in zip(case.run(), case.run(in_place=True), strict=True):
        assert same_bits(apart, in_place)


@cells
def test_a_padded_unit_stays_zero(cell: CellName) -> None:
    case = GateCase(cell, 32, 10.0)
    for grid in (case.gx, case.gh, case.state):
        grid[:, 20:] = 0
    for after in case.run():
        assert (after[20:] == 0).all()
        assert (after[:20] != 0).any()


def exponentials(x: Array) -> Array:
    arena, rows = Arena(), np.pad(x, (0, -len(x) % 16))[None]
    place, out = arena.add(rows), arena.room(*rows.shape)
    exponential(rows.shape[1], arena.build(), place, out)
    made = arena.grid(out, *rows.shape)
    arena.assert_nothing_else_was_written(made)
    return made[0, : len(x)].copy()


def test_exp_is_right_to_the_last_bits_or_so() -> None:
    x = np.sort(np.concatenate([np.linspace(-87, 88, 200_001), random(10_000)])).astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    made = exponentials(x)
    assert np.abs(made / exact - 1).max() <= 1.5e-7
    assert exponentials(np.zeros(1, np.float32)) == 1
    tiny = np.array([1e-30, -1e-30, 1e-40, -0.0], np.float32)
    assert (exponentials(tiny) == 1).all()


def test_exp_never_falls_by_more_than_a_rounding() -> None:
    """From one float to the next, where the polynomial is left for the next one: half way between powers of two."""
    seams = ((np.arange(-125, 126) + 0.5) * np.log(2)).astype(np.float32)
    x = (seams.view(np.int32)[:, None] + np.arange(-50, 51, dtype=np.int32)).view(np.float32)
    x[x < 0] = np.flip(x[seams < 0], 1).reshape(-1)  # of negative floats the larger bits are the lower number
    assert (x[:, 1:] > x[:, :-1]).all()
    made = exponentials(x.reshape(-1)).reshape(x.shape)
    assert (made[:, 1:] >= made[:, :-1] * np.float32(1 - 2.0**-22)).all()
    assert (made[:, 100] > made[:, 0]).all()


def test_exp_is_clamped_to_what_a_float_can_hold() -> None:
    x = np.array([-87, -87.5, -100, -1e30, -np.inf, 88, 88.5, 100, 1e30, np.inf], np.float32)
    made = exponentials(x)
    assert (made[:5] == made[0]).all()
    assert (made[5:] == made[5]).all()
    assert 0 < made[0] < 1.7e-38
    assert 1.6e38 < made[5] < np.inf


# ---- recurrences ----


@compiled
def in_time(
    cell: int, hidden: int, gates: int, rnn: Any, inlets: Any, weights: Any, arena: Any, x: int, frames: int, bins: int,
    first: int, last: int, state: int, out: int, out_step: int, backward: bool, scratch: int,
) -> None:  # fmt: skip
    run_in_time(
        cell, hidden, gates, rnn, inlets, weights, arena, x, frames, bins, first, last, state, out, out_step, backward,
        scratch,
    )  # fmt: skip


@compiled
def in_frequency(
    cell: int, hidden: int, gates: int, rnn: Any, inlets: Any, weights: Any, arena: Any, x: int, frames: int, bins: int,
    out: int, out_step: int, backward: bool, scratch: int,
) -> None:  # fmt: skip
    run_in_frequency(
        cell, hidden, gates, rnn, inlets, weights, arena, x, frames, bins, out, out_step, backward, scratch
    )


HIDDEN, WIDE, INPUTS = 20, 32, 3
"""Units, padded to whole panels."""
OUT_STEP = WIDE + 16


def wide_gates(rows: NDArray[Any], gates: int) -> NDArray[Any]:
    """``[gates H, ...]`` with every gate's rows padded."""
    apart = rows.reshape(gates, HIDDEN, *rows.shape[1:])
    return np.pad(apart, [(0, 0), (0, WIDE - HIDDEN), *[(0, 0)] * (rows.ndim - 1)]).reshape(
        gates * WIDE, *rows.shape[1:]
    )


class RecurrenceCase:
    """A cell over a grid ``[frames, bins]``, each bin with a bias of its own, in torch and for the kernels.

    torch has one bias: there each bin is also an input of its own.
    """

    def __init__(
        self, cell: CellName, frames: int, bins: int, backward: bool, *, along_time: bool, stateful: bool = False,
        bfloat16: bool = False,
    ) -> None:  # fmt: skip
        self.cell, self.frames, self.bins, self.backward = cell, frames, bins, backward
        self.along_time, self.stateful = along_time, stateful
        self.gates, self.parts = GATES[cell], 2 if cell == "lstm" else 1
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.module: Recurrence = CELLS[cell](INPUTS + bins, HIDDEN, backward).requires_grad_(False)
            for parameter in self.module.parameters():
                parameter.normal_(std=0.3)
        self.x = random(frames, bins, INPUTS, seed=5)
        self.state = random(self.parts, bins, HIDDEN, seed=6)
        read = {name: value.numpy() for name, value in self.module.state_dict().items()}
        w, u = read.get("weight", read.get("layer.weight_ih_l0")), read.get("layer.weight_hh_l0")
        bias, hidden_bias = read.get("bias", read.get("layer.bias_ih_l0")), np.zeros(self.gates * HIDDEN, np.float32)
        if cell == "gru":
            hidden_bias = read["layer.bias_hh_l0"]
        elif cell == "lstm":
            bias = bias + read["layer.bias_hh_l0"]
        self.inlets = panels(wide_gates(w[:, :INPUTS], self.gates), bfloat16=False)
        self.u = np.zeros((16, 1), np.float32)
        if u is not None:
            self.u = np.pad(wide_gates(u, self.gates), ((0, 0), (0, WIDE - HIDDEN)))
        self.weights = panels(self.u, bfloat16=bfloat16)
        arena = self.arena = Arena()
        width = self.gates * WIDE
        self.rnn = np.array(
            Rnn(
                inputs=INPUTS,
                w=0,
                u=0,
                bias=arena.add(wide_gates((bias[:, None] + w[:, INPUTS:]), self.gates).T),
                bias_step=width,
                hidden_bias=arena.add(wide_gates(hidden_bias, self.gates)[None]),
                start=arena.add(np.pad(read["start"], ((0, 0), (0, WIDE - HIDDEN)))),
            ),
            np.int64,
        )
        self.x_place = arena.add(self.x.reshape(-1, INPUTS))
        self.state_place = arena.add(np.pad(self.state, ((0, 0), (0, 0), (0, WIDE - HIDDEN))).reshape(-1, WIDE))
        self.out_place = arena.room(frames * bins, WIDE, OUT_STEP)
        self.scratch = arena.room(1, scratch_floats(WIDE, self.gates))
        arena.build()
        self.outputs = arena.grid(self.out_place, frames * bins, WIDE, OUT_STEP)
        self.after = arena.grid(self.state_place, self.parts * bins, WIDE)

    def run(self, cuts: list[int] | None = None, frame_by_frame: bool = False) -> Array:
        """The outputs ``[frames, bins, hidden]``; bins in pieces of ``cuts``."""
        shape = CELL_NUMBERS[self.cell], WIDE, self.gates, self.rnn, self.inlets, self.weights, self.arena.array
        state = self.state_place if self.stateful else -1
        for t in range(self.frames) if frame_by_frame else [0]:
            frames, row = 1 if frame_by_frame else self.frames, t * self.bins
            x, out = self.x_place + row * INPUTS, self.out_place + row * OUT_STEP
            if self.along_time:
                edges = [0, *(cuts or []), self.bins]
                for first, last in pairwise(edges):
                    in_time(
                        *shape, x, frames, self.bins, first, last, state, out, OUT_STEP, self.backward, self.scratch
                    )
            else:
                in_frequency(*shape, x, frames, self.bins, out, OUT_STEP, self.backward, self.scratch)
        scratch = self.arena.grid(self.scratch, 1, scratch_floats(WIDE, self.gates))
        self.arena.assert_nothing_else_was_written(self.outputs, scratch, *([self.after] if self.stateful else []))
        return self.outputs.reshape(self.frames, self.bins, WIDE).copy()

    def expected(self) -> tuple[Array, Array]:
        """Outputs and the state after, by torch in float64."""
        bins = torch.eye(self.bins, dtype=torch.float64).expand(self.frames, -1, -1)
        x = torch.cat([torch.from_numpy(self.x).double(), bins], 2)
        state = torch.from_numpy(self.state).double() if self.stateful else None
        outputs, after = self.module.double()(x, 0 if self.along_time else 1, state)
        return outputs.numpy(), after.numpy()


GRIDS = [(1, 1), (1, 5), (1, 200), (2, 97), (3, 1), (3, 5), (3, 200), (100, 1), (100, 5), (97, 97)]
"""Frames and bins: on both sides of a block of rows."""


def test_the_grids_are_on_both_sides_of_a_block() -> None:
    assert {size > BLOCK_ROWS for size, _ in GRIDS} == {size > BLOCK_ROWS for _, size in GRIDS} == {False, True}


def assert_right(case: RecurrenceCase) -> None:
    outputs, after = case.expected()
    made = case.run()
    np.testing.assert_allclose(made[:, :, :HIDDEN], outputs, rtol=0, atol=1e-6 * np.abs(outputs).max())
    assert (made[:, :, HIDDEN:] == 0).all()
    if case.stateful:
        state = case.after.reshape(case.parts, case.bins, WIDE)
        np.testing.assert_allclose(state[:, :, :HIDDEN], after, rtol=0, atol=1e-6 * np.abs(after).max())
        assert (state[:, :, HIDDEN:] == 0).all()


@cells
@ways
@pytest.mark.parametrize("stateful", [False, True], ids=["from the start", "from a state"])
@pytest.mark.parametrize(("frames", "bins"), GRIDS)
def test_a_recurrence_in_time(cell: CellName, backward: bool, stateful: bool, frames: int, bins: int) -> None:
    assert_right(RecurrenceCase(cell, frames, bins, backward, along_time=True, stateful=stateful))


@cells
@ways
@pytest.mark.parametrize(("frames", "bins"), GRIDS)
def test_a_recurrence_in_frequency(cell: CellName, backward: bool, frames: int, bins: int) -> None:
    assert_right(RecurrenceCase(cell, frames, bins, backward, along_time=False))


@cells
@ways
@pytest.mark.parametrize("stateful", [False, True], ids=["from the start", "from a state"])
@pytest.mark.parametrize(("bins", "cuts"), [(5, [1, 2]), (97, [6, 90]), (200, [100]), (200, [3, 96, 97])], ids=str)
def test_parting_the_bins_of_a_recurrence_in_time_gives_the_same_bits(
    cell: CellName, backward: bool, stateful: bool, bins: int, cuts: list[int]
) -> None:
    whole, parted = (RecurrenceCase(cell, 3, bins, backward, along_time=True, stateful=stateful) for _ in range(2))
    assert same_bits(whole.run(), parted.run(cuts))
    assert same_bits(whole.after, parted.after)


@cells
def test_frame_by_frame_gives_the_same_bits_as_all_frames_at_once(cell: CellName) -> None:
    whole, stepped = (RecurrenceCase(cell, 5, 29, False, along_time=True, stateful=True) for _ in range(2))
    assert same_bits(whole.run(), stepped.run(frame_by_frame=True))
    assert same_bits(whole.after, stepped.after)


@cells
@ways
@pytest.mark.parametrize("frames", [3, 100])
def test_a_frame_s_recurrence_in_frequency_does_not_depend_on_the_frames_beside_it(
    cell: CellName, backward: bool, frames: int
) -> None:
    whole, stepped = (RecurrenceCase(cell, frames, 29, backward, along_time=False) for _ in range(2))
    assert same_bits(whole.run(), stepped.run(frame_by_frame=True))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("along_time", [False, True], ids=["frequency", "time"])
def test_a_recurrence_with_bfloat16_is_that_with_the_rounded_weights(cell: CellName, along_time: bool) -> None:
    packed = RecurrenceCase(cell, 7, 29, False, along_time=along_time, bfloat16=True)
    rounded = RecurrenceCase(cell, 7, 29, False, along_time=along_time)
    rounded.weights = panels(from_bfloat16(to_bfloat16(rounded.u)), bfloat16=False)
    made, expected = packed.run(), rounded.run()
    if TARGET.dots:  # states are rounded too, by half a part in 256
        np.testing.assert_allclose(made, expected, rtol=0, atol=2.0**-7 * np.abs(expected).max())
    else:
        assert same_bits(made, expected)


# ---- barrier ----


@compiled
def count_rounds(sync: Any, parts: int, part: int, rounds: int, counts: Any, violations: Any) -> None:
    """Meet again and again, and look at the others' counts after every time."""
    for done in range(1, rounds + 1):
        counts[8 * part] = done
        meet(sync, parts)
        for other in range(parts):
            ahead = counts[8 * other] - done
            if ahead < 0 or ahead > 1:
                violations[part] += 1


@compiled
def meet_once(sync: Any, parts: int, part: int, late: Any, seen: Any) -> None:
    meet(sync, parts)
    seen[part] = late[0]


def run_together(jobs: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_no_thread_is_ever_more_than_a_round_ahead(parts: int) -> None:
    rounds = 10_000
    sync, counts, violations = (np.zeros(size, np.int64) for size in (SYNC_WORDS, 8 * parts, parts))
    count_rounds(sync, 1, 0, 0, counts, violations)  # compiled before the threads start
    run_together(
        [lambda part=part: count_rounds(sync, parts, part, rounds, counts, violations) for part in range(parts)]
    )
    assert violations.sum() == 0
    assert (counts[::8] == rounds).all()


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_a_late_thread_holds_the_others(parts: int) -> None:
    sync, late, seen = np.zeros(SYNC_WORDS, np.int64), np.zeros(1, np.int64), np.zeros(parts, np.int64)
    meet_once(sync, 1, 0, late, seen)
    others_arrived = threading.Event()

    def come_late() -> None:
        others_arrived.wait()
        late[0] = 1
        meet_once(sync, parts, 0, late, seen)

    def see_them_arrive() -> None:
        while sync[0] < parts - 1:
            pass
        others_arrived.set()

    others = [lambda part=part: meet_once(sync, parts, part, late, seen) for part in range(1, parts)]
    run_together([come_late, *others, see_them_arrive])
    assert seen.tolist() == [1] * parts
