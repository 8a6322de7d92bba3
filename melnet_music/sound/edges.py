"""The edges of a repainted part: frames that are nearly known, and the way to the level of what follows.

Where a frame's centre lies in kept sound, so does most of its window's weight; for the rest the kept sound is mirrored
at the edge, which goes on at its level and in its pitches. Drawn anew, such frames would seldom be as loud as the sound
that they are to join. A model that was trained for minutes makes too little of what follows: half of the parts that it
draws end 3 dB and more from it, so they are led there over the last 0.2 s.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from melnet_music.model.config import SoundConfig
from melnet_music.sound.limiter import frame_powers
from melnet_music.sound.mel import log_mel

Samples = npt.NDArray[np.float32]

LED_SECONDS = 0.2
_MOST_SOFTER_DB, _MOST_LOUDER_DB = 9.0, 6.0
"""What follows may begin with a note: no swell leads up to it."""
_SILENCE_POWER = 1e-12


def entering_frames(audio: Samples, edge: int, first: int, sound: SoundConfig) -> Samples:
    """Frames from ``first`` to the last that is centred on kept sound: float32 ``[t, M]``; none after too little of it.

    Args:
        audio: float32 ``[n]``, mono from the centre of frame 0 on; all before sample ``edge`` is kept.
    """
    window = sound.window_samples
    if edge < window:
        return np.zeros((0, sound.mel_bins), np.float32)
    last = edge // sound.hop_samples
    begin = max(0, last - 2 * (window // sound.hop_samples)) * sound.hop_samples
    kept = audio[begin:edge]
    frames = log_mel(np.concatenate([kept, kept[: -window - 1 : -1]]), sound)
    return frames[first - begin // sound.hop_samples : last + 1 - begin // sound.hop_samples]


def leaving_frames(audio: Samples, edge: int, stop: int, sound: SoundConfig) -> tuple[Samples, Samples]:
    """Frames from the first that is centred on kept sound to before ``stop``, and the one before them.

    Args:
        audio: as of `entering_frames`; all from sample ``edge`` on is kept.

    Returns:
        float32 ``[t, M]``, none before too little kept sound; and ``[1, M]`` or none: centred in the part, it tells how
        loud the sound is that the part is to join.
    """
    hop, window = sound.hop_samples, sound.window_samples
    first = -(-edge // hop)
    if edge < 2 * window or len(audio) - edge < 2 * window or stop <= first:
        none = np.zeros((0, sound.mel_bins), np.float32)
        return none, none
    begin = (edge - window) // hop * hop
    kept = audio[edge : stop * hop + window]
    mirrored = kept[: edge - begin][::-1]
    frames = log_mel(np.concatenate([mirrored, kept]), sound)
    last = first - begin // hop
    return frames[last : stop - begin // hop], frames[last - 1 : last]


def led_to(frames: Samples, follows: Samples) -> Samples:
    """Log-mel frames ``[t, M]`` led to the level of a frame ``[1, M]``: the last of them has it, within the limits."""
    powers = frame_powers(np.concatenate([frames[-1:], follows])) + _SILENCE_POWER
    missing_db = float(10.0 * np.log10(powers[1] / powers[0]))
    added_db = min(max(missing_db, -_MOST_SOFTER_DB), _MOST_LOUDER_DB) * np.arange(1, len(frames) + 1) / len(frames)
    led: Samples = (frames + added_db[:, None] * (np.log(10.0) / 20.0)).astype(np.float32)
    return led
