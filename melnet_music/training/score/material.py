"""Where stretches to train on come from: works composed as long as the training runs, and scores of files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from melnet_music.composing.collection import Split
from melnet_music.training.score.scores import (
    Score,
    compose_score,
    read_scores,
    split_of_composed,
    split_of_score,
)
from melnet_music.training.score.sequences import Rows, Stretch, draw_stretch, empty_rows, write_rows

KINDS = ("piano", "music")
_SHARES = {"piano": 0.35, "music": 0.25}
"""Of all sequences; the rest is from files, where there are any."""
_SHORTENED_SHARE = 0.08
"""Of the composed works in 4/4 that become 7/8."""
_POOL = 256
"""Composed works of a kind that are at hand at most."""


@dataclass(frozen=True, eq=False)
class ScoreFiles:
    """Scores of files by split."""

    train: list[list[Score]]
    """By file."""
    valid: list[Score]
    test: list[Score]


def read_score_files(paths: Sequence[Path]) -> ScoreFiles:
    """
    Raises:
        ValueError: a file is not one of scores, or none of its scores is to be trained on.
    """
    files = ScoreFiles([], [], [])
    for path in paths:
        train: list[Score] = []
        for score in read_scores(path):
            split = split_of_score(score.name)
            {"train": train, "valid": files.valid, "test": files.test}[split].append(score)
        if not train:
            raise ValueError(f"{path} holds no score to train on: give files of more composers or works")
        files.train.append(train)
    return files


def composed_works(kind: str, seed: int, works: int, split: Split) -> list[Score]:
    """The first composed works of a collection that are of a split."""
    numbers = (number for number in count() if split_of_composed(kind, seed, number) == split)
    return [compose_score(kind, seed, next(numbers)) for _ in range(works)]


class ScoreMaterial:
    """Draws batches; the same from the same seed and files."""

    def __init__(self, files: ScoreFiles, seed: int, rng: np.random.Generator, first_works: int) -> None:
        self._files, self._seed, self._rng = files.train, seed, rng
        self._numbers: dict[str, Iterator[int]] = {kind: self._training_numbers(kind) for kind in KINDS}
        self._pools = {kind: [self._compose(kind) for _ in range(first_works)] for kind in KINDS}
        self._weights = [np.array([len(score) for score in scores], float) for scores in self._files]

    def _training_numbers(self, kind: str) -> Iterator[int]:
        return (number for number in count() if split_of_composed(kind, self._seed, number) == "train")

    def _compose(self, kind: str) -> Score:
        shortened = bool(self._rng.random() < _SHORTENED_SHARE)
        return compose_score(kind, self._seed, next(self._numbers[kind]), shorten_bars=shortened)

    def renew(self) -> None:
        """Compose one work more; where there are enough, in place of an old one."""
        kind = KINDS[int(self._rng.integers(len(KINDS)))]
        pool = self._pools[kind]
        if len(pool) >= _POOL:
            pool.pop(int(self._rng.integers(len(pool))))
        pool.append(self._compose(kind))

    def batch(self, sequences: int, steps: int) -> Rows:
        """``[sequences, steps]`` rows."""
        rows = empty_rows(sequences, steps)
        for index in range(sequences):
            score = self._draw()
            write_rows(rows, index, score, draw_stretch(self._rng, score, steps))
        return rows

    def _draw(self) -> Score:
        draw = self._rng.random()
        for kind, share in _SHARES.items():
            draw -= share if self._files else share / sum(_SHARES.values())
            if draw < 0:
                return self._pools[kind][int(self._rng.integers(len(self._pools[kind])))]
        if not self._files:
            return self._pools[KINDS[-1]][0]
        file = int(self._rng.integers(len(self._files)))
        weights = self._weights[file]
        return self._files[file][int(self._rng.choice(len(weights), p=weights / weights.sum()))]


def held_out_rows(files: ScoreFiles, seed: int, steps: int, works: int) -> dict[str, Rows]:
    """What a training is measured on, by kind: stretches of held-out works and scores, always the same."""
    sets = {kind: composed_works(kind, seed, works, "valid") for kind in KINDS}
    if files.valid:
        sets["scores"] = files.valid[:: max(len(files.valid) // works, 1)][:works]
    measured = {}
    for name, scores in sets.items():
        rows = empty_rows(len(scores), steps)
        for index, score in enumerate(scores):
            first = score.bars.bar_at(int(score.onsets[len(score) // 4]))
            write_rows(rows, index, score, Stretch(first))
        measured[name] = rows
    return measured
