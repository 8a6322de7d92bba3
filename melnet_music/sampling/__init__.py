"""Engines that draw frames bin by bin: the naive reference, the compiled one in ``cpu/``, a card's in ``cuda/``.

Imports ``model`` only.
The CPU engine has a crew of worker threads; an engine belongs to the thread that calls it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from melnet_music.model.preset import Preset
from melnet_music.sampling.engine import Engine

if TYPE_CHECKING:
    from melnet_music.sampling.choice import Choice

AUTO = "auto"
"""Not an engine of its own: the one that is fastest here."""
CARD_ENGINES = ("cuda", "cuda-bf16")


def _reference(preset: Preset, threads: int | None) -> Engine:
    import torch  # takes seconds to import: only for who asks for this engine

    from melnet_music.sampling.reference import ReferenceEngine

    # one thread unless told otherwise: for vectors of a few hundred numbers, sharing them out costs more than it saves
    torch.set_num_threads(threads or 1)
    return ReferenceEngine(preset.model().to("cuda" if torch.cuda.is_available() else "cpu"))


def _cpu(preset: Preset, threads: int | None) -> Engine:
    from melnet_music.sampling.cpu.engine import CpuEngine

    return CpuEngine(preset, threads)


def _cpu_bfloat16(preset: Preset, threads: int | None) -> Engine:
    from melnet_music.sampling.cpu.engine import CpuEngine

    return CpuEngine(preset, threads, bfloat16=True)


def _cuda(preset: Preset, threads: int | None, *, bfloat16: bool = False) -> Engine:
    from melnet_music.sampling.cuda.available import why_not

    if reason := why_not():
        raise ValueError(f"the engine cuda cannot run here: {reason}; --engine {DEFAULT_ENGINE} runs everywhere")
    from melnet_music.sampling.cuda.engine import CudaEngine

    return CudaEngine(preset, bfloat16=bfloat16)


def _cuda_bfloat16(preset: Preset, threads: int | None) -> Engine:
    return _cuda(preset, threads, bfloat16=True)


def choose_engine(preset: Preset, threads: int | None) -> Choice:
    """What `auto` takes here, and why; see `melnet_music.sampling.choice.choose`."""
    from melnet_music.sampling.choice import choose

    return choose(preset, lambda: _cpu_bfloat16(preset, threads), lambda: _cuda_bfloat16(preset, threads))


def _auto(preset: Preset, threads: int | None) -> Engine:
    return choose_engine(preset, threads).engine


ENGINES: dict[str, Callable[[Preset, int | None], Engine]] = {
    "cpu": _cpu,
    "cpu-bf16": _cpu_bfloat16,
    "reference": _reference,
    "cuda": _cuda,
    "cuda-bf16": _cuda_bfloat16,
    AUTO: _auto,
}
"""What makes an engine for a preset, on a number of threads (None: as many as fit)."""

DEFAULT_ENGINE = "cpu-bf16"
"""Presets are trained and kept in bfloat16: rounding to it costs the shipped ones less than 0.0004 nats a bin."""
