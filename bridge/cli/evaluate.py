"""The subcommand evaluate."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from bridge.cli.subcommand import DEFAULT_ENGINE, DEFAULT_PRESET, Subcommand

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
    parser.add_argument("--engine", default=DEFAULT_ENGINE, help="sampling engine (%(default)s)")
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


SUBCOMMANDS = (Subcommand("evaluate", "Measure a preset on held-out music", _add_evaluate_arguments, _evaluate),)
