"""The subcommand make-data."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from tqdm import tqdm

from bridge.cli.subcommand import Subcommand


def _add_make_data_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder that the recordings are written to")
    parser.add_argument("--kind", default="piano", help="piano, or music: ensembles of many kinds (%(default)s)")
    parser.add_argument("--hours", type=float, default=4.0, help="how much music (%(default)g)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same music (%(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="worker processes (%(default)s)")
    parser.add_argument(
        "--soundfont",
        type=Path,
        action="append",
        default=[],
        dest="soundfonts",
        metavar="FILE",
        help="SoundFont file to render with; may be given several times, one is drawn for each work "
        "(two free ones, if installed)",
    )
    parser.add_argument(
        "--sounds", type=Path, metavar="DIR",
        help="one-shots from make-sounds to render from, as train --compose does, in place of SoundFonts",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the totals as JSON")


def _make_data(arguments: Namespace) -> int:
    from melnet_music.composing.make_data import make_data

    with tqdm(unit="work", desc="make-data", disable=arguments.json) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        made = make_data(
            arguments.folder,
            kind=arguments.kind,
            hours=arguments.hours,
            seed=arguments.seed,
            processes=arguments.processes,
            soundfonts=arguments.soundfonts,
            sounds=arguments.sounds,
            progress=progress,
        )
    totals = {
        "works": len(made.works),
        "hours": made.seconds / 3600,
        "notes": made.notes,
        "leakage_8": made.leakage_8,
        "leakage_16": made.leakage_16,
        "onset_error_ms": made.onsets.percentile_95_ms,
        "digest": made.digest,
    }
    if arguments.json:
        sys.stdout.write(json.dumps(totals) + "\n")
    else:
        sys.stdout.write(
            f"{arguments.folder}: {totals['works']} works, {totals['hours']:.2f} h, digest {made.digest[:16]}\n"
            f"{made.leakage_8:.1%} of the held-out works' melodies of 8 notes and {made.leakage_16:.1%} of those of 16 "
            "occur in the training works\n"
            f"95 of 100 onsets within {made.onsets.percentile_95_ms:.1f} ms of their labels "
            f"({made.onsets.notes} notes measured)\n"
        )
    return 0


SUBCOMMANDS = (Subcommand("make-data", "Compose and render music to train on", _add_make_data_arguments, _make_data),)
