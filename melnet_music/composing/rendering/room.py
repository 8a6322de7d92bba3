"""Rooms: made impulse responses of a direct sound, some early reflections and a decaying tail.

The direct sound is the first sample, so a room moves no onset. The tail is noise in four bands, each with its own
exponential decay, high bands faster (Moorer 1979, "About this reverberation business").
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, oaconvolve, sosfilt

_BAND_EDGES_HZ = (250.0, 1000.0, 4000.0)
_BAND_DECAYS = (1.15, 1.0, 0.8, 0.5)
"""Reverberation time of each band, over that of the room."""


@dataclass(frozen=True)
class Room:
    """A room: seconds in which its tail falls by 60 dB, energy of all reflections against the direct sound."""

    name: str
    reverberation_s: float
    wet_db: float
    first_reflection_s: float
    seed: int

    @property
    def is_dry(self) -> bool:
        return self.reverberation_s == 0.0


@dataclass(frozen=True)
class RoomKind:
    """What rooms of a kind are drawn from."""

    name: str
    reverberation_s: tuple[float, float]
    wet_db: tuple[float, float]
    first_reflection_s: tuple[float, float]


ROOM_KINDS = {
    kind.name: kind
    for kind in (
        RoomKind("dry", (0.0, 0.0), (-99.0, -99.0), (0.0, 0.0)),
        RoomKind("studio", (0.2, 0.5), (-18.0, -9.0), (0.003, 0.010)),
        RoomKind("chamber", (0.6, 1.1), (-14.0, -6.0), (0.006, 0.020)),
        RoomKind("hall", (1.2, 2.4), (-13.0, -5.0), (0.012, 0.035)),
    )
}


def draw_room(rng: np.random.Generator, shares: dict[str, float]) -> Room:
    """A room of a kind drawn by ``shares`` (kind -> weight)."""
    names = list(shares)
    weight = np.array([shares[name] for name in names])
    kind = ROOM_KINDS[names[int(rng.choice(len(names), p=weight / weight.sum()))]]
    return Room(
        kind.name,
        round(float(rng.uniform(*kind.reverberation_s)), 3),
        round(float(rng.uniform(*kind.wet_db)), 2),
        round(float(rng.uniform(*kind.first_reflection_s)), 4),
        int(rng.integers(2**31)),
    )


def reverberate(audio: NDArray[np.float32], room: Room, rate_hz: int) -> NDArray[np.float32]:
    """The audio [n] as heard in the room, as long as it was."""
    if room.is_dry:
        return audio
    wet: NDArray[np.float64] = oaconvolve(audio.astype(np.float64), impulse_response(room, rate_hz))
    return wet[: len(audio)].astype(np.float32)


def impulse_response(room: Room, rate_hz: int) -> NDArray[np.float64]:
    """The room's response [n] at a sample rate; the direct sound is sample 0, with gain 1."""
    rng = np.random.default_rng(room.seed)
    samples = max(1, round(1.2 * room.reverberation_s * rate_hz))
    time_s = np.arange(samples) / rate_hz
    noise = rng.normal(size=samples)
    tail = np.zeros(samples)
    for sections, ratio in zip(_band_filters(rate_hz), _BAND_DECAYS, strict=True):
        tail += sosfilt(sections, noise) * np.exp(-np.log(1000.0) * time_s / (ratio * room.reverberation_s))
    since_first = np.maximum(time_s - room.first_reflection_s, 0.0)
    tail *= 1.0 - np.exp(-since_first / 0.015)
    early = np.zeros(samples)
    at_s = room.first_reflection_s
    for _ in range(int(rng.integers(6, 14))):
        place = round(at_s * rate_hz)
        if place < samples:
            early[place] += rng.choice((-1.0, 1.0)) * rng.uniform(0.5, 1.0) * np.exp(-at_s / 0.04)
        at_s += rng.exponential(0.006) + 0.0015
    early = sosfilt(butter(1, 5000.0, fs=rate_hz, output="sos"), early)
    wet = _of_energy(tail, 0.6) + _of_energy(early, 0.4)
    response = _of_energy(wet, 10.0 ** (room.wet_db / 10.0))
    response[0] = 1.0
    return response


def _of_energy(signal: NDArray[np.float64], energy: float) -> NDArray[np.float64]:
    total = float(np.sum(np.square(signal)))
    return signal * np.sqrt(energy / total) if total else signal


@cache
def _band_filters(rate_hz: int) -> tuple[NDArray[np.float64], ...]:
    low, middle, high = _BAND_EDGES_HZ
    return (
        butter(2, low, "lowpass", fs=rate_hz, output="sos"),
        butter(1, (low, middle), "bandpass", fs=rate_hz, output="sos"),
        butter(1, (middle, high), "bandpass", fs=rate_hz, output="sos"),
        butter(2, high, "highpass", fs=rate_hz, output="sos"),
    )
