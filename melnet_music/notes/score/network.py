"""The score model as it plays: note by note, with keys and values kept; the same as it was trained, in numpy.

The network itself is described in `melnet_music.training.score.network`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melnet_music.model.preset import Weights, bundled_presets, read_weights
from melnet_music.notes.score.kernels import read_token, sum_pitch_parts, sum_time_parts
from melnet_music.notes.score.layout import (
    EMBEDDINGS,
    HEAD_SIZE,
    INTERVALS,
    PITCH_PARTS,
    TIME_PARTS,
    WINDOW,
    rotation_rates,
)
from melnet_music.notes.score.tokens import LENGTHS, VELOCITY_CLASSES

Floats = NDArray[np.float32]
FORBIDDEN = np.float32(-1e9)
_PLACES = ("phase", "quarter", "compound", "left")
_LAYER_PARTS = (
    "attention_norm.weight", "into.weight", "out.weight", "inner_norm.weight", "up.weight", "up.bias", "down.weight",
    "down.bias",
)  # fmt: skip
"""In the order of `read_token`."""


class KeptTokens:
    """Keys and values of the tokens so far; copyable, and cut back by setting ``count``.

    Attributes:
        future: the tokens (first, after the last) that tell a known future: they are seen from everywhere after them.
    """

    def __init__(self, layers: int, hidden: int) -> None:
        self.keys: Floats = np.zeros((layers, WINDOW, hidden), np.float32)
        self.values: Floats = np.zeros((layers, WINDOW, hidden), np.float32)
        self.count = 0
        self.future = (0, 0)

    def copy(self) -> KeptTokens:
        """One that goes on on its own."""
        other = object.__new__(KeptTokens)
        other.keys, other.values = self.keys.copy(), self.values.copy()
        other.count, other.future = self.count, self.future
        return other

    def forget(self, tokens: int) -> None:
        """Drop the first tokens."""
        self.keys = np.ascontiguousarray(self.keys[:, tokens:])
        self.values = np.ascontiguousarray(self.values[:, tokens:])
        self.count -= tokens

    def reserve(self) -> None:
        """Room for one token more."""
        if self.count == self.keys.shape[1]:
            more = ((0, 0), (0, WINDOW), (0, 0))
            self.keys, self.values = np.pad(self.keys, more), np.pad(self.values, more)


class ScoreModel:
    """Weights that play. Holds no state; may be shared."""

    def __init__(self, weights: Weights, source: str = "the score model's weights") -> None:
        """
        Raises:
            ValueError: a weight is missing, has another shape, or is not finite.
        """
        hidden = weights["norm.weight"].shape[0] if "norm.weight" in weights else 0
        layers = sum(name.endswith(".into.weight") for name in weights)
        inner = weights["layers.0.up.bias"].shape[0] if "layers.0.up.bias" in weights else 0
        wanted = weight_shapes(hidden, layers, inner)
        for name, shape in wanted.items():
            if name not in weights or weights[name].shape != shape:
                found = weights[name].shape if name in weights else "nothing"
                raise ValueError(f"{source}: {name} has {found}, want {shape}; train it again with train-score")
            if not np.isfinite(weights[name]).all():
                raise ValueError(f"{source}: {name} holds values that are not finite")
        self.hidden, self.layers = hidden, layers
        self._weights = {name: np.ascontiguousarray(array, np.float32) for name, array in weights.items()}
        self._embed = {name: self._weights[f"embed.{name}.weight"] for name in EMBEDDINGS}
        self._places = {name: self._weights[f"pitch_place.{name}.weight"] for name in (*_PLACES, "since")}
        self._time_edges = np.cumsum([0, *TIME_PARTS.values()])
        self._pitch_edges = np.cumsum([0, *PITCH_PARTS.values()])
        self._rates = rotation_rates().astype(np.float64)
        self._layers = [self._stacked(name) for name in _LAYER_PARTS]

    @classmethod
    def load(cls, path: Path | None = None) -> ScoreModel:
        """That of a file; none given: the one that comes with the program.

        Raises:
            ValueError: it cannot be read, or is no score model.
        """
        path = path or bundled_presets() / "score" / "weights.safetensors"
        return cls(read_weights(path), str(path))

    def start(self) -> KeptTokens:
        """No token yet."""
        return KeptTokens(self.layers, self.hidden)

    def step(self, kept: KeptTokens, token: dict[str, int], bars: float, quarters: float) -> Floats:
        """Read one token; returns ``[hidden]``, from which what follows is drawn.

        Args:
            token: a value for each of `EMBEDDINGS`.
            bars, quarters: when it is, since any time that stays the same.
        """
        kept.reserve()
        x = np.sum([self._embed[name][value] for name, value in token.items()], axis=0)
        angles = (np.array(((bars,), (quarters,))) * self._rates).ravel()
        now = kept.count
        first = max(0, now - WINDOW + 1)
        future_begin, future_end = kept.future
        kept.count += 1
        return read_token(
            x, np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32), kept.keys, kept.values, now,
            first, future_begin, min(future_end, first), HEAD_SIZE, self._weights["norm.weight"],
            *self._layers,
        )  # fmt: skip

    def time_logits(
        self,
        h: Floats,
        back: NDArray[np.uint8],
        ahead: NDArray[np.uint8],
        places: NDArray[np.uint8],
        bars_on: NDArray[np.uint8],
    ) -> Floats:
        """``[HORIZON + 1]``: when the next note begins, see `look_at_times`; last: not within the horizon."""
        logits = self._weights["time.weight"] @ h + self._weights["time.bias"]
        return sum_time_parts(logits, self._time_edges, back, ahead, places, bars_on)

    def pitch_state(self, h: Floats, since: int, places: tuple[int, ...], chroma: Floats) -> Floats:
        """``[hidden]``: what follows, once it is known when the next note begins."""
        w = self._weights
        x = w["pitch_from.weight"] @ h + w["pitch_from.bias"] + self._places["since"][since]
        x += w["pitch_chroma.weight"] @ chroma
        for name, place in zip(_PLACES, places, strict=True):
            x += self._places[name][place]
        return _normed(h + w["pitch_mix.weight"] @ _silu(x) + w["pitch_mix.bias"], w["pitch_norm.weight"])

    def pitch_logits(
        self,
        state: Floats,
        seen: dict[str, NDArray[np.uint8]],
        chroma: Floats,
        last_pitch: int,
        last_bass: int,
    ) -> Floats:
        """``[88]``: which key. ``seen``: back, soon, ahead and sounds of `look_at_pitches`."""
        logits = self._weights["pitch.weight"] @ state + self._weights["pitch.bias"]
        return sum_pitch_parts(
            logits, self._pitch_edges, chroma, seen["back"], seen["soon"], seen["ahead"], seen["sounds"], last_pitch,
            last_bass, INTERVALS,
        )  # fmt: skip

    def length_state(self, state: Floats, pitch: int) -> Floats:
        """``[hidden]``: what follows, once the key is known too."""
        w = self._weights
        x = w["length_from.weight"] @ state + w["length_from.bias"] + w["length_pitch.weight"][pitch]
        return _normed(state + w["length_mix.weight"] @ _silu(x) + w["length_mix.bias"], w["length_norm.weight"])

    def length_logits(self, state: Floats, lengths: NDArray[np.uint8]) -> Floats:
        """``[classes of lengths]``; ``lengths [9]``: what `look_at_pitches` found for the key."""
        logits = self._weights["length.weight"] @ state + self._weights["length.bias"]
        own, trust = logits[: len(LENGTHS)], logits[len(LENGTHS) :]
        mixed: Floats = own + trust @ self._weights["length_table"][np.arange(9), lengths]
        return mixed

    def velocity_logits(self, state: Floats) -> Floats:
        """``[classes of velocities]``."""
        logits: Floats = self._weights["velocity.weight"] @ state + self._weights["velocity.bias"]
        return logits

    def _stacked(self, name: str) -> Floats:
        """``[layers, ...]``; matrices with their inputs first."""
        parts = [self._weights[f"layers.{number}.{name}"].T for number in range(self.layers)]
        return np.ascontiguousarray(np.stack(parts))  # rows side by side, as the kernel reads them


def weight_shapes(hidden: int, layers: int, inner: int) -> dict[str, tuple[int, ...]]:
    """The names and shapes of all weights of a size."""
    places = (*_PLACES, "since")
    shapes: dict[str, tuple[int, ...]] = {f"embed.{name}.weight": (n, hidden) for name, n in EMBEDDINGS.items()}
    for number in range(max(layers, 1)):
        layer = f"layers.{number}."
        shapes |= {f"{layer}{name}.weight": (hidden,) for name in ("attention_norm", "inner_norm")}
        shapes |= {f"{layer}into.weight": (3 * hidden, hidden), f"{layer}out.weight": (hidden, hidden)}
        shapes |= {f"{layer}up.weight": (inner, hidden), f"{layer}up.bias": (inner,)}
        shapes |= {f"{layer}down.weight": (hidden, inner), f"{layer}down.bias": (hidden,)}
    shapes |= {f"pitch_place.{name}.weight": (EMBEDDINGS[name], hidden) for name in places}
    shapes |= {f"{name}.weight": (hidden,) for name in ("norm", "pitch_norm", "length_norm")}
    for name in ("pitch_from", "pitch_mix", "length_from", "length_mix"):
        shapes |= {f"{name}.weight": (hidden, hidden), f"{name}.bias": (hidden,)}
    shapes |= {"pitch_chroma.weight": (hidden, 12), "length_pitch.weight": (88, hidden)}
    shapes |= {"length_table": (9, len(LENGTHS) + 1, len(LENGTHS))}
    outputs = {
        "time": sum(TIME_PARTS.values()),
        "pitch": sum(PITCH_PARTS.values()),
        "length": len(LENGTHS) + 9,
        "velocity": VELOCITY_CLASSES,
    }
    for name, size in outputs.items():
        shapes |= {f"{name}.weight": (size, hidden), f"{name}.bias": (size,)}
    return shapes


def _normed(x: Floats, weight: Floats) -> Floats:
    normed: Floats = x * (weight / np.sqrt(np.float32(x @ x / len(x) + 1e-5)))
    return normed


def _silu(x: Floats) -> Floats:
    with np.errstate(over="ignore"):
        smooth: Floats = x / (1 + np.exp(-x))
    return smooth
