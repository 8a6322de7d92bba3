"""What a training set is rendered with: soundfonts by FluidSynth, or one-shots as in training on a device."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from melnet_music.composing.collection import ToRender
from melnet_music.composing.rendering.one_shots import Sounds, read_sounds
from melnet_music.composing.rendering.render import Renderer, find_soundfonts, fluidsynth_version

if TYPE_CHECKING:
    from melnet_music.composing.rendering.device_render import DeviceRenderer


class Instruments(Protocol):
    """What works are rendered from, as processes hand it on."""

    @property
    def names(self) -> tuple[str, ...]:
        """What a work's sound draws one of."""

    def digests(self) -> dict[str, str]:
        """SHA-256 of each."""

    def versions(self) -> dict[str, str]:
        """Of what renders."""

    def render(self, work: ToRender) -> NDArray[np.float32]:
        """Mono ``[n]`` at 44,100 Hz."""


@dataclass(frozen=True)
class _Soundfonts:
    """Rendered by FluidSynth."""

    paths: tuple[Path, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(path.name for path in self.paths)

    def digests(self) -> dict[str, str]:
        return {path.name: _sha256_of_file(path) for path in self.paths}

    def versions(self) -> dict[str, str]:
        return {"fluidsynth": fluidsynth_version(), "pyfluidsynth": version("pyfluidsynth")}

    def render(self, work: ToRender) -> NDArray[np.float32]:
        (path,) = (path for path in self.paths if path.name == work.sound.soundfont)
        return _renderer(path).render(work.notes, work.sound, work.levels_db)


@dataclass(frozen=True)
class _OneShots:
    """Rendered from one-shots, as training on a device renders."""

    folder: Path
    kind: str
    names: tuple[str, ...]

    def digests(self) -> dict[str, str]:
        return _sounds(self.folder, self.kind).digests

    def versions(self) -> dict[str, str]:
        return {"torch": version("torch")}

    def render(self, work: ToRender) -> NDArray[np.float32]:
        audio = _device_renderer(self.folder, self.kind).render(work.notes, work.sound, work.levels_db)
        rendered: NDArray[np.float32] = audio.numpy()
        return rendered


def choose_instruments(kind: str, soundfonts: Sequence[Path], sounds: Path | None) -> Instruments:
    """Soundfonts, or the one-shots in a folder of sounds for works of a kind.

    Raises:
        ValueError: both are given, or one of them is missing or damaged.
    """
    if sounds is None:
        return _Soundfonts(find_soundfonts(soundfonts))
    if soundfonts:
        raise ValueError("both soundfonts and a folder of sounds are given: leave one of them out")
    return _OneShots(sounds, kind, _sounds(sounds, kind).names)


@cache
def _renderer(soundfont: Path) -> Renderer:
    """This process's renderer: decoding a soundfont takes longer than rendering a work."""
    return Renderer(soundfont)


@cache
def _sounds(folder: Path, kind: str) -> Sounds:
    return read_sounds(folder, kind)


@cache
def _device_renderer(folder: Path, kind: str) -> DeviceRenderer:
    import torch

    from melnet_music.composing.rendering.device_render import DeviceRenderer

    torch.set_num_threads(1)  # works are rendered side by side
    return DeviceRenderer(_sounds(folder, kind), torch.device("cpu"))


def _sha256_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
