"""Subcommand bench: how fast an engine is on this machine."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from tqdm import tqdm

from bridge.cli.subcommand import Subcommand, add_engine_arguments

_CELLS = ("gru", "mingru", "lstm")


def add_bench_arguments(parser: ArgumentParser) -> None:
    add_engine_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--repeats", type=int, default=15, metavar="N", help="measured repeats (%(default)s)")
    parser.add_argument("--cold", action="store_true", help="also measure a start that has to compile everything")
    table = parser.add_argument_group(
        "table", "Instead of a preset, models of many sizes with random weights, as a Markdown table."
    )
    table.add_argument(
        "--table", action="store_true", help="measure it, which takes minutes; the options below choose from it"
    )
    table.add_argument("--cells", nargs="+", choices=_CELLS, metavar="CELL", help=f"of {', '.join(_CELLS)}")
    table.add_argument("--hidden", nargs="+", type=int, metavar="H", help="units of every layer")
    table.add_argument("--layers", nargs="+", type=_layers, metavar="L-L-L-L-L", help="layers of the five tiers")
    table.add_argument("--mel-bins", nargs="+", type=int, metavar="M", help="bins of a frame")
    table.add_argument("--engines", nargs="+", metavar="ENGINE", help="as --engine")


def run_bench(arguments: Namespace) -> int:
    """Measure one engine with one preset, or the table."""
    return _run_table(arguments) if arguments.table else _run_speed(arguments)


def _run_speed(arguments: Namespace) -> int:
    # numba takes seconds to import: only once the arguments are known to be good
    from melnet_music.bench.card_bound import bound_report, card_bound
    from melnet_music.bench.report import report
    from melnet_music.bench.speed import STAGES, measure_speed
    from melnet_music.model.config import read_preset_config
    from melnet_music.model.preset import CONFIG_FILE, find_preset, load_preset
    from melnet_music.sampling import AUTO, CARD_ENGINES, choose_engine
    from melnet_music.sampling.cuda.available import why_not

    engine = arguments.engine
    if engine in CARD_ENGINES and (reason := why_not()):
        folder = find_preset(arguments.preset)
        bound = card_bound(folder.name, read_preset_config(folder / CONFIG_FILE), engine, reason)
        sys.stdout.write(json.dumps(bound.as_json()) + "\n" if arguments.json else bound_report(bound))
        return 0
    preset = load_preset(arguments.preset)
    if engine == AUTO:
        chosen, why = choose_engine(preset, arguments.threads)
        engine = chosen.name
        chosen.close()
        if not arguments.json:
            sys.stdout.write(f"auto chose {engine}: {why}\n")
    with tqdm(total=len(STAGES), disable=arguments.json, delay=0.5, bar_format="bench: |{bar:20}| {desc}") as bar:

        def begin(stage: str) -> None:
            bar.set_description_str(stage, refresh=False)
            bar.update(STAGES.index(stage) - bar.n)

        speed = measure_speed(
            preset,
            engine,
            arguments.threads,
            repeats=arguments.repeats,
            cold=arguments.cold,
            begin=begin,
        )
        bar.update(1)
    sys.stdout.write(json.dumps(speed.as_json()) + "\n" if arguments.json else report(speed))
    return 0


def _run_table(arguments: Namespace) -> int:
    from melnet_music.bench import table

    sizes = table.sizes(
        arguments.cells or table.CELLS,
        arguments.hidden or table.HIDDEN,
        arguments.layers or table.LAYERS,
        arguments.mel_bins or table.MEL_BINS,
    )
    engines = arguments.engines or table.ENGINE_NAMES
    bar = tqdm(sizes, desc="bench", unit="size", disable=arguments.json, delay=0.5)
    rows = [table.measure_row(size, engines) for size in bar]
    sys.stdout.write(json.dumps([asdict(row) for row in rows]) + "\n" if arguments.json else table.markdown(rows))
    return 0


def _layers(text: str) -> tuple[int, ...]:
    return tuple(int(count) for count in text.split("-"))


SUBCOMMANDS = (Subcommand("bench", "Measure how fast an engine is on this machine", add_bench_arguments, run_bench),)
