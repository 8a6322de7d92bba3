"""The subcommand train."""

from __future__ import annotations

import os
import shutil
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from bridge.cli.subcommand import Subcommand

if TYPE_CHECKING:
    from torch import Tensor

    from melnet_music.model.config import PresetConfig
    from melnet_music.training.curve import TierProgress
    from melnet_music.training.material.composition import Composition
    from melnet_music.training.tier_run import RunPlan


def _add_train_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "preset",
        nargs="?",
        help="name or folder of the preset to train: its preset.toml has the architecture and the training",
    )
    parser.add_argument("--from", dest="start", metavar="PRESET", help="start from this preset's weights (fine-tuning)")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, metavar="DIR", help="recordings, yours or from make-data")
    source.add_argument(
        "--compose", type=int, metavar="N",
        help="in place of recordings: compose the first N works that make-data would make from this --seed, and "
        "render them on the training device",
    )  # fmt: skip
    parser.add_argument("--kind", help="what --compose composes: piano, or music, ensembles of many kinds (piano)")
    parser.add_argument(
        "--sounds", type=Path, metavar="DIR", help="one-shots from make-sounds that --compose renders from"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the run, which becomes a preset"
    )
    parser.add_argument("--tiers", type=int, nargs="+", metavar="N", help="only these tiers, from 1 (all)")
    parser.add_argument("--processes", type=int, help="tiers trained at the same time (2; with --compose 1)")
    parser.add_argument(
        "--device", nargs="+", default=["auto"], metavar="NAME",
        help="auto, cpu, cuda or cuda:N; several are given to the processes in rotation (%(default)s)",
    )  # fmt: skip
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help="training time of all tiers together, divided as in the preset")
    length.add_argument("--steps", type=int, help="training steps of every tier, in place of minutes")
    parser.add_argument("--batch", type=int, help="clips of a step, divided among torchrun's processes (the preset's)")
    parser.add_argument("--rate", type=float, help="factor on the preset's learning rates (1; 0.3 with --from)")
    parser.add_argument(
        "--precision", choices=("auto", "float32", "bfloat16"), default="auto",
        help="precision of the matrix products; auto: bfloat16 on CUDA (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--no-samples", action="store_true", help="write no sound and pictures for TensorBoard")
    parser.add_argument(
        "--seed", type=int, default=1, help="random seed of the training, and of what is composed (%(default)s)"
    )


def _train(arguments: Namespace) -> int:
    from melnet_music.model.config import read_preset_config
    from melnet_music.model.preset import CONFIG_FILE, WEIGHTS_FILE, find_preset, write_weights
    from melnet_music.training.tier_weights import collect_weights
    from melnet_music.training.train import train

    if arguments.preset is None and arguments.start is None:
        raise ValueError("nothing to train: name a preset, or give --from a preset to go on from")
    folder = find_preset(arguments.preset or arguments.start)
    config = read_preset_config(folder / CONFIG_FILE)
    data = arguments.data or _composition(arguments)
    start = None if arguments.start is None else _start_weights(arguments.start, config)
    tiers = _chosen_tiers(arguments.tiers, config)
    leads = os.environ.get("RANK", "0") == "0"
    bars: dict[int, tqdm[Any]] = {}  # shown once there is something to show: an error stands alone

    def report(line: TierProgress) -> None:
        if line.tier not in bars:
            shown = "{desc} {percentage:3.0f}% |{bar}| {postfix}"
            bars[line.tier] = tqdm(total=100.0, desc=f"tier {line.tier}", bar_format=shown, disable=not leads)
        bar = bars[line.tier]
        left = line.minutes * (1 - line.fraction) / max(line.fraction, 1e-6)
        held_out = "" if line.valid_nats is None else f", held out {line.valid_nats:.3f}"
        bar.set_postfix_str(f"step {line.step}, {line.train_nats:.3f} nats a bin{held_out}, {left:.0f} min left")
        bar.update(100 * line.fraction - bar.n)

    def rendered(done: int, total: int) -> None:
        if 0 not in bars:
            bars[0] = tqdm(total=total, desc="rendering", unit="work", disable=not leads)
        bars[0].update(done - bars[0].n)

    try:
        train(
            config,
            data,
            arguments.out,
            tiers=tiers,
            plan=_plan(arguments, config, tiers),
            processes=arguments.processes or (1 if arguments.data is None else 2),
            devices=arguments.device,
            start_from=start,
            samples=not arguments.no_samples,
            report=report,
            rendered=rendered,
        )
    finally:
        for bar in bars.values():
            bar.close()
    if not leads:
        return 0
    out: Path = arguments.out
    missing = [t for t in range(1, len(config.model.tiers) + 1) if not (out / f"tier-{t}.safetensors").exists()]
    if missing and start is None:
        sys.stdout.write(f"{out}: tiers {missing} are still to be trained before it can play\n")
        return 0
    write_weights(out / WEIGHTS_FILE, collect_weights(out, config, known=start))
    if (folder / CONFIG_FILE).resolve() != (out / CONFIG_FILE).resolve():
        shutil.copy(folder / CONFIG_FILE, out / CONFIG_FILE)
    sys.stdout.write(f"{out}: ready, melnet-music continue IN OUT --preset {out}\n")
    return 0


def _composition(arguments: Namespace) -> Composition:
    from melnet_music.training.material.composition import Composition

    if arguments.sounds is None:
        raise ValueError("--compose needs --sounds, a folder of one-shots: melnet-music make-sounds DIR makes one")
    return Composition(arguments.kind or "piano", arguments.compose, arguments.seed, arguments.sounds)


def _start_weights(preset: str, config: PresetConfig) -> dict[str, Tensor]:
    from melnet_music.model.preset import load_preset

    start = load_preset(preset)
    for part in ("sound", "model"):
        if getattr(start.config, part) != getattr(config, part):
            raise ValueError(
                f"the [{part}] of {preset} is another than that of the preset to train: "
                "give one of the two, or two that agree"
            )
    return start.model().state_dict()


def _plan(arguments: Namespace, config: PresetConfig, tiers: list[int]) -> RunPlan:
    from melnet_music.training.tier_run import RunPlan
    from melnet_music.training.world import choose_device

    if arguments.data is not None and (arguments.kind or arguments.sounds):
        raise ValueError("--kind and --sounds say what --compose does, and recordings are given: leave them out")
    for name in ("compose", "minutes", "steps", "batch", "rate", "processes"):
        value = getattr(arguments, name)
        if value is not None and not value > 0:
            raise ValueError(f"--{name} is {value:g}, want more than 0")
    on_cuda = any(choose_device(name).type == "cuda" for name in arguments.device)
    planned = sum(config.training.tiers[tier].minutes for tier in tiers)
    return RunPlan(
        seed=arguments.seed,
        steps=arguments.steps,
        length=arguments.minutes / planned if arguments.minutes else 1.0,
        batch=arguments.batch,
        rate=arguments.rate or (0.3 if arguments.start else 1.0),
        mixed_precision=arguments.precision == "bfloat16" or (arguments.precision == "auto" and on_cuda),
        loaders=4 if on_cuda else 0,
    )


def _chosen_tiers(numbers: list[int] | None, config: PresetConfig) -> list[int]:
    count = len(config.model.tiers)
    if not config.training.tiers:
        raise ValueError("the preset's [training] lists no tiers: say learning_rate and minutes of each")
    for number in numbers or []:
        if not 1 <= number <= count:
            raise ValueError(f"no tier {number}: the preset has tiers 1 to {count}")
    return [number - 1 for number in sorted(set(numbers))] if numbers else list(range(count))


SUBCOMMANDS = (Subcommand("train", "Train a preset's model", _add_train_arguments, _train),)
