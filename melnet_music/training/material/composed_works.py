"""Works composed for a training, and rendered on the device that trains from them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context
from typing import Any

import torch

from melnet_music.composing.collection import ToRender, check_collection, split_of, work_name, work_to_render
from melnet_music.composing.rendering.device_render import DeviceRenderer, resampled
from melnet_music.composing.rendering.one_shots import Sounds, read_sounds
from melnet_music.composing.rendering.render import DRUM_CHANNEL, SAMPLE_RATE_HZ
from melnet_music.model.config import SoundConfig
from melnet_music.notes.note_map import Note
from melnet_music.training.data.recordings import Split
from melnet_music.training.material.composition import Composition
from melnet_music.training.material.device_mel import DeviceMel
from melnet_music.training.material.device_works import DeviceWork, device_work

log = logging.getLogger(__name__)

_POOLED_FROM = 48
"""Works: fewer are composed sooner than processes have started."""
_MOST_PROCESSES = 16
"""So many compose faster than a GPU renders."""


@dataclass(frozen=True, eq=False)
class ComposedWorks:
    """Composed works on a device, by split."""

    train: list[DeviceWork]
    valid: list[DeviceWork]
    """The first of them with its audio, for samples of what a model makes of it."""
    about: dict[str, Any]
    """What they follow from. Plain JSON."""


def render_works(
    composition: Composition,
    sound: SoundConfig,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> ComposedWorks:
    """The works as frames and notes on a device: the same from the same arguments and one-shots.

    Where none of them belongs to a split, the collection's next one that does is rendered too.

    Args:
        progress: called with (works done, all).

    Raises:
        ValueError: no such kind, or fewer than one work; no one-shots, or damaged ones.
    """
    check_collection(composition.kind, composition.seed)
    if composition.works < 1:
        raise ValueError(f"{composition.works} works are to be composed: want at least 1")
    sounds = read_sounds(composition.sounds, composition.kind)
    renderer, mel = DeviceRenderer(sounds, device), DeviceMel(sound, device)
    numbers = _numbers(composition)
    split: dict[Split, list[DeviceWork]] = {"train": [], "valid": []}
    for done, work in enumerate(_works(composition, numbers, sounds)):
        audio = renderer.render(work.notes, work.sound, work.levels_db)
        audio = resampled(audio, SAMPLE_RATE_HZ, sound.sample_rate_hz)
        notes = [
            Note(note.onset_s, note.sounding_end_s, note.pitch, note.velocity)
            for note in work.notes
            if note.channel != DRUM_CHANNEL
        ]
        works = split[split_of(work.name)]
        kept = audio if not works and works is split["valid"] else None
        works.append(device_work(work.name, mel(audio), notes, sound, kept))
        if progress is not None:
            progress(done + 1, len(numbers))
    frames = sum(len(work.log_mel) for work in split["train"])
    log.info("composed %.1f hours to train on", frames / sound.frames_per_second / 3600)
    about = {
        "kind": composition.kind,
        "works": composition.works,
        "seed": composition.seed,
        "sounds": sounds.digests,
    }
    return ComposedWorks(split["train"], split["valid"], about)


def _numbers(composition: Composition) -> list[int]:
    splits = [_split(composition, number) for number in range(composition.works)]
    numbers = [number for number, split in enumerate(splits) if split != "test"]
    for wanted in ("train", "valid"):
        if wanted not in splits:
            later = (number for number in count(composition.works) if _split(composition, number) == wanted)
            numbers.append(next(later))
    return numbers


def _split(composition: Composition, number: int) -> Split:
    return split_of(work_name(composition.kind, composition.seed, number))


def _works(composition: Composition, numbers: list[int], sounds: Sounds) -> Iterator[ToRender]:
    """In the order of the numbers; where there are many, composed by processes while others are rendered."""
    jobs = [(composition.kind, composition.seed, number, sounds.names) for number in numbers]
    if len(jobs) < _POOLED_FROM:
        yield from map(work_to_render, jobs)
        return
    with ProcessPoolExecutor(min(os.cpu_count() or 1, _MOST_PROCESSES), get_context("spawn")) as pool:
        yield from pool.map(work_to_render, jobs, chunksize=4)
