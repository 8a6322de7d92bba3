"""The subcommand render."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from bridge.cli.subcommand import Subcommand
from bridge.takes.notes_file import given_in_file, read_notes
from bridge.takes.take_files import read_prompt, read_take
from bridge.takes.take_request import blocks_of, request_of, with_alternatives
from melnet_music.sound.audio_file import AudioClip, write_audio


def _add_render_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("take", type=Path, metavar="TAKE.json", help="the JSON file of a take, in the takes folder")
    parser.add_argument("output", type=Path, metavar="OUT.wav", help="audio file to write")
    parser.add_argument(
        "--notes", type=Path, metavar="FILE.mid", help="MIDI file of what it plays instead, as take/export wrote it"
    )
    parser.add_argument("--seed", type=int, help="another seed: other sound of the same notes (the take's)")
    parser.add_argument("--preset", help="name or folder of the take's preset, where its JSON file does not lead there")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the engine (as many as there are cores)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _render(arguments: Namespace) -> int:
    """Render a take again from its saved prompt and parameters, with other notes or another seed if given."""
    saved = read_take(arguments.take)
    job = saved.job if arguments.seed is None else replace(saved.job, seed=arguments.seed)
    if arguments.notes:
        job = replace(job, notes=given_in_file(job, read_notes(arguments.notes)))
    prompt = read_prompt(arguments.take, saved.prompt) if saved.prompt else None
    # numba takes seconds to import: only once the take is known to be complete
    import numpy as np

    from melnet_music.instrument.instrument import Instrument
    from melnet_music.instrument.take_request import TakeRequest
    from melnet_music.sampling.batch import DrawnTake

    origin = saved.origin
    instrument = Instrument.load(
        arguments.preset or origin.preset, engine=origin.engine, threads=arguments.threads, fourier=origin.fourier
    )
    if instrument.preset_digest != origin.preset_digest:
        raise ValueError(
            f"preset {instrument.preset_name} has digest {instrument.preset_digest}, the take was made with "
            f"{origin.preset_digest}: give that version with --preset"
        )
    if prompt:
        instrument.remember(prompt)
    # beside as many others as it was drawn with: sums of another shape could round differently
    others = ((job.seed, None, DrawnTake()) for _ in range(origin.drawn_together - 1))
    request = with_alternatives(request_of(job, TakeRequest), others)
    audio = np.concatenate(list(blocks_of(instrument, request, job)))
    write_audio(arguments.output, AudioClip(audio[:, None], origin.sample_rate_hz, subtype="FLOAT"))
    seconds = len(audio) / origin.sample_rate_hz
    if arguments.json:
        sys.stdout.write(json.dumps({"output": str(arguments.output), "seconds": seconds}) + "\n")
    else:
        sys.stdout.write(f"{arguments.output}: {seconds:.2f} s\n")
    return 0


SUBCOMMANDS = (
    Subcommand("render", "Render a take of the daemon again, identical to the sample", _add_render_arguments, _render),
)
