"""A measurement as a program: its sizes are options, its figures one JSON object on standard output."""

from __future__ import annotations

import inspect
import json
import logging
import os
import sys
import tempfile
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping
from pathlib import Path

from bridge.processes.child_process import configure_logging


def run(measure: Callable[..., Mapping[str, object]], **sizes: float) -> None:
    """Call ``measure`` with a folder of its own and the sizes that the command line gives.

    Args:
        sizes: their names and what they are unless told otherwise; whole ones stay whole.
    """
    module = inspect.getmodule(measure)
    parser = ArgumentParser(description=module.__doc__ if module else None, formatter_class=RawDescriptionHelpFormatter)
    for name, size in sizes.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(size), default=size, help="(%(default)s)")
    chosen = vars(parser.parse_args())
    configure_logging(logging.INFO)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), **chosen)
    about = {"sizes": chosen, "cores": os.cpu_count(), "load_before": load, "load_after": os.getloadavg()[0]}
    sys.stdout.write(json.dumps({**about, **figures}, indent=2) + "\n")
