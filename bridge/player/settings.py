"""What the player process is started with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

INSTRUMENT_FACTORY = "melnet_music.instrument.instrument:Instrument.load"


@dataclass(frozen=True)
class PlayerSettings:
    """Names of the shared memory to attach to, and how the instrument is made."""

    output_ring: str
    input_ring: str
    prompt_memory: str
    tape_memory: str
    loop_memory: str
    engine: str
    threads: int | None
    takes_folder: Path
    instrument_factory: str = INSTRUMENT_FACTORY
    """``module:callable`` that takes a preset, ``engine=`` and ``threads=`` and returns an instrument; the module
    also has its ``TakeRequest``."""
