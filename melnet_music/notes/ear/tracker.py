"""From what is heard of each pitch, frame by frame, to notes that begin and end."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from melnet_music.notes.ear.config import ThresholdConfig
from melnet_music.notes.ear.layout import LOWEST_PITCH, PITCHES
from melnet_music.notes.ear.network import sigmoid

Float32Array = NDArray[np.float32]

_LONG_AGO = -(2**30)
_GROWS_FRAMES = 3
"""For so long after its onset, more evidence may come for a note."""
_SHORTEST_SECONDS = 1e-3
_FURTHEST_FRAMES = 2.0
"""An onset is placed so far from the frame that it was heard in, at most."""


@dataclass(frozen=True)
class HeardNote:
    """A note that was heard. Times are seconds since the stream began."""

    onset_s: float
    end_s: float | None
    """None while it sounds."""
    pitch: int
    velocity: int
    confidence: float
    """How probable it is that a note began there, 0 to 1; less, once it has ended, if it hardly lasted."""


@dataclass(frozen=True, eq=False)
class TrackerState:
    """Where a stream stands. Nothing in it is written to."""

    frame: int
    """The next one."""
    struck: NDArray[np.int64]
    """``[P]``: the frame that each pitch was last struck in."""
    quiet: NDArray[np.int64]
    """``[P]``: for how many frames it has hardly sounded."""
    open: dict[int, HeardNote]
    """What sounds, by pitch."""


def start_tracking() -> TrackerState:
    """Nothing has been heard."""
    return TrackerState(0, np.full(PITCHES, _LONG_AGO, np.int64), np.zeros(PITCHES, np.int64), {})


def track(
    state: TrackerState, outputs: Float32Array, thresholds: ThresholdConfig, frames_per_second: float
) -> tuple[list[HeardNote], TrackerState]:
    """Outputs ``[P, OUTPUTS]`` of one frame; which notes began in it, and which ended."""
    frame, told, sounds = state.frame, list[HeardNote](), dict(state.open)
    probable, sure_s = sigmoid(outputs[:, :2]), thresholds.sure_frames / frames_per_second
    begins = (probable[:, 0] >= thresholds.onset) & (frame - state.struck >= thresholds.again_frames)
    quiet = np.where((probable[:, 1] < thresholds.sounding) & ~begins, state.quiet + 1, 0)
    struck = np.where(begins, frame, state.struck)
    for pitch, note in state.open.items():
        row = pitch - LOWEST_PITCH
        if frame - state.struck[row] < _GROWS_FRAMES and probable[row, 0] > note.confidence:
            sounds[pitch] = replace(note, confidence=float(probable[row, 0]))
        if not begins[row] and quiet[row] >= thresholds.quiet_frames:
            end_s = (frame - thresholds.quiet_frames + 1) / frames_per_second
            told.append(_ended(sounds.pop(pitch), end_s, sure_s))
    for row in np.flatnonzero(begins).tolist():
        pitch = row + LOWEST_PITCH
        shift = float(np.clip(outputs[row, 3], -_FURTHEST_FRAMES, _FURTHEST_FRAMES))
        onset_s = max(0.0, frame + shift) / frames_per_second
        if pitch in sounds:
            told.append(_ended(sounds.pop(pitch), onset_s, sure_s))
        velocity = int(np.clip(np.rint(127.0 * sigmoid(outputs[row, 2])), 1, 127))
        sounds[pitch] = HeardNote(onset_s, None, pitch, velocity, float(probable[row, 0]))
        told.append(sounds[pitch])
    return told, TrackerState(frame + 1, struck, quiet, sounds)


def let_go(state: TrackerState, thresholds: ThresholdConfig, frames_per_second: float) -> list[HeardNote]:
    """What sounds still, as if it ended now."""
    end_s, sure_s = state.frame / frames_per_second, thresholds.sure_frames / frames_per_second
    return [_ended(note, end_s, sure_s) for note in state.open.values()]


def _ended(note: HeardNote, end_s: float, sure_s: float) -> HeardNote:
    length_s = max(end_s - note.onset_s, _SHORTEST_SECONDS)
    return replace(note, end_s=note.onset_s + length_s, confidence=note.confidence * min(1.0, length_s / sure_s))
