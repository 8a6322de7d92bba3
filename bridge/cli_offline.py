"""Subcommands on files: continue, inpaint, generate."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bridge.subcommand import Subcommand, add_engine_arguments
from melnet_music.audio_file import AudioClip, read_audio, write_audio

DEFAULT_SECONDS = 8.0


def _add_common_arguments(parser: ArgumentParser) -> None:
    add_engine_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _add_take_arguments(parser: ArgumentParser) -> None:
    _add_common_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same sound (%(default)s)")
    parser.add_argument("--temperature", type=float, help="1 as trained, less is tamer (the preset's)")
    parser.add_argument("--bias", type=float, help="0 as trained, more is bolder and plainer (the preset's)")
    parser.add_argument("--chunk-frames", type=int, metavar="N", help="frames made together (the preset's)")


def add_continue_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("input", type=Path, metavar="IN", help="audio file to go on from")
    parser.add_argument("output", type=Path, metavar="OUT", help="audio file to write: the input and what follows")
    parser.add_argument("--seconds", type=float, default=DEFAULT_SECONDS, help="length of the new part (%(default)g)")
    _add_take_arguments(parser)


def add_inpaint_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("input", type=Path, metavar="IN", help="audio file to repaint a part of")
    parser.add_argument("output", type=Path, metavar="OUT", help="audio file to write")
    parser.add_argument("--start", type=float, required=True, metavar="S", help="second where the new part begins")
    parser.add_argument("--stop", type=float, required=True, metavar="S", help="second where it ends")
    _add_take_arguments(parser)


def add_generate_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("output", type=Path, metavar="OUT", help="audio file to write")
    parser.add_argument("--seconds", type=float, default=DEFAULT_SECONDS, help="length (%(default)g)")
    _add_take_arguments(parser)


def run_continue(arguments: Namespace) -> int:
    """The input, then new music."""
    from melnet_music.offline import continue_clip

    clip, instrument, request = read_audio(arguments.input), *_instrument(arguments, arguments.seconds)
    with _bar(arguments, arguments.seconds) as bar:
        spliced = continue_clip(instrument, clip, request, bar.update)
    return _written(arguments, spliced.clip, instrument, joins_s=spliced.joins_s)


def run_inpaint(arguments: Namespace) -> int:
    """The input with a part repainted."""
    from melnet_music.offline import inpaint_clip

    length = max(arguments.stop - arguments.start, 1e-3)
    clip, instrument, request = read_audio(arguments.input), *_instrument(arguments, length)
    with _bar(arguments, length) as bar:
        spliced = inpaint_clip(instrument, clip, request, arguments.start, arguments.stop, bar.update)
    return _written(arguments, spliced.clip, instrument, joins_s=spliced.joins_s)


def run_generate(arguments: Namespace) -> int:
    """New music out of nothing."""
    from melnet_music.offline import generate_clip

    instrument, request = _instrument(arguments, arguments.seconds)
    with _bar(arguments, arguments.seconds) as bar:
        clip = generate_clip(instrument, request, bar.update)
    return _written(arguments, clip, instrument)


def _instrument(arguments: Namespace, seconds: float) -> tuple[Any, Any]:
    # numba takes its time to import: only once the arguments and the input are known to be good
    from melnet_music.instrument import Instrument, TakeRequest

    request = TakeRequest(
        seconds=seconds,
        seed=arguments.seed,
        temperature=arguments.temperature,
        bias=arguments.bias,
        chunk_frames=arguments.chunk_frames,
    )
    return Instrument.load(arguments.preset, engine=arguments.engine, threads=arguments.threads), request


def _bar(arguments: Namespace, seconds: float) -> Any:
    return tqdm(
        total=round(seconds, 2),
        unit="s",
        desc=arguments.subcommand,
        disable=arguments.json,
        delay=0.5,
        bar_format="{desc}: {percentage:3.0f}% |{bar}| {n:.1f} of {total:.1f} s of sound, {remaining} left",
    )


def _written(arguments: Namespace, clip: AudioClip, instrument: Any, **more: Any) -> int:
    write_audio(arguments.output, clip)
    if arguments.json:
        result = {
            "output": str(arguments.output),
            "seconds": clip.seconds,
            "sample_rate_hz": clip.sample_rate_hz,
            "seed": arguments.seed,
            "preset": instrument.preset_name,
            "digest": instrument.preset_digest,
            "engine": instrument.engine_name,
            **more,
        }
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        sys.stdout.write(f"{arguments.output}: {clip.seconds:.2f} s\n")
    return 0


SUBCOMMANDS = (
    Subcommand("continue", "Continue an audio file", add_continue_arguments, run_continue),
    Subcommand("inpaint", "Repaint a part of an audio file", add_inpaint_arguments, run_inpaint),
    Subcommand("generate", "Make music out of nothing", add_generate_arguments, run_generate),
)
