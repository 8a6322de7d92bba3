"""What is told of a take: that it began to sound, how far it is, and how it ended."""

from __future__ import annotations

import time

from bridge.audio.output_ring import OutputRing
from bridge.processes.messages import AT_SAMPLE, Report, Sounding
from bridge.protocol.types import Value
from bridge.takes.take import Take
from bridge.takes.take_chain import Successor


def started_report(take: Take, latency_seconds: float) -> Report:
    """Of a take that begins to sound.

    Args:
        latency_seconds: of the output.
    """
    if isinstance(take, Successor):
        return take.entry
    values: list[tuple[str, Value]] = [
        ("waited", time.monotonic() - take.accepted_at),
        ("latency", latency_seconds),
    ]
    if take.line:
        values.append((AT_SAMPLE, take.line.first_sample))
    return Report(take.job.number, "started", tuple(values))


def sounding_report(take: Take, ring: OutputRing, *, over: bool = False) -> Sounding | None:
    """Where a take sounds, or sounded; None: that is not known yet."""
    if not take.output_hz or not take.sounds(ring) or ring.read <= take.sound_from:
        return None
    first = ring.device_time(take.sound_from)
    new_from = ring.device_time(take.origin_count) + round(take.job.lead_seconds * take.output_hz)
    stop = ring.device_time(take.sound_until) if over else None
    return Sounding(take.job.number, first, max(first, new_from), stop)


def progress_report(take: Take, ring: OutputRing) -> Report:
    """Seconds generated and played so far."""
    values = (
        ("generated", take.generated_seconds),
        ("played", take.played_seconds(ring)),
        ("of", take.expected_seconds),
    )
    return Report(take.job.number, "progress", values)


def finished_report(take: Take, ring: OutputRing) -> Report:
    """The last of a take that came to its end."""
    gaps, missing_samples = take.gaps(ring)
    values: list[tuple[str, Value]] = [
        ("take", take.job.number),
        ("seconds", take.generated_seconds),
        ("seed", take.job.seed),
        ("sounded", take.sounds(ring)),
        ("gaps", gaps),
        ("missing_samples", missing_samples),
        ("file", take.file),
    ]
    if take.follows is not None:
        values.append(("follows", take.follows))
    if take.heard_at is not None:
        values.append((AT_SAMPLE, take.heard_at))
    return Report(take.job.number, "finished", tuple(values))
