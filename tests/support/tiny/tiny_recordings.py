"""Recordings small enough to train and measure on: decaying sine notes, with their notes beside them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 8000


def write_recordings(
    root: Path, splits: dict[str, int], *, seconds: float = 10.0, rate_hz: int = RATE_HZ, with_notes: bool = True
) -> None:
    """So many recordings in each split's folder, as ``make-data`` lays them out: four notes a second, at random."""
    random = np.random.default_rng(0)
    for split, count in splits.items():
        (root / split).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            onsets = np.arange(0.1, seconds - 0.5, 0.25)
            rows = [
                (onset, onset + 0.2, onset + 0.4, int(random.integers(48, 84)), int(random.integers(60, 120)))
                for onset in onsets + random.uniform(0, 0.1, len(onsets))
            ]
            path = root / split / f"{split}-{number}.flac"
            soundfile.write(path, rendered(rows, seconds, rate_hz, random), rate_hz)
            if with_notes:
                with path.with_suffix(".notes.csv").open("w", newline="") as file:
                    table = csv.writer(file)
                    table.writerow(
                        ["onset_s", "release_s", "sounding_end_s", "pitch", "velocity", "channel", "program"]
                    )
                    table.writerows((*row, 0, 0) for row in rows)


def rendered(
    rows: list[tuple[float, float, float, int, int]], seconds: float, rate_hz: int, random: np.random.Generator
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Notes (onset, release, end, pitch, velocity) as decaying tones of twelve partials over a little noise."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    audio = 1e-3 * random.standard_normal(len(time_s))
    for onset, _, end, pitch, velocity in rows:
        span = (time_s >= onset) & (time_s < end)
        since = time_s[span] - onset
        fade = np.minimum(1, np.minimum(since / 0.005, (end - time_s[span]) / 0.02))
        for partial in range(1, 13):
            hz = partial * 440 * 2 ** ((pitch - 69) / 12)
            if hz < rate_hz / 2:
                audio[span] += velocity / 600 / partial * fade * np.exp(-4 * since) * np.sin(2 * np.pi * hz * since)
    return audio.astype(np.float32)
