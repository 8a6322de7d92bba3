"""Subcommands on files: continue, inpaint, generate."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bridge.cli.offline_plan import Planner, add_ear_argument, add_plan_arguments, planner_of
from bridge.cli.subcommand import Subcommand, add_engine_arguments
from melnet_music.notes.midi_file import read_midi_notes
from melnet_music.notes.note_map import Note
from melnet_music.sound.audio_file import AudioClip, read_audio, write_audio

DEFAULT_SECONDS = 8.0
_MIDI_SUFFIXES = (".mid", ".midi")


def _add_common_arguments(parser: ArgumentParser) -> None:
    add_engine_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _add_take_arguments(parser: ArgumentParser) -> None:
    _add_common_arguments(parser)
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed: the same seed makes the same sound (%(default)s)"
    )
    parser.add_argument(
        "--temperature",
        type=float,
        help="scales the variance of the sound: 1 as trained, less is more predictable (the preset's)",
    )
    parser.add_argument(
        "--bias", type=float, help="prefers the likelier choices: 0 as trained, more is plainer (the preset's)"
    )
    parser.add_argument("--chunk-frames", type=int, metavar="N", help="mel frames generated together (the preset's)")


def _add_length_arguments(parser: ArgumentParser, what: str) -> None:
    parser.add_argument("--seconds", type=float, help=f"length of {what} ({DEFAULT_SECONDS:g}, or that of the notes)")
    parser.add_argument("--notes", type=Path, metavar="SONG.mid", help=f"MIDI file for the model to play in {what}")


def add_continue_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "input", type=Path, metavar="IN", help="audio file to continue, or MIDI file whose notes the model plays first"
    )
    parser.add_argument("output", type=Path, metavar="OUT", help="audio file to write: the input and its continuation")
    _add_length_arguments(parser, "the new part")
    _add_take_arguments(parser)
    add_plan_arguments(parser, "that of the sound")
    add_ear_argument(parser)


def add_inpaint_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("input", type=Path, metavar="IN", help="audio file to repaint a part of")
    parser.add_argument("output", type=Path, metavar="OUT", help="audio file to write")
    parser.add_argument("--start", type=float, required=True, metavar="S", help="second where the new part begins")
    parser.add_argument("--stop", type=float, required=True, metavar="S", help="second where it ends")
    _add_take_arguments(parser)
    add_plan_arguments(parser, "that of the sound")
    add_ear_argument(parser)


def add_generate_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("output", type=Path, metavar="OUT", help="audio file to write")
    _add_length_arguments(parser, "all of it")
    _add_take_arguments(parser)
    add_plan_arguments(parser, "120")


def run_continue(arguments: Namespace) -> int:
    """Write the input and its continuation."""
    from melnet_music.instrument.offline import continue_clip, render_phrase_clip

    phrase, clip = None, None
    planner = planner_of(arguments)
    if arguments.input.suffix.lower() in _MIDI_SUFFIXES:
        phrase = _notes(arguments.input)
    else:
        clip = read_audio(arguments.input)
    seconds, notes = _length_and_notes(arguments)
    instrument, request = _instrument(arguments, seconds, notes)
    if planner:
        planner.give_ear(instrument)
    with _bar(arguments, seconds + (_end_s(phrase) if phrase else 0.0)) as bar:
        if phrase:
            clip = render_phrase_clip(instrument, replace(request, seconds=_end_s(phrase), notes=phrase), _moving(bar))
        assert clip is not None
        spliced = continue_clip(
            instrument, clip, request, _moving(bar), planner.notes_after(instrument) if planner else None
        )
    return _written(arguments, spliced.clip, instrument, joins_s=spliced.joins_s, **_plan_written(planner))


def run_inpaint(arguments: Namespace) -> int:
    """Write the input with a part repainted."""
    from melnet_music.instrument.offline import inpaint_clip

    planner, part = planner_of(arguments), (arguments.start, arguments.stop)
    length = max(arguments.stop - arguments.start, 1e-3)
    clip, instrument, request = read_audio(arguments.input), *_instrument(arguments, length)
    if planner:
        planner.give_ear(instrument)
    notes_within = planner.notes_within(instrument, *part) if planner else None
    with _bar(arguments, length) as bar:
        spliced = inpaint_clip(instrument, clip, request, *part, _moving(bar), notes_within)
    return _written(arguments, spliced.clip, instrument, joins_s=spliced.joins_s, **_plan_written(planner))


def run_generate(arguments: Namespace) -> int:
    """Write music generated without a prompt."""
    from melnet_music.instrument.offline import generate_clip

    planner = planner_of(arguments)
    seconds, notes = _length_and_notes(arguments)
    instrument, request = _instrument(arguments, seconds, notes)
    if planner:
        request = replace(request, notes=planner.notes_from_nothing(instrument))
    with _bar(arguments, seconds) as bar:
        clip = generate_clip(instrument, request, _moving(bar))
    return _written(arguments, clip, instrument, **_plan_written(planner))


def _plan_written(planner: Planner | None) -> dict[str, Any]:
    """What is told of the plan; it is written where that was asked for."""
    return {"planned_notes": planner.written()} if planner else {}


def _length_and_notes(arguments: Namespace) -> tuple[float, tuple[Note, ...] | None]:
    """Of the new part; without ``--seconds`` it is as long as its notes."""
    notes = _notes(arguments.notes) if arguments.notes else None
    seconds = (_end_s(notes) if notes else DEFAULT_SECONDS) if arguments.seconds is None else arguments.seconds
    return seconds, notes


def _notes(path: Path) -> tuple[Note, ...]:
    notes = tuple(read_midi_notes(path))
    if not notes:
        raise ValueError(f"{path} has no notes (those of the drum channel, 10, are left out): give a file that has")
    return notes


def _end_s(notes: tuple[Note, ...]) -> float:
    return max(note.end_s for note in notes)


def _instrument(arguments: Namespace, seconds: float, notes: tuple[Note, ...] | None = None) -> tuple[Any, Any]:
    # numba takes seconds to import: only once the arguments and the input are known to be good
    from melnet_music.instrument.instrument import Instrument
    from melnet_music.instrument.take_request import TakeRequest

    request = TakeRequest(
        seconds=seconds,
        seed=arguments.seed,
        temperature=arguments.temperature,
        bias=arguments.bias,
        chunk_frames=arguments.chunk_frames,
        notes=notes,
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


def _moving(bar: Any) -> Callable[[float], None]:
    """Moves a bar by seconds, to its end at most: the last chunk may reach beyond what was asked for."""
    return lambda seconds: bar.update(min(seconds, bar.total - bar.n))


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
    Subcommand("continue", "Continue an audio file or a phrase of MIDI notes", add_continue_arguments, run_continue),
    Subcommand("inpaint", "Repaint a part of an audio file", add_inpaint_arguments, run_inpaint),
    Subcommand(
        "generate", "Generate music without a prompt, or play a MIDI file", add_generate_arguments, run_generate
    ),
)
