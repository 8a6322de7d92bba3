"""The products of the cpu engine against float64, their bits, and the machine code of their inner loops."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numpy as np
import pytest
from kernel_arrays import UNTOUCHED, Arena, Array, random, same_bits
from llvmlite import ir
from numba import njit
from packed_panels import TARGETS, from_bfloat16, unpacked

from melnet_music.sampling.cpu import micro_kernels, packing
from melnet_music.sampling.cpu.compiled import compiled
from melnet_music.sampling.cpu.matrix_tiles import emit_matrix_tile
from melnet_music.sampling.cpu.micro_kernels import make_tile
from melnet_music.sampling.cpu.packing import panels, to_bfloat16
from melnet_music.sampling.cpu.products import CHAINS, product, short_product
from melnet_music.sampling.cpu.target import (
    AVX2,
    AVX512,
    AVX512_BF16,
    NEON,
    PORTABLE,
    TARGET,
    Target,
)

DEPTHS = [1, 2, 3, 5, 17, 64, 100]
ROWS = [*range(1, 15), *range(47, 51), 161]
one_by_one = pytest.mark.skipif(TARGET.dots, reason="this processor adds products of bfloat16 in pairs")

targets = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
depths = pytest.mark.parametrize("k", DEPTHS)
formats = pytest.mark.parametrize("bfloat16", [False, True], ids=["float32", "bfloat16"])


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
