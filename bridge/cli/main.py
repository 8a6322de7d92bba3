"""The ``melnet-music`` command: assembles the subcommands, and turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from bridge.cli.subcommand import Subcommand
from bridge.processes.child_process import configure_logging


def _subcommands() -> list[Subcommand]:
    """All of them, in the order of the help text."""
    # Imported here: every child process imports the main file, and with it this module, and needs none of these.
    from bridge.cli import bench, ear, evaluate, live, make_data, make_sounds, midi, offline, render, score, train
    from bridge.cli.doctor import command as doctor

    groups = (live, doctor, midi, offline, render, bench, make_data, make_sounds, train, score, ear, evaluate)
    return [subcommand for group in groups for subcommand in group.SUBCOMMANDS]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit code: 0 done, 1 done and not well, 2 it cannot be
    done, and standard error says why."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported, here and in all child processes
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # file names come out as the bytes that they are
    chosen = build_parser().parse_args(arguments)
    configure_logging((logging.WARNING, logging.INFO, logging.DEBUG)[min(chosen.verbose, 2)])
    try:
        return int(chosen.run(chosen))
    except ValueError as error:
        sys.stderr.write(f"melnet-music {chosen.subcommand}: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="melnet-music", description="Continue and repaint music, live.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('melnet-music')}")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="log more; twice: everything")
    subparsers = parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND")
    for subcommand in _subcommands():
        subparser = subparsers.add_parser(subcommand.name, help=subcommand.help, description=f"{subcommand.help}.")
        subcommand.add_arguments(subparser)
        subparser.set_defaults(run=subcommand.run)
    return parser
