"""The preset with its weights, and how fast the engine plays it here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.cli.doctor.check import Check
from bridge.protocol.table import PROPERTIES

if TYPE_CHECKING:
    from melnet_music.instrument.take_speed import TakeSpeed
    from melnet_music.model.preset import Preset

_SPARE = 1.5
"""Times real time: less leaves nothing for other programs."""
_MOST_THREADS = 4
"""That the engine takes by itself."""


def check_preset(name: str) -> tuple[Check, Preset | None]:
    """Whether it can be read, with the preset; None: it cannot."""
    from melnet_music.model.preset import load_preset  # brings pydantic along

    try:
        preset = load_preset(name)
    except (ValueError, OSError) as error:
        advice = "name one that `melnet-music presets` lists, or fetch its files again (git checkout presets)"
        return Check("preset", "fail", str(error), advice), None
    found = f"{preset.name}, {preset.config.sound.sample_rate_hz} Hz, weights {preset.digest}"
    return Check("preset", "ok", found), preset


def check_planning() -> Check:
    """What `plan on` needs besides the preset."""
    from melnet_music.notes.ear.ear import load_ear
    from melnet_music.notes.score.network import ScoreModel

    try:
        load_ear()
        ScoreModel.load()
    except (ValueError, OSError) as error:
        return Check(
            "planning", "warn", str(error), "fetch the files again (git checkout presets); without, `plan` is off"
        )
    return Check("planning", "ok", "ear and score model are there")


def check_engine(preset: str, engine: str, threads: int | None) -> Iterator[Check]:
    """Takes seconds; where the engine was never used before, it compiles first."""
    from melnet_music.instrument.instrument import Instrument

    try:
        instrument = Instrument.load(preset, engine=engine, threads=threads)
        speed = instrument.measure_speed()
    except (ValueError, OSError) as error:
        yield Check("engine", "fail", str(error), "take the default: leave out --engine and --threads")
        return
    cores = os.cpu_count() or 1
    used = threads or min(cores, _MOST_THREADS)
    busy = hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.75 * cores
    yield speed_check(speed, instrument.engine_name, used, cores, busy=busy)
    yield first_sound_check(speed)


def speed_check(speed: TakeSpeed, engine: str, threads: int, cores: int, *, busy: bool) -> Check:
    """Beside real time, and what helps."""
    found = f"{engine} makes {speed.real_time_factor:.1f} s of sound a second, on {threads} of {cores} cores"
    if speed.real_time_factor >= _SPARE:
        return Check("engine speed", "ok", found)
    advice = ["close what else uses the processor"] if busy else []
    if threads < min(cores, _MOST_THREADS):
        advice.append(f"--threads {min(cores, _MOST_THREADS)}")
    if speed.real_time_factor < 1.0:
        found += ": takes start late enough to play without a gap"
        advice.append("fill the wait with `lead`, or take a smaller preset")
    else:
        found += ": little to spare"
        advice.append("leave the machine to the daemon, or take a smaller preset")
    return Check("engine speed", "warn", found, "; ".join(advice))


def first_sound_check(speed: TakeSpeed) -> Check:
    """Beside `ahead`, which must cover it where a take follows notes."""
    default = PROPERTIES["ahead"].default
    assert isinstance(default, float)
    found = f"{1000 * speed.first_sound_seconds:.0f} ms from a trigger to the first sound that is made"
    needed = 1.5 * speed.first_sound_seconds
    if needed > default:
        advice = f"for takes that follow notes set `ahead` to {needed:.2f}, or smaller `chunk_frames`"
        return Check("first sound", "warn", f"{found}: more than `ahead`, {default:g} s, covers well", advice)
    return Check("first sound", "ok", f"{found}; `ahead` may be as small as {needed:.2f} s")


def check_takes_folder(folder: Path) -> Check:
    """Nothing is made."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Check("takes", "fail", f"{there} cannot be written to", "name another folder with --takes")
    return Check("takes", "ok", f"they are written to {folder}")
