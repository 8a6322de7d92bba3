"""Subcommands of the score model: plan, train-score, measure-score."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.cli.subcommand import Subcommand

if TYPE_CHECKING:
    from melnet_music.training.score.scores import Score
    from melnet_music.training.score.train import ScoreProgress


def _add_train_score_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the weights, and for going on when stopped")
    parser.add_argument(
        "--scores", type=Path, nargs="+", default=[], metavar="FILE.jsonl.gz",
        help="score files to learn from as well: gzipped JSON lines (without: composed works alone)",
    )  # fmt: skip
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (%(default)g)")
    parser.add_argument("--steps", type=int, help="in place of the minutes")
    parser.add_argument("--hidden", type=int, default=96, help="size of the model: a multiple of 32 (%(default)s)")
    parser.add_argument("--layers", type=int, default=3, help="of the model (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="for the computation (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the training, and of what is composed (%(default)s)")


def _train_score(arguments: Namespace) -> int:
    import torch

    from melnet_music.training.score.network import ScoreShape
    from melnet_music.training.score.train import ScorePlan, train_score

    for name in ("minutes", "steps", "hidden", "layers", "threads"):
        value = getattr(arguments, name)
        if value is not None and not value > 0:
            raise ValueError(f"--{name} is {value:g}, want more than 0")
    torch.set_num_threads(arguments.threads)
    shape = ScoreShape(arguments.hidden, arguments.layers, 3 * arguments.hidden)
    plan = ScorePlan(minutes=arguments.minutes, steps=arguments.steps, seed=arguments.seed, shape=shape)

    def report(line: ScoreProgress) -> None:
        held_out = ", ".join(f"{kind} {parts['total']:.3f}" for kind, parts in line.held_out.items())
        sys.stdout.write(
            f"{line.fraction:4.0%} step {line.step}, {line.minutes:.0f} min: {line.train_nats:.3f} nats a note; "
            f"held out: {held_out}\n"
        )
        sys.stdout.flush()

    weights = train_score(arguments.out, arguments.scores, plan, report)
    sys.stdout.write(f"{weights}: ready, melnet-music plan IN.mid --weights {weights} --output OUT.mid\n")
    return 0


def _add_plan_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("input", type=Path, metavar="IN.mid", help="MIDI file to go on from, or to fill bars of")
    parser.add_argument("--output", type=Path, required=True, metavar="OUT.mid", help="MIDI file to write")
    parser.add_argument("--bars", type=int, help="how many to add after the last one (8)")
    parser.add_argument("--from-bar", type=int, metavar="N", help="instead: the first bar to plan anew, from 1")
    parser.add_argument("--to-bar", type=int, metavar="N", help="and the last one (the same)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same plan (%(default)s)")
    for name, meaning in (
        ("temperature", "1 as trained, less is tamer"),
        ("density", "notes a beat, relative to what was there"),
        ("register", "semitones above or below what was there"),
    ):
        parser.add_argument(f"--{name}", type=float, help=meaning)
    parser.add_argument("--scale", help="a key to keep to, as 'c major' or 'f# dorian' (free)")
    parser.add_argument("--plan-only", action="store_true", help="leave out what was there")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="from train-score (those that come with it)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _plan(arguments: Namespace) -> int:
    from melnet_music.notes.score.midi_plan import plan_file
    from melnet_music.notes.score.network import ScoreModel
    from melnet_music.notes.score.settings import PlanSettings

    fill = None
    if arguments.from_bar is not None or arguments.to_bar is not None:
        if arguments.from_bar is None or arguments.bars is not None:
            raise ValueError("--from-bar and --to-bar say which bars to plan anew, --bars how many to add: give either")
        fill = (arguments.from_bar - 1, arguments.to_bar or arguments.from_bar)
    asked = {name: getattr(arguments, name) for name in ("temperature", "density", "register", "scale")}
    settings = PlanSettings(**{name: value for name, value in asked.items() if value is not None})
    planned = plan_file(
        ScoreModel.load(arguments.weights),
        arguments.input,
        arguments.output,
        bars=8 if arguments.bars is None else arguments.bars,
        fill=fill,
        settings=settings,
        seed=arguments.seed,
        plan_only=arguments.plan_only,
    )
    first, last, notes = planned.first_bar + 1, planned.first_bar + planned.bars, len(planned.notes)
    if arguments.json:
        made = {"output": str(arguments.output), "first_bar": first, "last_bar": last, "notes": notes}
        sys.stdout.write(json.dumps(made) + "\n")
    else:
        sys.stdout.write(f"{arguments.output}: {notes} notes planned, bars {first} to {last}\n")
    return 0


def _add_measure_score_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--weights", type=Path, metavar="FILE", help="from train-score (those that come with it)")
    parser.add_argument("--works", type=int, default=50, help="held-out works of each kind to go on with (%(default)s)")
    parser.add_argument("--scores", type=Path, nargs="+", default=[], metavar="FILE.jsonl.gz", help="score files, too")
    parser.add_argument("--seed", type=int, default=1, help="of the plans, and of what is composed (%(default)s)")
    for name in ("temperature", "top-p", "hold"):
        parser.add_argument(f"--{name}", type=float, help="in place of what plan takes by itself")
    parser.add_argument(
        "--leakage", type=int, default=0, metavar="N",
        help="look for what is copied from the score files and the first N composed works of each kind (%(default)s)",
    )  # fmt: skip


def _measure_score(arguments: Namespace) -> int:
    from tqdm import tqdm

    from melnet_music.evaluation.score.continuations import continue_scores, leakage, summarise
    from melnet_music.notes.score.network import ScoreModel
    from melnet_music.notes.score.settings import PlanSettings
    from melnet_music.training.score.material import KINDS, composed_works, read_score_files

    model = ScoreModel.load(arguments.weights)
    asked = {name: getattr(arguments, name) for name in ("temperature", "top_p", "hold")}
    settings = PlanSettings(**{name: value for name, value in asked.items() if value is not None})
    files = read_score_files(arguments.scores)
    sets: dict[str, list[Score]] = {
        kind: composed_works(kind, arguments.seed, arguments.works, "test") for kind in KINDS
    }
    if files.test:
        sets["scores"] = files.test[:: max(len(files.test) // arguments.works, 1)][: arguments.works]
    trained = [score for scores in files.train for score in scores]
    if arguments.leakage:
        trained += [s for kind in KINDS for s in composed_works(kind, arguments.seed, arguments.leakage, "train")]
    for kind, scores in sets.items():
        with tqdm(total=len(scores), desc=kind, unit="work") as bar:

            def progress(done: int, _total: int, bar: tqdm[Any] = bar) -> None:
                bar.update(done - bar.n)

            made = continue_scores(model, scores, settings, arguments.seed, progress)
        figures = {"kind": kind, **summarise(made)}
        if trained:
            figures["leakage"] = leakage(made, trained)
        sys.stdout.write(json.dumps(figures) + "\n")
        sys.stdout.flush()
    return 0


SUBCOMMANDS = (
    Subcommand("plan", "Go on with the notes of a MIDI file, or fill bars of it", _add_plan_arguments, _plan),
    Subcommand("train-score", "Train the model that plans notes", _add_train_score_arguments, _train_score),
    Subcommand(
        "measure-score", "Measure what it plans against real music", _add_measure_score_arguments, _measure_score
    ),
)
