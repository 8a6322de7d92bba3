"""Collections: the works of one kind that follow from one seed, each by its number, with its split and its sound."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from melnet_music.composing.perform import Performance, PerformedNote, perform
from melnet_music.composing.rendering.sound import Sound, draw_sound
from melnet_music.composing.score.compose import Work, compose
from melnet_music.composing.score.orchestrate import compose_music

Split = Literal["train", "valid", "test"]
_COMPOSERS = {"piano": compose, "music": compose_music}
KINDS = tuple(_COMPOSERS)


@dataclass(frozen=True)
class ToRender:
    """Of a work what a rendering needs."""

    name: str
    notes: tuple[PerformedNote, ...]
    sound: Sound
    levels_db: dict[int, float] | None
    """The level of each channel; none where there is nothing to balance."""


@dataclass(frozen=True)
class PlayedWork:
    """A work of a collection, composed and performed, with the sound that it is to have."""

    name: str
    split: Split
    work: Work
    performance: Performance
    sound: Sound

    @property
    def to_render(self) -> ToRender:
        instruments = self.work.instruments
        levels_db = {instrument.channel: instrument.level_db for instrument in instruments}
        return ToRender(self.name, self.performance.notes, self.sound, levels_db if len(instruments) > 1 else None)


def check_collection(kind: str, seed: int) -> None:
    """
    Raises:
        ValueError: there is no such kind of music, or no such seed.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of music {kind!r}: expected one of {', '.join(KINDS)}")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, got {seed}")


def work_name(kind: str, seed: int, number: int) -> str:
    """The name of a work: its split follows from it."""
    return f"{kind}-{seed}-{number:06d}"


def split_of(name: str) -> Split:
    """The split of a work, by a hash of its name: 90 of 100 train, 5 valid, 5 test."""
    percentile = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little") % 100
    return "train" if percentile < 90 else "valid" if percentile < 95 else "test"


def performance_of(kind: str, seed: int, number: int) -> Performance:
    """A work's performance alone."""
    return perform(_COMPOSERS[kind](seed, number))


def play_work(kind: str, seed: int, number: int, sounds: Sequence[str]) -> PlayedWork:
    """A work composed and performed; ``sounds``: names of soundfonts or pianos, of which its sound draws one."""
    work = _COMPOSERS[kind](seed, number)
    performance = perform(work)
    mean_velocity = float(np.mean([note.velocity for note in performance.notes]))
    sound = draw_sound(seed, number, kind, sounds, mean_velocity)
    name = work_name(kind, seed, number)
    return PlayedWork(name, split_of(name), work, performance, sound)


def work_to_render(job: tuple[str, int, int, Sequence[str]]) -> ToRender:
    """`play_work` of the arguments in one, for processes: what is not rendered need not be handed over."""
    return play_work(*job).to_render
