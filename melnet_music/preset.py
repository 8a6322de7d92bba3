"""Preset folders: find, load, check and write them.

A preset is ``preset.toml`` (see `melnet_music.config`), ``weights.safetensors`` and ``card.md``, and for the demo a
``phrase.flac``. Weights are stored in bfloat16, the statistics of the normalisation in float32.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from melnet_music.config import PresetConfig, read_preset_config
from melnet_music.model import MelNet

CONFIG_FILE = "preset.toml"
WEIGHTS_FILE = "weights.safetensors"
PHRASE_FILE = "phrase.flac"
STATISTICS = ("mean", "deviation")


@dataclass(frozen=True)
class PresetInfo:
    """What a list of presets shows."""

    name: str
    title: str
    path: Path
    has_weights: bool


@dataclass(frozen=True)
class Preset:
    """A loaded preset."""

    name: str
    path: Path
    config: PresetConfig
    model: MelNet
    digest: str
    """16 hex digits over configuration and weights: two presets with one digest play the same takes."""


def bundled_presets() -> Path:
    """The folder of the presets that come with the program."""
    return Path(str(files("presets")))


def list_presets() -> list[PresetInfo]:
    """The bundled presets, by name."""
    return [
        PresetInfo(path.parent.name, read_preset_config(path).title, path.parent, (path.parent / WEIGHTS_FILE).exists())
        for path in sorted(bundled_presets().glob(f"*/{CONFIG_FILE}"))
    ]


def find_preset(preset: str | Path) -> Path:
    """The folder of a bundled preset's name, or of a path to a preset folder.

    Raises:
        ValueError: there is none; the message lists the bundled ones.
    """
    folder = Path(preset)
    if (folder / CONFIG_FILE).is_file():
        return folder
    names = [path.parent.name for path in sorted(bundled_presets().glob(f"*/{CONFIG_FILE}"))]
    if str(preset) in names:
        return bundled_presets() / str(preset)
    raise ValueError(
        f"no preset {str(preset)!r}: want the path of a folder with a {CONFIG_FILE}, or one of {', '.join(names)}"
    )


def load_preset(preset: str | Path, *, untrained_seed: int | None = None) -> Preset:
    """Load a preset by name or folder.

    Args:
        untrained_seed: start a preset without weights from random ones; otherwise that is an error.

    Raises:
        ValueError: no such preset, a key, a shape or a file is wrong; the message names it.
    """
    folder = find_preset(preset)
    config = read_preset_config(folder / CONFIG_FILE)
    weights = folder / WEIGHTS_FILE
    if not weights.exists() and untrained_seed is None:
        raise ValueError(
            f"preset {folder.name!r} has no {WEIGHTS_FILE} in {folder}: train it first (melnet-music train {folder})"
        )
    with torch.random.fork_rng():
        torch.manual_seed(untrained_seed or 0)  # torch's modules draw their first weights from its own generator
        model = MelNet(config.model, config.sound.mel_bins)
    if weights.exists():
        _fill(model, read_weights(weights), weights)
    return Preset(folder.resolve().name, folder, config, model.eval(), _digest(folder))


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a weights file, in float32. Raises ValueError when it cannot be read."""
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is not a whole safetensors file ({error}); it may be truncated: fetch it again"
        ) from None
    return {name: tensor.float() for name, tensor in tensors.items()}


def write_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """Write a weights file: bfloat16, but for the statistics."""
    stored = {
        name: tensor.float() if name in STATISTICS else tensor.to(torch.bfloat16) for name, tensor in weights.items()
    }
    part = path.with_name(f"{path.name}.part")
    save_file({name: tensor.contiguous() for name, tensor in stored.items()}, part)
    part.chmod(0o644)  # safetensors makes it readable for its owner alone
    os.replace(part, path)


def _fill(model: MelNet, weights: dict[str, Tensor], source: Path) -> None:
    wanted = model.state_dict()
    for name, tensor in wanted.items():
        if name not in weights:
            raise ValueError(f"{source} lacks {name}; it was trained for another {CONFIG_FILE}")
        if weights[name].shape != tensor.shape:
            came, want = tuple(weights[name].shape), tuple(tensor.shape)
            raise ValueError(f"{source}: {name} has shape {came}, {CONFIG_FILE} wants {want}")
        if not torch.isfinite(weights[name]).all():
            raise ValueError(f"{source}: {name} holds values that are not finite")
    if surplus := sorted(set(weights) - set(wanted)):
        raise ValueError(f"{source} holds {surplus[0]}, which {CONFIG_FILE} has no place for")
    if not (weights["deviation"] > 0).all():
        raise ValueError(f"{source}: deviation holds values that are not positive; bins cannot be normalised by them")
    model.load_state_dict(weights)


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        path = folder / name
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()[:16]
