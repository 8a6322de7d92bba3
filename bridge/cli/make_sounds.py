"""The subcommand make-sounds."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from tqdm import tqdm

from bridge.cli.subcommand import Subcommand


def _add_make_sounds_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder that the one-shots are written to")
    parser.add_argument(
        "--kind", default="piano", help="piano, or music: all instruments of the ensembles (%(default)s)"
    )
    parser.add_argument(
        "--salamander", type=Path, metavar="DIR",
        help="Ogg files of the Salamander Grand Piano V3 (Alexander Holm, CC BY 3.0), named like D#4v12.ogg: they "
        "become one more piano",
    )  # fmt: skip
    parser.add_argument(
        "--soundfont", type=Path, action="append", default=[], dest="soundfonts", metavar="FILE",
        help="SoundFont file to cut from; may be given several times, for music only the first is used (two free "
        "ones, if installed)",
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
