"""A tier's run on disk: all that it needs to go on exactly where it was, in one file that cannot execute code."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer


@dataclass(frozen=True)
class Place:
    """How far a run has come."""

    step: int
    minutes: float
    recent: tuple[float, ...] = ()
    """Losses since the last line of the curve."""


@dataclass(frozen=True, eq=False)
class RunState:
    """What changes from step to step. Clips need nothing here, unless their rows follow recordings."""

    network: nn.Module
    average: nn.Module
    """The running average of the network's weights."""
    optimizers: list[Optimizer]
    rows: dict[str, Tensor] = field(default_factory=dict)
    """Of rows that follow recordings: `rows.rows_to_tensors`."""


def save_checkpoint(path: Path, state: RunState, place: Place, recipe: dict[str, Any]) -> None:
    """Write it whole or not at all. ``recipe`` is what a run must share to go on from here; plain JSON."""
    tensors = {f"network.{name}": value for name, value in state.network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in state.average.state_dict().items()}
    for number, optimizer in enumerate(state.optimizers):
        for index, values in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{index}.{name}": torch.as_tensor(v) for name, v in values.items()}
    tensors |= state.rows
    here = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    part = path.with_name(f"{path.name}.part")
    about = {"place": json.dumps(asdict(place)), "recipe": json.dumps(recipe), "checksum": _checksum(here)}
    save_file(here, part, about)
    part.replace(path)


def load_checkpoint(path: Path, state: RunState, recipe: dict[str, Any]) -> Place:
    """Put a run back where it was.

    Raises:
        ValueError: the file cannot be read, is damaged, or is of another run.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no dict
        before = json.loads(about["recipe"])
        place = Place(**json.loads(about["place"]))
        if about.get("checksum", _checksum(tensors)) != _checksum(tensors):
            raise ValueError("its contents are not what was written")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"cannot go on from {path} ({error}): delete it to start anew") from None
    differing = sorted(key for key in {*before, *recipe} if before.get(key) != recipe.get(key))
    if differing:
        raise ValueError(
            f"{path} is of another run: its {', '.join(differing)} differ; give another --out, "
            "or delete the file to start anew"
        )
    state.rows.update({name: tensor for name, tensor in tensors.items() if name.startswith(("rows.", "state."))})
    state.network.load_state_dict(_under("network.", tensors))
    state.average.load_state_dict(_under("average.", tensors))
    for number, optimizer in enumerate(state.optimizers):
        values: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under(f"optimizer.{number}.", tensors).items():
            index, key = name.split(".", 1)
            values.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": values})
    return place


def _checksum(tensors: dict[str, Tensor]) -> str:
    """CRC-32 of names and values: a disk or a copy that went wrong is told from a checkpoint."""
    checksum = 0
    for name, tensor in sorted(tensors.items()):
        values = tensor.reshape(-1).view(torch.uint8).numpy().data
        checksum = zlib.crc32(values, zlib.crc32(name.encode(), checksum))
    return f"{checksum:08x}"


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
