"""The subcommand evaluate."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from tqdm import tqdm

from bridge.subcommand import DEFAULT_ENGINE, DEFAULT_PRESET, Subcommand


def _add_evaluate_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("preset", nargs="?", default=DEFAULT_PRESET, help="name or folder of a preset (%(default)s)")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="recordings, as from make-data")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where table and pictures go")
    parser.add_argument("--pictures", type=int, default=3, help="continuations to draw (%(default)s)")
    parser.add_argument("--engine", default=DEFAULT_ENGINE, help="sampling engine (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")


def _evaluate(arguments: Namespace) -> int:
    from melnet_music.evaluation.evaluate import evaluate
    from melnet_music.instrument import Instrument

    instrument = Instrument.load(arguments.preset, engine=arguments.engine)
    with tqdm(desc="evaluate", bar_format="{desc} |{bar}| {n} of {total}") as bar:

        def progress(what: str, done: int, total: int) -> None:
            bar.set_description(what)
            bar.total = total
            bar.update(done - bar.n)

        rows = evaluate(
            instrument,
            arguments.data,
            arguments.out,
            pictures=arguments.pictures,
            seed=arguments.seed,
            progress=progress,
        )
    names = [*rows[0].model, *rows[0].baselines]
    lines = ["nats a bin, all / loud bins; less is better", "tier  " + "  ".join(f"{name:>18}" for name in names)]
    for row in rows:
        cells = [f"{nats:+.3f} / {loud:+.3f}" for nats, loud in [*row.model.values(), *row.baselines.values()]]
        lines.append(f"{row.tier:4}  " + "  ".join(f"{cell:>18}" for cell in cells))
    sys.stdout.write("\n".join(lines) + f"\n{arguments.out}: likelihood.json and {arguments.pictures} continuations\n")
    return 0


SUBCOMMANDS = (Subcommand("evaluate", "Measure a preset on held-out music", _add_evaluate_arguments, _evaluate),)
