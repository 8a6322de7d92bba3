"""The subcommands that measure how presets sound: evaluate, measure-plans."""

from __future__ import annotations

import math
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from bridge.cli.subcommand import DEFAULT_PRESET, SAME_EVERYWHERE, Subcommand

# as in `melnet_music.evaluation.evaluate`, whose import costs seconds; a test holds them equal
PARTS = ("likelihood", "conditioning", "continuations", "long", "inpainting", "notes", "pictures")
SIZES = {
    "excerpts": "excerpts that likelihood is measured on",
    "continuations": "continuations that are compared with real music",
    "continuation_seconds": "their length",
    "long_takes": "long continuations",
    "long_seconds": "their length",
    "gaps": "gaps that are repainted",
    "note_takes": "takes that are given notes",
    "pictures": "continuations that are drawn",
}
KINDS = ("piano", "music")
"""As in `melnet_music.composing.collection`."""


def _add_evaluate_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("preset", nargs="?", default=DEFAULT_PRESET, help="name or folder of a preset (%(default)s)")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="recordings: their test split is used")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder that the page, evaluation.json and the pictures are written to",
    )
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=f"of {' '.join(PARTS)} (all)"
    )
    parser.add_argument("--against", metavar="PRESET", help="another preset, to compare likelihoods with")
    parser.add_argument(
        "--quick", action="store_true", help="smallest sizes: shows that it runs, measures nothing useful"
    )
    for name, text in SIZES.items():
        kind = float if name.endswith("seconds") else int
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N", help=text)
    parser.add_argument("--engine", default=SAME_EVERYWHERE, help="sampling engine (%(default)s)")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="worker processes (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="random seed of the takes (%(default)s)")


def _evaluate(arguments: Namespace) -> int:
    from melnet_music.evaluation.evaluate import JSON_FILE, PAGE_FILE, QUICK_SIZES, Sizes, evaluate
    from melnet_music.evaluation.report.summary import summary
    from melnet_music.model.preset import load_preset

    chosen = {name: getattr(arguments, name) for name in SIZES if getattr(arguments, name) is not None}
    sizes = Sizes(**{**vars(QUICK_SIZES if arguments.quick else Sizes()), **chosen})
    preset = load_preset(arguments.preset)
    against = load_preset(arguments.against) if arguments.against else None
    with (
        logging_redirect_tqdm(),
        tqdm(desc="evaluate", bar_format="{desc} |{bar}| {n} of {total}, {elapsed}") as bar,
    ):

        def progress(what: str, done: int, total: int) -> None:
            bar.set_description(what, refresh=False)
            bar.total, bar.n = total, done
            bar.refresh()

        evaluation = evaluate(
            preset,
            arguments.data,
            arguments.out,
            parts=arguments.parts,
            sizes=sizes,
            against=against,
            engine=arguments.engine,
            seed=arguments.seed,
            processes=arguments.processes,
            progress=progress,
        )
    sys.stdout.write("\n".join(summary(evaluation.parts)) + f"\n{arguments.out}: {JSON_FILE}, {PAGE_FILE}\n")
    return 0


def _add_measure_plans_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("preset", nargs="?", default=DEFAULT_PRESET, help="name or folder of a preset (%(default)s)")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the figures, the pictures, and the takes"
    )
    parser.add_argument("--kind", choices=KINDS, help="of the works (that of the preset's name, else piano)")
    parser.add_argument("--works", type=int, default=10, help="held-out works that takes are made of (%(default)s)")
    parser.add_argument(
        "--real", type=int, default=40, help="works, those among them, that tell what real music does (%(default)s)"
    )
    parser.add_argument("--pictures", type=int, default=3, help="takes that are drawn (%(default)s)")
    parser.add_argument("--heard", type=float, default=30.0, help="seconds that are heard before a take (%(default)g)")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a take (%(default)g)")
    parser.add_argument("--ear", type=Path, metavar="DIR", help="an ear from train-ear (the one that comes with it)")
    parser.add_argument("--score", type=Path, metavar="FILE", help="from train-score (the one that comes with it)")
    parser.add_argument("--engine", default=SAME_EVERYWHERE, help="sampling engine (%(default)s)")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="worker processes (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the works, and of the takes (%(default)s)")


def _measure_plans(arguments: Namespace) -> int:
    from melnet_music.evaluation.planned.measure import (
        JSON_FILE,
        TABLE_FILE,
        TAKES_FOLDER,
        Extent,
        measure_planned_takes,
    )
    from melnet_music.evaluation.planned.takes import TakeMaker
    from melnet_music.evaluation.planned.work_measures import WINDOW_SECONDS
    from melnet_music.model.preset import bundled_presets, load_preset
    from melnet_music.notes.ear.ear import bundled_ear, load_ear
    from melnet_music.notes.score.settings import PlanSettings

    preset = load_preset(arguments.preset)
    ear = load_ear(arguments.ear)
    if ear.config.sound != preset.config.sound or not preset.config.model.note_conditioning:
        raise ValueError(
            f"takes of preset {preset.name!r} cannot be planned: want one that follows notes, and an ear for its sound"
        )
    if not 0 < arguments.heard < math.inf:
        raise ValueError(f"--heard is {arguments.heard:g}, want more than 0")
    if not WINDOW_SECONDS <= arguments.seconds < math.inf:
        raise ValueError(f"--seconds is {arguments.seconds:g}, want {WINDOW_SECONDS:g} or more")
    ear_folder = arguments.ear or bundled_ear()
    assert ear_folder is not None
    maker = TakeMaker(
        preset.path,
        arguments.engine,
        ear_folder,
        arguments.score or bundled_presets() / "score" / "weights.safetensors",
        PlanSettings(),
        arguments.seed,
        arguments.heard,
        arguments.seconds,
        arguments.out / TAKES_FOLDER,
    )
    kind = arguments.kind or (preset.name if preset.name in KINDS else KINDS[0])
    extent = Extent(arguments.works, arguments.real, arguments.pictures)
    with tqdm(desc="measure-plans", bar_format="{desc} |{bar}| {n} of {total}, {elapsed}") as bar:

        def progress(what: str, done: int, total: int) -> None:
            bar.set_description(what, refresh=False)
            bar.total, bar.n = total, done
            bar.refresh()

        tables = measure_planned_takes(
            maker, kind, arguments.seed, arguments.out, extent, arguments.processes, progress
        )
    sys.stdout.write(f"{tables}{arguments.out}: {JSON_FILE}, {TABLE_FILE}\n")
    return 0


SUBCOMMANDS = (
    Subcommand("evaluate", "Measure a preset on held-out music", _add_evaluate_arguments, _evaluate),
    Subcommand(
        "measure-plans",
        "Measure planned takes, as they sound, beside real music",
        _add_measure_plans_arguments,
        _measure_plans,
    ),
)
