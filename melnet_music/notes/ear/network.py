"""The ear's network, stepped frame by frame: numpy alone, the state a value.

After "Onsets and Frames" (Hawthorne et al. 2018, arXiv 1710.11153), made causal: what is around the partials of each
pitch, what the others say of it, a gated memory (GRU) a pitch, and the others again. All pitches share their weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melnet_music.notes.ear.config import EarConfig
from melnet_music.notes.ear.layout import PITCHES, intervals, places
from melnet_music.notes.ear.weights import Weights

Float32Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class NetworkState:
    """Where a stream stands. The arrays are not written to, so states can be shared and kept."""

    frames: Float32Array
    """The last frames heard, normalised: ``[context - 1, M]``."""
    memory: Float32Array
    """``[P, H]``."""
    missing: int
    """Frames still needed before there is a first output."""


class EarNetwork:
    """Weights, and the steps from frames to outputs."""

    def __init__(self, config: EarConfig, weights: Weights) -> None:
        self.config = config
        below, self._towards = places(config.sound)
        self._looked_at = np.stack([below, below + 1])
        self._weights = {name: np.ascontiguousarray(array.T) for name, array in weights.items()}
        self._told, self._told_again = (
            np.ascontiguousarray(weights[name][:, intervals()]) for name in ("told", "told_again")
        )
        self._pitch = weights["pitch"]

    def start(self) -> NetworkState:
        """As if silence had been before."""
        sound, net = self.config.sound, self.config.network
        silence = np.full((net.context_frames - 1, sound.mel_bins), np.log(sound.magnitude_floor), np.float32)
        return NetworkState(
            self._normalised(silence), np.zeros((PITCHES, net.memory), np.float32), net.lookahead_frames
        )

    def step(self, state: NetworkState, frame: Float32Array) -> tuple[Float32Array | None, NetworkState]:
        """One log-mel frame ``[M]``; the outputs ``[P, OUTPUTS]`` of the frame `lookahead_frames` before, if any."""
        frames = np.concatenate([state.frames, self._normalised(frame)[None]])
        if state.missing:
            return None, NetworkState(frames[1:], state.memory, state.missing - 1)
        weights = self._weights
        overview = np.maximum(self._linear("overview", frames.reshape(-1)), 0.0)
        below, above = frames[:, self._looked_at[0]], frames[:, self._looked_at[1]]
        looked = below + (above - below) * self._towards
        spectrum = looked.transpose(1, 0, 2).reshape(PITCHES, -1) @ weights["spectrum.weight"]
        seen = np.maximum(spectrum + (self._pitch + self._linear("overview_out", overview)), 0.0)
        mixed = np.maximum(self._linear("mix", self._with_others(seen, "tell", self._told)), 0.0)
        memory = self._remembered(mixed, state.memory)
        judged = np.maximum(self._linear("judge", self._with_others(memory, "tell_again", self._told_again)), 0.0)
        return self._linear("outlet", judged), NetworkState(frames[1:], memory, 0)

    def _normalised(self, frames: Float32Array) -> Float32Array:
        normalised: Float32Array = (frames - self._weights["mean"]) / self._weights["deviation"]
        return normalised

    def _linear(self, name: str, values: Float32Array) -> Float32Array:
        product: Float32Array = values @ self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return product

    def _with_others(self, values: Float32Array, tell: str, told: Float32Array) -> Float32Array:
        by_channel = self._linear(tell, values).T
        heard = np.matmul(by_channel[:, None, :], told)[:, 0]
        return np.concatenate([values, heard.T], 1)

    def _remembered(self, mixed: Float32Array, memory: Float32Array) -> Float32Array:
        """A step of a gated recurrent unit (Cho et al. 2014), the gates in torch's order."""
        weights, width = self._weights, memory.shape[1]
        new = mixed @ weights["memory.weight_ih_l0"] + weights["memory.bias_ih_l0"]
        old = memory @ weights["memory.weight_hh_l0"] + weights["memory.bias_hh_l0"]
        gates = sigmoid(new[:, : 2 * width] + old[:, : 2 * width])
        reset, keep = gates[:, :width], gates[:, width:]
        candidate = np.tanh(new[:, 2 * width :] + reset * old[:, 2 * width :])
        kept: Float32Array = candidate + keep * (memory - candidate)
        return kept


def sigmoid(logits: Float32Array) -> Float32Array:
    """1 / (1 + exp(-x)), without overflow."""
    half = np.float32(0.5)
    share: Float32Array = half + half * np.tanh(half * logits)
    return share
