"""Preset folders: find, load, check and write them.

A preset is ``preset.toml`` (see `melnet_music.model.config`), ``weights.safetensors`` and ``card.md``, and for the demo
a ``phrase.flac``. Weights are stored in bfloat16, the statistics of the normalisation in float32. Playing a preset
takes no torch, whose import costs seconds; making a torch model of it, starting one or writing one does.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from melnet_music.model.config import PresetConfig, read_preset_config
from melnet_music.model.parameters import parameter_shapes

if TYPE_CHECKING:
    from torch import Tensor

    from melnet_music.model.network import MelNet

Weights = dict[str, NDArray[np.float32]]
"""By the names of `parameter_shapes`."""

CONFIG_FILE = "preset.toml"
WEIGHTS_FILE = "weights.safetensors"
PHRASE_FILE = "phrase.flac"
STATISTICS = ("mean", "deviation")
_PLAN_LINE = re.compile(rb"^plan *=.*\n", re.MULTILINE)


@dataclass(frozen=True)
class PresetInfo:
    """What a list of presets shows."""

    name: str
    title: str
    path: Path
    has_weights: bool


@dataclass(frozen=True, eq=False)
class Preset:
    """A loaded preset."""

    name: str
    path: Path
    config: PresetConfig
    weights: Weights
    digest: str
    """16 hex digits over configuration and weights: two presets with one digest play the same takes.

    Not over whether notes are planned: a take is kept with its notes, and stays what it is.
    """

    @property
    def mel_bins(self) -> int:
        """Bins of the full grid."""
        return self.config.sound.mel_bins

    def model(self) -> MelNet:
        """A new torch model with these weights, in eval mode."""
        import torch

        from melnet_music.model.network import MelNet

        # first weights are drawn only to be replaced: on the meta device they were not, but torch imports its compiler
        # for that, which takes ten times as long
        with torch.random.fork_rng(devices=[]):
            model = MelNet(self.config.model, self.mel_bins)
        model.load_state_dict({name: torch.tensor(array) for name, array in self.weights.items()}, assign=True)
        return model.eval()


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
    if weights.exists():
        loaded = read_weights(weights)
        _check(loaded, config, weights)
    else:
        loaded = _untrained(config, untrained_seed or 0)
    return Preset(folder.resolve().name, folder, config, loaded, _digest(folder))


def read_weights(path: Path) -> Weights:
    """All arrays of a weights file, in float32. Raises ValueError when it cannot be read."""
    try:
        stored = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is not a whole safetensors file ({error}); it may be truncated: fetch it again"
        ) from None
    weights = {}
    for name, tensor in stored:
        match tensor["dtype"]:
            case "BF16":  # the upper half of a float32
                flat = (np.frombuffer(tensor["data"], "<u2").astype(np.uint32) << 16).view(np.float32)
            case "F32":
                flat = np.frombuffer(tensor["data"], "<f4").astype(np.float32)
            case other:
                raise ValueError(f"{path}: {name} is stored as {other}, want BF16 or F32")
        weights[name] = flat.reshape(tensor["shape"])
    return weights


def write_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """Write a weights file: bfloat16, but for the statistics."""
    import torch
    from safetensors.torch import save_file

    stored = {
        name: tensor.float() if name in STATISTICS else tensor.to(torch.bfloat16) for name, tensor in weights.items()
    }
    part = path.with_name(f"{path.name}.part")
    save_file({name: tensor.contiguous() for name, tensor in stored.items()}, part)
    part.chmod(0o644)  # safetensors makes it readable for its owner alone
    os.replace(part, path)


def _untrained(config: PresetConfig, seed: int) -> Weights:
    import torch

    from melnet_music.model.network import MelNet

    with torch.random.fork_rng():
        torch.manual_seed(seed)  # torch's modules draw their first weights from its own generator
        model = MelNet(config.model, config.sound.mel_bins)
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def _check(weights: Weights, config: PresetConfig, source: Path) -> None:
    wanted = parameter_shapes(config.model, config.sound.mel_bins)
    for name, shape in wanted.items():
        if name not in weights:
            raise ValueError(f"{source} lacks {name}; it was trained for another {CONFIG_FILE}")
        if weights[name].shape != shape:
            raise ValueError(f"{source}: {name} has shape {weights[name].shape}, {CONFIG_FILE} wants {shape}")
        if not np.isfinite(weights[name]).all():
            raise ValueError(f"{source}: {name} holds values that are not finite")
    if surplus := sorted(set(weights) - set(wanted)):
        raise ValueError(f"{source} holds {surplus[0]}, which {CONFIG_FILE} has no place for")
    if not (weights["deviation"] > 0).all():
        raise ValueError(f"{source}: deviation holds values that are not positive; bins cannot be normalised by them")


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        path = folder / name
        content = path.read_bytes() if path.exists() else b""
        digest.update(_PLAN_LINE.sub(b"", content) if name == CONFIG_FILE else content)
    return digest.hexdigest()[:16]
