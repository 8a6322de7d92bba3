"""The subcommand train."""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from bridge.subcommand import Subcommand

if TYPE_CHECKING:
    from melnet_music.config import PresetConfig
    from melnet_music.training.train import TierProgress


def _add_train_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("preset", help="name or folder of the preset to train: its preset.toml says what and how")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="recordings, as from make-data")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="becomes a preset folder to play from")
    parser.add_argument("--tiers", type=int, nargs="+", metavar="N", help="only these tiers, from 1 (all)")
    parser.add_argument("--processes", type=int, default=2, help="tiers trained side by side (%(default)s)")
    parser.add_argument("--steps", type=int, help="steps of every tier (the preset's minutes)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")


def _train(arguments: Namespace) -> int:
    from melnet_music.config import read_preset_config
    from melnet_music.preset import CONFIG_FILE, WEIGHTS_FILE, find_preset, write_weights
    from melnet_music.training.train import collect_weights, train

    folder = find_preset(arguments.preset)
    config = read_preset_config(folder / CONFIG_FILE)
    tiers = _chosen_tiers(arguments.tiers, config)
    bars = {
        tier: tqdm(total=100.0, desc=f"tier {tier + 1}", bar_format="{desc} {percentage:3.0f}% |{bar}| {postfix}")
        for tier in tiers
    }

    def report(line: TierProgress) -> None:
        bar = bars[line.tier - 1]
        left = line.minutes * (1 - line.fraction) / max(line.fraction, 1e-6)
        held_out = "" if line.valid_nats is None else f", held out {line.valid_nats:.3f}"
        bar.set_postfix_str(f"step {line.step}, {line.train_nats:.3f} nats a bin{held_out}, {left:.0f} min left")
        bar.update(100 * line.fraction - bar.n)

    train(
        config,
        arguments.data,
        arguments.out,
        seed=arguments.seed,
        tiers=tiers,
        processes=arguments.processes,
        steps=arguments.steps,
        report=report,
    )
    for bar in bars.values():
        bar.close()
    missing = [
        t for t in range(1, len(config.model.tiers) + 1) if not (arguments.out / f"tier-{t}.safetensors").exists()
    ]
    if missing:
        sys.stdout.write(f"{arguments.out}: tiers {missing} are still to be trained before it can play\n")
        return 0
    write_weights(arguments.out / WEIGHTS_FILE, collect_weights(arguments.out, config))
    if (folder / CONFIG_FILE).resolve() != (arguments.out / CONFIG_FILE).resolve():
        shutil.copy(folder / CONFIG_FILE, arguments.out / CONFIG_FILE)
    sys.stdout.write(f"{arguments.out}: ready, melnet-music continue IN OUT --preset {arguments.out}\n")
    return 0


def _chosen_tiers(numbers: list[int] | None, config: PresetConfig) -> list[int]:
    count = len(config.model.tiers)
    if not config.training.tiers:
        raise ValueError("the preset's [training] lists no tiers: say learning_rate and minutes of each")
    for number in numbers or []:
        if not 1 <= number <= count:
            raise ValueError(f"no tier {number}: the preset has tiers 1 to {count}")
    return [number - 1 for number in numbers] if numbers else list(range(count))


SUBCOMMANDS = (Subcommand("train", "Train a preset's model", _add_train_arguments, _train),)
