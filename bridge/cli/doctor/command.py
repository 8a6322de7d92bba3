"""Subcommand doctor: checks what `serve` needs, with the options of `serve`."""

from __future__ import annotations

import json
import logging
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import asdict

from bridge.audio.device_process import AudioDeviceOpened
from bridge.cli.doctor.check import Check, lines, verdict
from bridge.cli.doctor.devices import check_devices, check_midi, open_devices
from bridge.cli.doctor.instrument import check_engine, check_planning, check_preset, check_takes_folder
from bridge.cli.doctor.ports import check_osc_port, check_oscquery_port
from bridge.cli.live import add_serve_options
from bridge.cli.subcommand import Subcommand
from bridge.stage.daemon import check_room


def add_doctor_arguments(parser: ArgumentParser) -> None:
    """Add the options of `serve`, and its own."""
    add_serve_options(parser)
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")
    parser.add_argument("--no-speed", action="store_true", help="do not measure the engine, which takes seconds")


def doctor(arguments: Namespace) -> int:
    """Print each check as it is done; returns 1 if one of them would keep `serve` from playing."""
    logging.getLogger("bridge").setLevel(logging.ERROR)  # what is found is told below
    checks: list[Check] = []
    for check in examine(arguments):
        checks.append(check)
        if not arguments.json:
            sys.stdout.writelines(f"{line}\n" for line in lines([check]))
            sys.stdout.flush()
    failed = any(check.state == "fail" for check in checks)
    if arguments.json:
        result = {"can_play": not failed, "checks": [asdict(check) for check in checks]}
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        sys.stdout.write(f"\n{verdict(checks)}\n")
    return int(failed)


def examine(arguments: Namespace) -> Iterator[Check]:
    """All checks, quick ones first."""
    yield check_osc_port(arguments.osc_host, arguments.osc_port)
    yield check_oscquery_port(arguments.osc_host, arguments.oscquery_port)
    yield _shared_memory(arguments.tape_minutes)
    yield check_takes_folder(arguments.takes.absolute())
    preset_check, preset = check_preset(arguments.preset)
    yield preset_check
    yield check_planning()
    output = None if arguments.no_audio else arguments.audio_out
    audio_input = None if arguments.no_audio else arguments.audio_in
    wanted = output is not None or audio_input is not None
    opened = open_devices(output, audio_input) if wanted else AudioDeviceOpened(None, None, ())
    rate_hz = preset.config.sound.sample_rate_hz if preset else None
    yield from check_devices(output, audio_input, opened, rate_hz)
    outputs = [*arguments.midi_out, *arguments.midi_clock_out, *arguments.midi_notes_out]
    yield check_midi(arguments.midi_system, arguments.midi_in, outputs)
    if preset and not arguments.no_speed:
        yield from check_engine(arguments.preset, arguments.engine, arguments.threads)


def _shared_memory(minutes: float) -> Check:
    try:
        check_room(minutes)
    except ValueError as error:
        return Check("shared memory", "fail", str(error), "docs/troubleshooting.md, Not enough shared memory")
    return Check("shared memory", "ok", f"there is room for a tape of {minutes:g} minutes")


SUBCOMMANDS = (Subcommand("doctor", "Check what `serve` needs, and say what to change", add_doctor_arguments, doctor),)
