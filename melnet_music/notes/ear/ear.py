"""Hears notes in log-mel frames, as they come."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melnet_music.model.preset import bundled_presets
from melnet_music.notes.ear.config import EarConfig, read_ear_config
from melnet_music.notes.ear.network import EarNetwork, NetworkState
from melnet_music.notes.ear.tracker import HeardNote, TrackerState, let_go, start_tracking, track
from melnet_music.notes.ear.weights import Weights, read_ear_weights
from melnet_music.notes.note_map import Note

CONFIG_FILE = "ear.toml"
WEIGHTS_FILE = "weights.safetensors"
BUNDLED_EAR = "ear"
"""The folder of the ear that comes with the program, beside the presets."""


@dataclass(frozen=True, eq=False)
class EarState:
    """Where a stream stands; can be kept, and gone on from as often as one likes."""

    network: NetworkState
    tracker: TrackerState


class Ear:
    """An ear: what it hears depends on the frames alone, not on how they are cut.

    Holds no stream itself. Allocates: not for an audio callback.
    """

    def __init__(self, config: EarConfig, weights: Weights) -> None:
        self.config = config
        self._network = EarNetwork(config, weights)

    @property
    def lookahead_frames(self) -> int:
        """A note is told with the frame that comes so many after that of its onset."""
        return self.config.network.lookahead_frames

    @property
    def delay_s(self) -> float:
        """From a sound to its note: the look-ahead, and the half of a frame's window that lies after its middle."""
        sound = self.config.sound
        behind = self.lookahead_frames * sound.hop_samples + sound.window_samples - sound.window_samples // 2
        return behind / sound.sample_rate_hz

    def start(self) -> EarState:
        """A stream, with silence before it."""
        return EarState(self._network.start(), start_tracking())

    def hear(self, state: EarState, frames: NDArray[np.float32]) -> tuple[list[HeardNote], EarState]:
        """Go on with log-mel frames ``[T, M]`` of the ear's sound settings, any number of them.

        Returns:
            Notes as they begin (``end_s`` is None) and once more as they end, in that order; and where the stream
            stands now.

        Raises:
            ValueError: the frames have another shape.
        """
        bins = self.config.sound.mel_bins
        if frames.ndim != 2 or frames.shape[1] != bins:
            raise ValueError(f"frames have shape {frames.shape}, expected [T, {bins}]: those of the ear's own sound")
        told = list[HeardNote]()
        network, tracker = state.network, state.tracker
        for frame in np.asarray(frames, np.float32):
            outputs, network = self._network.step(network, frame)
            if outputs is not None:
                now, tracker = track(tracker, outputs, self.config.thresholds, self.config.sound.frames_per_second)
                told += now
        return told, EarState(network, tracker)

    def finish(self, state: EarState) -> list[HeardNote]:
        """End a stream: what its last frames bring, silence after them, and all that sounds still ends."""
        sound = self.config.sound
        silence = np.full((self.lookahead_frames, sound.mel_bins), np.log(sound.magnitude_floor), np.float32)
        told, state = self.hear(state, silence)
        return told + let_go(state.tracker, self.config.thresholds, sound.frames_per_second)

    def hear_all(self, frames: NDArray[np.float32]) -> list[HeardNote]:
        """The notes of a whole recording that it believes in, in order of onset, then pitch, each once."""
        told, state = self.hear(self.start(), frames)
        return self.believed([*told, *self.finish(state)])

    def believed(self, told: Iterable[HeardNote]) -> list[HeardNote]:
        """Of what `hear` and `finish` told, the notes that have ended and are still as probable as it asks of a note.

        In order of onset, then pitch.
        """
        return believed_notes(told, self.config.thresholds.onset)


def believed_notes(told: Iterable[HeardNote], confidence: float = 0.0) -> list[HeardNote]:
    """Notes that have ended, at least so probable; in order of onset, then pitch."""
    ended = (note for note in told if note.end_s is not None and note.confidence >= confidence)
    return sorted(ended, key=lambda note: (note.onset_s, note.pitch))


def as_notes(heard: Iterable[HeardNote]) -> list[Note]:
    """Ended notes as the rest of the program knows them."""
    return [Note(note.onset_s, note.end_s, note.pitch, note.velocity) for note in heard if note.end_s is not None]


def bundled_ear() -> Path | None:
    """The folder of the ear that comes with the program; None where it was left out."""
    folder = bundled_presets() / BUNDLED_EAR
    return folder if (folder / WEIGHTS_FILE).is_file() else None


def load_ear(folder: Path | None = None) -> Ear:
    """The ear in a folder, or the one that comes with the program.

    Raises:
        ValueError: there is none, or a file of it is wrong; the message names it.
    """
    folder = folder or bundled_ear()
    if folder is None:
        raise ValueError("this program came without the weights of an ear: melnet-music train-ear DIR makes some")
    config = read_ear_config(folder / CONFIG_FILE)
    return Ear(config, read_ear_weights(folder / WEIGHTS_FILE, config))
