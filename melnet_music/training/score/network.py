"""The score model in torch, as it is trained; `melnet_music.notes.score.network` computes the same, note by note.

A decoder-only transformer (Vaswani et al. 2017) with one step a note. Its positions are musical time: half of each
head is turned (Su et al. 2021, RoFormer) by bars, half by quarters, so that "a bar ago" is one angle at any tempo or
meter. The next note is drawn in four parts, each given those before it: when it begins, which key, how long, how loud.
When and which are scored candidate by candidate, each by what lay at its place 1, 2, 4, 8 and 16 bars ago: a way to
take up again what was played, as pointer networks do (Vinyals et al. 2015).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from melnet_music.notes.score.layout import (
    EMBEDDINGS,
    HEAD_SIZE,
    INTERVALS,
    PITCH_PARTS,
    TIME_PARTS,
    WINDOW,
    rotation_rates,
)
from melnet_music.notes.score.tokens import HORIZON, LENGTHS, VELOCITY_CLASSES
from melnet_music.training.score.sequences import Rows

_FORBIDDEN = -1e9


@dataclass(frozen=True)
class ScoreShape:
    """How large a score model is."""

    hidden: int = 96
    layers: int = 3
    inner: int = 288
    """Of the feed-forward part of a layer."""

    def __post_init__(self) -> None:
        if self.hidden % HEAD_SIZE or min(self.hidden, self.layers, self.inner) < 1:
            raise ValueError(f"{self}: want a hidden size that is a multiple of {HEAD_SIZE}, and layers")


@dataclass(frozen=True, eq=False)
class Losses:
    """Nats in sum over the targets of a batch, and how many there were."""

    time: Tensor
    pitch: Tensor
    length: Tensor
    velocity: Tensor
    notes: int

    @property
    def total(self) -> Tensor:
        return self.time + self.pitch + self.length + self.velocity


class _Norm(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, (x.shape[-1],), self.weight, 1e-5)


class _Layer(nn.Module):
    def __init__(self, shape: ScoreShape) -> None:
        super().__init__()
        self.attention_norm = _Norm(shape.hidden)
        self.into = nn.Linear(shape.hidden, 3 * shape.hidden, bias=False)
        self.out = nn.Linear(shape.hidden, shape.hidden, bias=False)
        self.inner_norm = _Norm(shape.hidden)
        self.up = nn.Linear(shape.hidden, shape.inner)
        self.down = nn.Linear(shape.inner, shape.hidden)

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor], seen: Tensor, dropout: float) -> Tensor:
        B, T, hidden = x.shape
        heads = hidden // HEAD_SIZE
        mixed = self.into(self.attention_norm(x)).view(B, T, 3, heads, HEAD_SIZE).permute(2, 0, 3, 1, 4)
        query, key, value = turned(mixed[0], *angles), turned(mixed[1], *angles), mixed[2]
        read = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        read = self.out(read.transpose(1, 2).reshape(B, T, hidden))
        x = x + functional.dropout(read, dropout, self.training)
        read = self.down(functional.silu(self.up(self.inner_norm(x))))
        return x + functional.dropout(read, dropout, self.training)


def turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Pairs of a head turned by the angles of their place in time."""
    first, second = x.chunk(2, -1)
    return torch.cat((first * cosine - second * sine, first * sine + second * cosine), -1)


class ScoreNetwork(nn.Module):
    """The score model; see the module."""

    def __init__(self, shape: ScoreShape, dropout: float = 0.0) -> None:
        super().__init__()
        hidden = shape.hidden
        self.shape, self.dropout = shape, dropout
        self.embed = nn.ModuleDict({name: nn.Embedding(count, hidden) for name, count in EMBEDDINGS.items()})
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))
        self.norm = _Norm(hidden)
        self.time = nn.Linear(hidden, sum(TIME_PARTS.values()))
        self.pitch_place = nn.ModuleDict(
            {name: nn.Embedding(EMBEDDINGS[name], hidden) for name in ("phase", "quarter", "compound", "left", "since")}
        )
        self.pitch_chroma = nn.Linear(12, hidden, bias=False)
        self.pitch_from = nn.Linear(hidden, hidden)
        self.pitch_mix = nn.Linear(hidden, hidden)
        self.pitch_norm = _Norm(hidden)
        self.pitch = nn.Linear(hidden, sum(PITCH_PARTS.values()))
        self.length_pitch = nn.Embedding(88, hidden)
        self.length_from = nn.Linear(hidden, hidden)
        self.length_mix = nn.Linear(hidden, hidden)
        self.length_norm = _Norm(hidden)
        self.length = nn.Linear(hidden, len(LENGTHS) + 9)
        self.length_table = nn.Parameter(torch.zeros(9, len(LENGTHS) + 1, len(LENGTHS)))
        self.velocity = nn.Linear(hidden, VELOCITY_CLASSES)
        self.rates: Tensor
        self.register_buffer("rates", torch.from_numpy(rotation_rates()), persistent=False)
        self._start()

    def _start(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.1)
        for layer in self.layers:
            assert isinstance(layer, _Layer)
            for end in (layer.out, layer.down):
                nn.init.normal_(end.weight, std=0.5 / math.sqrt(self.shape.hidden * 2 * self.shape.layers))
        for head in (self.time, self.pitch, self.length, self.velocity):
            nn.init.normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)
        with torch.no_grad():  # what was there before is likely to come again: a start that the data then correct
            self.length_table[:, 1:] = 1.0 * torch.eye(len(LENGTHS))

    def trunk(self, rows: dict[str, Tensor]) -> Tensor:
        """``[B, T, hidden]`` of the tokens alone."""
        inputs = {name: rows[name] for name in ("kind", "pitch", "length", "velocity", "since", "copied", "chord")}
        inputs["bars_left"] = rows["bars_left"]
        for index, name in enumerate(("phase", "quarter", "compound", "left")):
            inputs[name] = rows["places"][..., index]
        x = torch.stack([self.embed[name](index) for name, index in inputs.items()]).sum(0)
        T = x.shape[1]
        turns = (rows["times"][:, :, :, None] * self.rates).flatten(2)[:, None]  # B, 1, T, pairs
        angles = torch.cos(turns), torch.sin(turns)
        age = torch.arange(T)[:, None] - torch.arange(T)
        seen = (age >= 0) & ((age < WINDOW) | (rows["kind"] == 1)[:, None, None, :])
        for layer in self.layers:
            x = layer(x, angles, seen, self.dropout)
        normed: Tensor = self.norm(x)
        return normed

    def time_logits(self, h: Tensor, rows: dict[str, Tensor]) -> Tensor:
        """``[N, HORIZON + 1]`` of ``h [N, hidden]``; the last: nothing begins within the horizon."""
        part = dict(zip(TIME_PARTS, self.time(h).split(list(TIME_PARTS.values()), -1), strict=True))
        places = rows["time_places"]
        logits = part["since"][:, :HORIZON]
        for index, name in enumerate(("phase", "quarter", "compound", "left")):
            logits = logits + part[name].gather(-1, places[..., index])
        logits = logits + part["bars"].gather(-1, rows["time_bars"])
        logits = logits + part["back"].gather(-1, rows["time_back"]) + part["ahead"].gather(-1, rows["time_ahead"])
        beyond = torch.arange(HORIZON) >= rows["time_limit"][:, None]
        return torch.cat((logits.masked_fill(beyond, _FORBIDDEN), part["since"][:, HORIZON:]), -1)

    def pitch_state(self, h: Tensor, rows: dict[str, Tensor], since: Tensor) -> Tensor:
        """``[N, hidden]``: what follows, once it is known when the next note begins."""
        x = self.pitch_from(h) + self.pitch_place["since"](since) + self.pitch_chroma(rows["chroma"])
        for index, name in enumerate(("phase", "quarter", "compound", "left")):
            x = x + self.pitch_place[name](rows["target_places"][..., index])
        state: Tensor = self.pitch_norm(h + self.pitch_mix(functional.silu(x)))
        return state

    def pitch_logits(self, state: Tensor, rows: dict[str, Tensor]) -> Tensor:
        """``[N, 88]``."""
        part = dict(zip(PITCH_PARTS, self.pitch(state).split(list(PITCH_PARTS.values()), -1), strict=True))
        keys = torch.arange(88)
        logits = part["key"] + part["chroma"] * torch.log1p(rows["chroma"])[:, (keys + 9) % 12]
        for name in ("back", "soon", "ahead", "sounds"):
            logits = logits + part[name].gather(-1, rows[f"pitch_{name}"])
        for name, other in (("from_last", rows["last_pitch"]), ("from_bass", rows["last_bass"])):
            interval = keys - other[:, None]
            known = (interval.abs() <= INTERVALS) & (other < 88)[:, None]
            logits = logits + part[name].gather(-1, torch.where(known, interval + INTERVALS, 2 * INTERVALS + 1))
        allowed: Tensor = logits.masked_fill(keys < rows["lowest"][:, None], _FORBIDDEN)
        return allowed

    def length_state(self, state: Tensor, pitch: Tensor) -> Tensor:
        """``[N, hidden]``: what follows, once the key is known too."""
        x = self.length_from(state) + self.length_pitch(pitch)
        known: Tensor = self.length_norm(state + self.length_mix(functional.silu(x)))
        return known

    def length_logits(self, state: Tensor, rows: dict[str, Tensor]) -> Tensor:
        """``[N, classes of lengths]``."""
        own, trust = self.length(state).split((len(LENGTHS), 9), -1)
        before = self.length_table[torch.arange(9), rows["lengths"]]  # N, 9, classes
        mixed: Tensor = own + torch.einsum("nk,nkc->nc", trust, before)
        return mixed

    def losses(self, rows: dict[str, Tensor]) -> Losses:
        """Over all targets of a batch ``[B, T, ...]``."""
        h = self.trunk(rows).flatten(0, 1)
        flat = {name: value.flatten(0, 1) for name, value in rows.items()}
        timed = flat["next_time"] >= 0
        asked = {name: value[timed] for name, value in flat.items()}
        h = h[timed]
        time = functional.cross_entropy(self.time_logits(h, asked), asked["next_time"], reduction="sum")
        noted = asked["next_pitch"] >= 0
        asked, h = {name: value[noted] for name, value in asked.items()}, h[noted]
        state = self.pitch_state(h, asked, asked["next_time"])
        pitch = functional.cross_entropy(self.pitch_logits(state, asked), asked["next_pitch"], reduction="sum")
        state = self.length_state(state, asked["next_pitch"])
        length = functional.cross_entropy(self.length_logits(state, asked), asked["next_length"], reduction="sum")
        velocity = functional.cross_entropy(
            self.velocity(state), asked["next_velocity"], reduction="sum", ignore_index=-1
        )
        return Losses(time, pitch, length, velocity, len(h))


def tensors_of(rows: Rows) -> dict[str, Tensor]:
    """Rows as tensors: numbers of things as int64, all else as float32."""

    def tensor(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array if array.dtype == np.float32 else array.astype(np.int64))

    return {name: tensor(array) for name, array in vars(rows).items()}
