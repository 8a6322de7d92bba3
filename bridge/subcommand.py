"""What the command line is made of: one value a subcommand."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass

DEFAULT_PRESET = "piano"


@dataclass(frozen=True)
class Subcommand:
    """``run`` returns the exit code; a ValueError it raises becomes one line on standard error, and 2."""

    name: str
    help: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]
