"""A subcommand of the command line, and what several of them share."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass

DEFAULT_PRESET = "piano"
DEFAULT_ENGINE = "auto"
SAME_EVERYWHERE = "cpu-bf16"
"""For what is compared from machine to machine. Both as in `melnet_music.sampling`, whose import takes seconds; a test
holds them equal."""
DEFAULT_OSC_PORT = 9100


def add_engine_arguments(parser: ArgumentParser) -> None:
    """Add the options that choose the preset and how it is computed."""
    parser.add_argument("--preset", default=DEFAULT_PRESET, help="name or folder of a preset (%(default)s)")
    parser.add_argument("--engine", default=DEFAULT_ENGINE, help="sampling engine (%(default)s)")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads of the engine (as many as there are cores, at most 4)"
    )


@dataclass(frozen=True)
class Subcommand:
    """``run`` returns the exit code; a ValueError it raises becomes one line on standard error, and 2."""

    name: str
    help: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]
