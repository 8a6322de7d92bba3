"""Audio on a device to log-mel frames there."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from melnet_music.model.config import SoundConfig
from melnet_music.sound.mel import analysis_window, mel_filterbank

_FRAMES_AT_ONCE = 4096


class DeviceMel:
    """`mel.log_mel` on a device; the same frames, but for the last bits of float32 (TF32, where torch may use it)."""

    def __init__(self, sound: SoundConfig, device: torch.device) -> None:
        self._sound = sound
        self._window = torch.from_numpy(np.array(analysis_window(sound.window_samples))).to(device)
        self._filters = torch.from_numpy(np.array(mel_filterbank(sound).T)).to(device)

    def __call__(self, audio: Tensor) -> Tensor:
        """Of float32 ``[n]`` on the device, float32 ``[1 + n // hop, M]``."""
        sound = self._sound
        before = sound.window_samples // 2
        padded = F.pad(audio, (before, sound.window_samples - before))
        windows = padded.unfold(0, sound.window_samples, sound.hop_samples)[: 1 + len(audio) // sound.hop_samples]
        frames = []
        for first in range(0, len(windows), _FRAMES_AT_ONCE):
            windowed = windows[first : first + _FRAMES_AT_ONCE] * self._window
            magnitude = torch.fft.rfft(windowed, sound.n_fft).abs()
            frames.append(torch.log(magnitude @ self._filters + sound.magnitude_floor))
        return torch.cat(frames)
