"""The figures of `speed`, to be read."""

from __future__ import annotations

from collections.abc import Iterator

from melnet_music.bench.fresh_start import FreshStart
from melnet_music.bench.one_thread import FloorOfChunk, OneThread, TierSpeed
from melnet_music.bench.products import STACKS, Stack
from melnet_music.bench.speed import Speed

_STACK_HEADS: dict[Stack, str] = {"extractor": "extractor", "past": "past", "frequency_delayed": "frequency-delayed"}
_TIER_WIDTHS = 24, 18


def report(speed: Speed) -> str:
    """A few lines for each stage."""
    return "\n".join(_lines(speed)) + "\n"


def _lines(speed: Speed) -> Iterator[str]:
    load = "" if speed.load_average is None else f", load {speed.load_average:.2f}"
    yield (
        f"preset {speed.preset}, engine {speed.engine}, chunks of {speed.chunk_frames} frames "
        f"({speed.chunk_ms:.0f} ms of sound); {speed.processors} processors{load}"
    )
    yield ""
    rates = speed.rates.values()
    yield _row("threads", list(speed.rates))
    yield _row("times real time: sampling", [f"{each.sampling:.2f}" for each in rates])
    yield _row("with the vocoder", [f"{each.with_vocoder:.2f}" for each in rates])
    yield _row("priming", [f"{each.priming:.1f}" for each in rates])
    yield _row("CPU s for a second of sound, sampled", [f"{each.cpu_s_per_s_of_sound:.4f}" for each in rates])
    yield _row("cores at hand meanwhile", [f"{each.cores_at_hand:.2f}" for each in rates])
    firsts = speed.first_chunk.values()
    yield _row("ms from trigger to first sound", [f"{first.median_ms:.1f}" for first in firsts])
    yield _row("at worst", [f"{first.worst_ms:.1f}" for first in firsts])
    yield _row("to the first frames alone", [f"{first.frames_median_ms:.1f}" for first in firsts])
    yield ""
    yield from _one_thread(speed.one_thread)
    yield ""
    yield f"fresh process: {_start(speed.warm_start)}, {speed.warm_start.peak_memory_mib:.0f} MiB at most"
    if speed.cold_start:
        yield f"  nothing compiled yet: {_start(speed.cold_start)}"
    if (against := speed.against_reference) is not None:
        yield (
            f"reference: {against.microseconds_per_bin:.1f} us a bin, {against.real_time_factor:.2f} times real time; "
            f"{against.speedup:.1f} times slower than {speed.engine}"
        )
        yield (
            f"  differences in {against.chunks + 1} chunks: frames at most {against.max_difference_of_frames:.1e}, "
            f"median {against.median_difference_of_frames:.1e}, {100 * against.share_of_bins_apart:.2f} % of the bins "
            f"by more than 0.1; primed state at most {against.max_difference_of_primed_state:.1e}"
        )


def _one_thread(own: OneThread) -> Iterator[str]:
    costs = own.microseconds_per_bin
    *_, last = costs.values()
    after = ", ".join(f"{cost:.2f} after {primed} primed frames" for primed, cost in costs.items())
    yield f"CPU us a bin, one thread: {after} (ratio {last / next(iter(costs.values())):.3f})"
    stacks = [*(_STACK_HEADS[stack] for stack in STACKS), "floor / all"] if own.floor else []
    yield _row("by tier", ["all", *stacks, "times real time"], _TIER_WIDTHS)
    for tier in own.tiers:
        yield _row(f"{tier.tier}: {tier.bins_per_second_of_sound:.0f} bins a second", _tier(tier), _TIER_WIDTHS)
    if own.floor:
        yield from _floor(own.floor)


def _tier(tier: TierSpeed) -> list[str]:
    cells = [f"{tier.microseconds_per_bin:.2f}"]
    if tier.microseconds_per_bin_by_stack is not None:
        stacks = [tier.microseconds_per_bin_by_stack.get(stack) for stack in STACKS]
        cells += ["-" if cost is None else f"{cost:.2f}" for cost in stacks]
        cells.append(f"{tier.floor_fraction:.2f}")
    return [*cells, f"{tier.real_time_factor:.1f}"]


def _floor(floor: FloorOfChunk) -> Iterator[str]:
    yield (
        f"CPU of a chunk: {floor.sampling_ms:.2f} ms, of which kernels {floor.kernels_ms:.2f} ms, of which products "
        f"alone (floor) {floor.floor_ms:.2f} ms: floor / all = {floor.fraction:.2f}"
    )
    yield (
        f"  {floor.million_multiply_adds:.0f} million multiply-adds: "
        f"{floor.billion_multiply_adds_per_second:.1f} billion a second; "
        f"one core's float32 peak is {floor.peak_billion_multiply_adds_per_second:.1f}"
    )


def _start(start: FreshStart) -> str:
    return (
        f"imported after {start.imported_s:.2f} s, preset loaded after {start.loaded_s:.2f} s, "
        f"first chunk of sound after {start.sounded_s:.2f} s"
    )


def _row(name: str, cells: list[str], widths: tuple[int, int] = (38, 10)) -> str:
    """``widths``: of the name, and of a cell."""
    return f"  {name:{widths[0]}}" + "".join(f"{cell:>{widths[1]}}" for cell in cells)
