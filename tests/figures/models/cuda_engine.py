"""The engine `cuda` on a card: whether it is the reference, how fast it is, and where its time goes.

For a machine with a CUDA card, in less than six minutes (``--minutes``): differences from `reference` for small models
of every cell and for the preset `piano`; times real time, first chunk and memory for 1, 8 and 32 takes at once of
`piano`, `music` and `paper-maestro` (with random weights); and a trace by kernel. Prints one JSON object; what fails is
told in its place. Without a card it says so, and checks the smallest models in Triton's interpreter.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

import numpy as np

from melnet_music.bench.material import Material
from melnet_music.model.preset import Preset, load_preset
from melnet_music.sampling.cuda.available import why_not
from melnet_music.sampling.engine import (
    Chunk,
    Engine,
    EngineFailedError,
    Noise,
    SamplerState,
    Sharpness,
    generate,
    state_arrays,
    take_noise,
)

Figures = dict[str, Any]
_SHARPNESS = Sharpness(temperature=0.9, bias=0.2, upper_temperature=0.8, upper_bias=0.1, tilt=0.3)
_TAKES = (1, 8, 32)
_PRESETS = ("piano", "music", "paper-maestro")
_TRACED_CHUNKS, _MOST_KERNELS = 3, 20
_PRIMED_CHUNKS, _WARM_UPS, _LEAST_CHUNKS = 8, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--minutes", type=float, default=6.0, help="what is not begun by then is left out (%(default)g)"
    )
    parser.add_argument("--chunk-seconds", type=float, default=4.0, help="measured for each row (%(default)g)")
    asked = parser.parse_args(arguments)
    ends_at = time.monotonic() + 60.0 * asked.minutes
    figures: Figures = {}
    if reason := why_not():
        os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported
        figures["card"] = f"none: {reason}; in Triton's interpreter"
        figures["differences"] = _told(lambda: _differences(mel_bins=2, hidden=4, frames=2))
    else:
        import torch

        figures["card"] = torch.cuda.get_device_name()
        figures["differences"] = _told(lambda: _differences(mel_bins=12, hidden=40, frames=16))
        figures["piano"] = _told(_differences_of_piano)
        figures["speed"] = rows = []
        for preset, bfloat16 in ((preset, bfloat16) for bfloat16 in (True, False) for preset in _PRESETS):
            if time.monotonic() < ends_at:
                rows.append(_told(lambda: _speed(preset, bfloat16, asked.chunk_seconds)))  # noqa: B023
        if time.monotonic() < ends_at:
            figures["trace"] = _told(_trace)
    json.dump(figures, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


def _told(measure: Callable[[], Any]) -> Any:
    try:
        return measure()
    except (EngineFailedError, RuntimeError, ValueError) as error:
        return f"failed: {type(error).__name__}: {error}"


def _differences(mel_bins: int, hidden: int, frames: int) -> Figures:
    """The largest of a frame and of a state, of small random models, for every cell and two or three layers."""
    from tiny_models import tiny_config, tiny_preset

    found = {}
    for cell in ("mingru", "gru", "lstm"):
        for layers in (2, 3):
            config = tiny_config(
                cell=cell, hidden=hidden, layers=layers, centralized_hidden=hidden, splits=("frequency",)
            )
            found[f"{cell}, {layers} layers"] = _apart(tiny_preset(config, mel_bins), frames)
    return found


def _apart(preset: Preset, frames: int, **options: Any) -> Figures:
    from melnet_music.sampling.cuda.engine import CudaEngine
    from melnet_music.sampling.reference import ReferenceEngine

    past = np.random.default_rng(0).standard_normal((1, frames, preset.mel_bins)).astype(np.float32)
    with closing(CudaEngine(preset, **options)) as ours:
        reference = ReferenceEngine(preset.model().to(ours.device))
        state, expected = (engine.prime(engine.init_state(), past, frames) for engine in (ours, reference))
        chunk = Chunk(take_noise(3, 0, frames, preset.mel_bins), _SHARPNESS)
        primed = _largest(state, expected)
        made, wanted = generate(ours, expected, chunk), generate(reference, expected, chunk)
        return {
            "primed": primed,
            "frames": float(np.abs(made.frames - wanted.frames).max()),
            "state": _largest(made.state, wanted.state),
        }


def _largest(first: SamplerState, second: SamplerState) -> float:
    ours, theirs = state_arrays(first), state_arrays(second)
    return max(float(np.abs(ours[name] - theirs[name]).max()) for name in theirs)


def _differences_of_piano() -> Figures:
    preset = load_preset("piano")
    frames = preset.config.sampling.chunk_frames
    ways = {"captured": {}, "not captured": {"capture": False}, "bfloat16": {"bfloat16": True}}
    return {way: _apart(preset, frames, **options) for way, options in ways.items()}


def _speed(name: str, bfloat16: bool, seconds: float) -> list[Figures] | Figures:
    import torch

    from melnet_music.sampling.cuda.engine import CudaEngine

    preset = load_preset(name, untrained_seed=0)
    material, rows = Material(preset), []
    torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    with closing(CudaEngine(preset, bfloat16=bfloat16)) as engine:
        loaded_s = time.perf_counter() - began
        state = material.primed(engine, material.heard_frames(_PRIMED_CHUNKS))
        for takes in _TAKES:
            _made(engine, state, material, takes, _WARM_UPS)  # captured, and the clock of the card is up
            began = time.perf_counter()
            _made(engine, state, material, takes, 1)
            first_s = time.perf_counter() - began
            chunks = max(_LEAST_CHUNKS, int(seconds / first_s))
            began = time.perf_counter()
            _made(engine, state, material, takes, chunks)
            a_chunk_s = (time.perf_counter() - began) / chunks
            rows.append(
                {
                    "preset": name,
                    "engine": engine.name,
                    "takes": takes,
                    "times_real_time": material.chunk_s / a_chunk_s,
                    "first_chunk_ms": 1e3 * first_s,
                    "loaded_s": loaded_s,
                    "memory_mib": torch.cuda.max_memory_reserved() / 2**20,
                }
            )
    return rows


def _made(engine: Engine, state: SamplerState, material: Material, takes: int, chunks: int) -> None:
    with closing(engine.sampling(state, islice(_chunks(material, takes), chunks))) as making:
        for _ in making:
            pass


def _chunks(material: Material, takes: int) -> Iterator[Chunk]:
    """The same noise for all: what is measured does not hang on it."""
    for chunk in material.take():
        yield chunk._replace(noise=Noise(*(np.repeat(part, takes, 0) for part in chunk.noise)))


def _trace() -> Figures:
    """Milliseconds on the card and calls by kernel, of a few chunks of one take of `piano` that are not captured."""
    import torch

    from melnet_music.sampling.cuda.engine import CudaEngine

    preset = load_preset("piano")
    material = Material(preset)
    with closing(CudaEngine(preset, bfloat16=True, capture=False)) as engine:
        state = material.primed(engine, material.heard_frames(_PRIMED_CHUNKS))
        _made(engine, state, material, 1, _WARM_UPS)
        activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
        with torch.profiler.profile(activities=activities) as profiled:
            _made(engine, state, material, 1, _TRACED_CHUNKS)
    events = sorted(profiled.key_averages(), key=lambda event: -event.self_device_time_total)
    return {
        event.key: {"ms": event.self_device_time_total / 1e3, "calls": event.count}
        for event in events[:_MOST_KERNELS]
        if event.self_device_time_total
    }


if __name__ == "__main__":
    sys.exit(main())
