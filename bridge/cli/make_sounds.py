"""The subcommand make-sounds."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from tqdm import tqdm

from bridge.cli.subcommand import Subcommand


def _add_make_sounds_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the one-shots go")
    parser.add_argument("--kind", default="piano", help="piano, or music: the voices of all ensembles (%(default)s)")
    parser.add_argument(
        "--salamander", type=Path, metavar="DIR",
        help="Ogg files of the Salamander Grand Piano V3 (Alexander Holm, CC BY 3.0), named like D#4v12.ogg: one more "
        "piano",
    )  # fmt: skip
    parser.add_argument(
        "--soundfont", type=Path, action="append", default=[], dest="soundfonts", metavar="FILE",
        help="SoundFont file to cut from; may be given again, of music the first one counts (two free ones, found by "
        "itself)",
    )  # fmt: skip


def _make_sounds(arguments: Namespace) -> int:
    from melnet_music.composing.make_sounds import make_sounds

    with tqdm(unit="note", desc="make-sounds") as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        made = make_sounds(
            arguments.folder,
            kind=arguments.kind,
            soundfonts=arguments.soundfonts,
            salamander=arguments.salamander,
            progress=progress,
        )
    sys.stdout.write(
        f"{arguments.folder}: {made.one_shots} one-shots of {made.instruments} instruments, "
        f"{made.seconds / 60:.0f} min; source.txt beside them says whose they are\n"
    )
    return 0


SUBCOMMANDS = (
    Subcommand("make-sounds", "Cut one-shots of instruments to render from", _add_make_sounds_arguments, _make_sounds),
)
