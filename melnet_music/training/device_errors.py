"""What a device does wrong in the middle of a training, told in a line that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

_OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
_FAILED = ("CUDA error", "device-side assert")


@contextmanager
def device_errors_told(
    doing: str, smaller: str, device: torch.device, checkpoint: Path | None = None
) -> Iterator[None]:
    """Turns a device without memory, or one that failed or was lost, into a ValueError of one line.

    Other errors pass.

    Args:
        doing: what ran meanwhile, such as "tier 1".
        smaller: what to give less of, where memory is short.
        checkpoint: if it is there by then, the line says that the same command goes on from it.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        no_memory = isinstance(error, MemoryError | torch.OutOfMemoryError) or any(s in text for s in _OUT_OF_MEMORY)
        failed = isinstance(error, _accelerator_error()) or any(sign in text for sign in _FAILED)
        if not (no_memory or failed):
            raise
        goes_on = checkpoint is not None and checkpoint.exists()
        then = "; the same command goes on from the last checkpoint" if goes_on else ""
        if no_memory:
            raise ValueError(f"{doing} ran out of memory on {device}: give {smaller}{then}") from error
        first_line = text.strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise ValueError(
            f"{doing} lost its device {device} ({first_line}): see that it works (nvidia-smi), and start again{then}"
        ) from error


def _accelerator_error() -> tuple[type[BaseException], ...]:
    """Of torch 2.8 and later."""
    error = getattr(torch, "AcceleratorError", None)
    return () if error is None else (error,)
