"""A start from nothing: how soon a fresh process makes sound, and how much memory that takes.

Run as a module, this is the fresh process: it imports, loads a preset, makes a chunk of sound, and says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class FreshStart:
    """Times since the process was started, the interpreter's own start included."""

    imported_s: float
    loaded_s: float
    sounded_s: float
    """The first chunk of sound was ready."""
    peak_memory_mib: float


def measure_start(preset: str, engine: str, threads: int | None, environment: Mapping[str, str]) -> FreshStart:
    """Start one; ``environment`` is added to this process's own.

    Raises:
        RuntimeError: the process failed; the message is what it wrote.
    """
    command = [sys.executable, "-m", __name__, preset, engine, *([] if threads is None else [str(threads)])]
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as process:
        assert process.stdout
        reached = [(line, time.perf_counter() - started) for line in process.stdout]
        _, errors = process.communicate()
    if process.returncode or len(reached) != 3:
        raise RuntimeError(f"a fresh process with preset {preset} and engine {engine} failed: {errors.strip()[-2000:]}")
    (_, imported_s), (_, loaded_s), (last, sounded_s) = reached
    return FreshStart(imported_s, loaded_s, sounded_s, json.loads(last)["peak_memory_mib"])


def _start(preset: str, engine: str, threads: int | None) -> None:
    from melnet_music.bench.memory import peak_memory_mib
    from melnet_music.instrument.instrument import Instrument
    from melnet_music.instrument.take_request import TakeRequest

    _tell(reached="imported")
    instrument = Instrument.load(preset, engine=engine, threads=threads)
    _tell(reached="loaded")
    blocks = instrument.generation(TakeRequest(seconds=2 * instrument.chunk_seconds, seed=0))
    next(block for block in blocks if len(block))
    _tell(reached="sounded", peak_memory_mib=peak_memory_mib())


def _tell(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _start(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None)
