"""The processes that train one tier together: one alone, or all that ``torchrun`` started on one or many machines."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class World:
    """This process among those that share every batch."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def rows(self, batch: int) -> range:
        """Which clips of a batch are this process's.

        Raises:
            ValueError: the batch cannot be shared evenly.
        """
        if batch % self.size:
            raise ValueError(
                f"a batch of {batch} clips cannot be shared by {self.size} processes: "
                f"give --batch, a multiple of {self.size}"
            )
        share = batch // self.size
        return range(self.rank * share, (self.rank + 1) * share)

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace every gradient by the sum over all processes. Every process calls it, or all wait."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(flat)
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.size > 1:
            values = values.clone()
            distributed.all_reduce(values)
        return values

    def first(self, value: float) -> float:
        """The leading process's value, everywhere."""
        if self.size == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(told, 0)
        return float(told.item())


def started_by_torchrun() -> bool:
    """Whether this process is one of several."""
    return "WORLD_SIZE" in os.environ and "RANK" in os.environ


def join(device: str) -> World:
    """Meet the other processes that torchrun started.

    Raises:
        ValueError: there is no such device.
    """
    chosen = choose_device(device)
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
        torch.cuda.set_device(chosen)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    return World(distributed.get_rank(), distributed.get_world_size(), chosen)


def leave() -> None:
    """Part from the other processes."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def choose_device(name: str) -> torch.device:
    """``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        ValueError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind not in DEVICES or (number and not number.isdigit()):
        raise ValueError(f"unknown device {name!r}: expected one of {', '.join(DEVICES)}, or cuda:N")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ValueError(f"no device {name}: torch finds {torch.cuda.device_count()} CUDA devices; give --device cpu")
    return torch.device(name)
