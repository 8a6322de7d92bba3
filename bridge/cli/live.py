"""Subcommands around the daemon: serve, play, devices, presets."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
import time
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from bridge.audio.device_process import DEFAULT_DEVICE, list_devices
from bridge.cli.subcommand import DEFAULT_OSC_PORT, Subcommand, add_engine_arguments
from bridge.midi.mapping_file import FILE_NAME
from bridge.midi.ports import MIDI_SYSTEMS, VIRTUAL, MidiSettings, list_midi_ports
from bridge.osc.client import OscClient
from bridge.osc.datagrams import Message
from bridge.protocol.errors import CommandError
from bridge.protocol.table import SECONDS, SEED
from bridge.protocol.types import NAMESPACE, Argument, Value
from bridge.stage.daemon import Daemon, DaemonSettings

DEFAULT_OSCQUERY_PORT = 9101
_JOB_ID = 1
_SILENT_SECONDS = 120.0
_SHOW_EVERY_SECONDS = 2.0


def _add_daemon_arguments(parser: ArgumentParser) -> None:
    add_engine_arguments(parser)
    parser.add_argument(
        "--audio-out",
        default=DEFAULT_DEVICE,
        metavar="NAME",
        help="output device, by a part of its name; see `devices` (%(default)s)",
    )
    parser.add_argument("--no-audio", action="store_true", help="open no sound device: takes are only written to files")
    parser.add_argument(
        "--takes",
        type=Path,
        default=Path("takes"),
        metavar="DIR",
        help="folder that takes are written to (%(default)s)",
    )


def add_serve_arguments(parser: ArgumentParser) -> None:
    add_serve_options(parser)
    parser.add_argument("--json", action="store_true", help="print the ports it listens on as one line of JSON")


def add_serve_options(parser: ArgumentParser) -> None:
    """What `serve` is started with; `doctor` checks the same."""
    _add_daemon_arguments(parser)
    parser.add_argument(
        "--osc-host", default="127.0.0.1", help="address to listen on, for OSC and OSCQuery (%(default)s)"
    )
    parser.add_argument("--osc-port", type=int, default=DEFAULT_OSC_PORT, help="UDP port (%(default)s; 0: any)")
    parser.add_argument(
        "--oscquery-port",
        type=int,
        default=DEFAULT_OSCQUERY_PORT,
        metavar="N",
        help="TCP port of OSCQuery, from which controllers read commands and properties (%(default)s; 0: none)",
    )
    parser.add_argument(
        "--oscquery-host",
        action="append",
        default=[],
        metavar="NAME",
        help="name or address by which OSCQuery clients may call this machine, besides its own; may come several times",
    )
    parser.add_argument(
        "--oscquery-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="origin of web pages that may use OSCQuery, such as http://localhost:3000; may come several times",
    )
    parser.add_argument("--no-panel", action="store_true", help="serve no page for browsers at OSCQuery's port")
    parser.add_argument(
        "--reply-host",
        action="append",
        default=[],
        metavar="HOST",
        help="host to which /melnet/reply may send a client's answers, besides its own; may be given several times",
    )
    parser.add_argument(
        "--audio-in",
        metavar="NAME",
        help=f"input device, by a part of its name, or `{DEFAULT_DEVICE}`; without this there is none",
    )
    for direction, use in (
        ("in", "notes, controls and program changes are read from it"),
        ("out", "motor faders and LED rings on it show the values of mapped controls"),
    ):
        parser.add_argument(
            f"--midi-{direction}",
            action="append",
            default=[],
            metavar="NAME",
            help=f"MIDI {direction}put, by a part of its name, or `{VIRTUAL}` for a new port of the daemon's "
            f"own: {use}; may be given several times",
        )
    parser.add_argument(
        "--midi-clock-out", action="append", default=[], metavar="NAME",
        help=f"MIDI output that a clock is sent to, by a part of its name, or `{VIRTUAL}`; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--midi-notes-out", action="append", default=[], metavar="NAME",
        help=f"MIDI output that planned notes are played on as they sound, by a part of its name, or `{VIRTUAL}`; "
        "may be given several times",
    )  # fmt: skip
    _add_midi_system(parser)
    parser.add_argument(
        "--midi-map", type=Path, default=user_config_path("melnet-music") / FILE_NAME, metavar="FILE",
        help="your mapping file; learned controls are written to it (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--allow-folder",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder that OSC commands may read audio files from and export to; may be given several times",
    )
    parser.add_argument(
        "--tape-minutes", type=float, default=5.0, metavar="N",
        help="length of the tape: how far back bars can be looped and repainted (%(default)g)",
    )  # fmt: skip


def _add_midi_system(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--midi-system",
        choices=MIDI_SYSTEMS,
        default=MIDI_SYSTEMS[0],
        help="MIDI system whose ports are used (%(default)s)",
    )


def serve(arguments: Namespace) -> int:
    """Run the daemon until SIGTERM or SIGINT."""
    daemon = Daemon(
        DaemonSettings(
            preset=arguments.preset,
            engine=arguments.engine,
            threads=arguments.threads,
            osc_host=arguments.osc_host,
            osc_port=arguments.osc_port,
            oscquery_port=arguments.oscquery_port or None,
            oscquery_hosts=tuple(arguments.oscquery_host),
            oscquery_origins=tuple(arguments.oscquery_origin),
            panel=not arguments.no_panel,
            output_device=None if arguments.no_audio else arguments.audio_out,
            input_device=None if arguments.no_audio else arguments.audio_in,
            takes_folder=arguments.takes.absolute(),
            allowed_folders=tuple(arguments.allow_folder),
            midi=MidiSettings(
                tuple(arguments.midi_in),
                tuple(arguments.midi_out),
                arguments.midi_system,
                tuple(arguments.midi_clock_out),
                tuple(arguments.midi_notes_out),
            ),
            midi_map=arguments.midi_map if arguments.midi_in or arguments.midi_out else None,
            reply_hosts=tuple(arguments.reply_host),
            tape_minutes=arguments.tape_minutes,
        )
    )
    return run_daemon(daemon, as_json=arguments.json)


def run_daemon(daemon: Daemon, *, as_json: bool) -> int:
    """Run until SIGTERM or SIGINT.

    Raises:
        ValueError: the first preset cannot be loaded.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.stop())
    logging.getLogger("bridge.stage").setLevel(logging.INFO)  # tells the user what it opened
    host, port = daemon.address
    oscquery_port = daemon.oscquery_address[1] if daemon.oscquery_address else None
    if as_json:
        panel = _page(*daemon.panel_address[:2]) if daemon.panel_address else None
        _write_json({"osc_host": host, "osc_port": port, "oscquery_port": oscquery_port, "panel": panel})
    else:
        _write(f"listening for OSC on {host}:{port}" + (f", OSCQuery on {oscquery_port}" if oscquery_port else ""))
        if daemon.panel_address:
            _write(f"panel: {_page(*daemon.panel_address[:2])}")
    daemon.run()
    return 0


def _page(host: str, port: int) -> str:
    """Where a browser on this machine finds the panel."""
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/"


def add_play_arguments(parser: ArgumentParser) -> None:
    _add_daemon_arguments(parser)
    for argument in (SECONDS, SEED):
        parser.add_argument(
            f"--{argument.name}",
            type=float if argument.kind == "float" else int,
            default=argument.default,
            help=f"{argument.help} (%(default)s)",
        )


def play(arguments: Namespace) -> int:
    """Start a daemon, prime it with the preset's phrase, and have it play phrase and continuation over OSC."""
    for argument in (SECONDS, SEED):
        _check(argument, getattr(arguments, argument.name))
    phrase = _find_phrase(arguments.preset)
    daemon = Daemon(
        DaemonSettings(
            preset=arguments.preset,
            engine=arguments.engine,
            threads=arguments.threads,
            osc_host="127.0.0.1",
            osc_port=0,
            output_device=None if arguments.no_audio else arguments.audio_out,
            input_device=None,
            takes_folder=arguments.takes.absolute(),
            allowed_folders=(phrase.parent,),
        )
    )
    failures: list[ValueError] = []

    def run() -> None:
        try:
            daemon.run()
        except ValueError as error:
            failures.append(error)

    thread = threading.Thread(target=run, name="daemon")
    thread.start()
    client = OscClient(daemon.address)
    try:
        return _play_over_osc(client, thread, phrase, arguments)
    except EOFError:
        raise (failures[0] if failures else ValueError("the daemon stopped")) from None
    finally:
        client.close()
        daemon.stop()
        thread.join()


def _play_over_osc(client: OscClient, daemon: threading.Thread, phrase: Path, arguments: Namespace) -> int:
    _write(f"loading preset {arguments.preset}, engine {arguments.engine}")
    client.send(f"{NAMESPACE}/prime/file", [phrase.name])
    primed = _answer(client, daemon, "done")
    phrase_seconds = float(primed["seconds"])
    client.send(f"{NAMESPACE}/status")
    status = _answer(client, daemon, "status.reply")
    _write(f"heard {phrase.name}, {phrase_seconds:.1f} s; output: {status['output']}")
    client.send(
        f"{NAMESPACE}/continue",
        # the phrase is in no tempo of the transport's, which a plan would keep to
        [_JOB_ID, "seconds", arguments.seconds, "seed", arguments.seed, "lead", phrase_seconds, "plan", "off"],
    )
    done = _answer(client, daemon, "done")
    if "start_in" in done:
        _write(f"sound starts in about {done['start_in']:.1f} s: the phrase, then its continuation")
    finished = _answer(client, daemon, "finished")
    if finished["sounded"]:
        _write(f"played {finished['seconds']:.1f} s with {finished['gaps']} gaps")
    if finished["file"]:
        _write(f"wrote {finished['file']}")
    return 0 if finished["gaps"] == 0 else 1


def _answer(client: OscClient, daemon: threading.Thread, wanted: str) -> dict[str, Any]:
    """Wait for one answer and return its key-value pairs; print progress and warnings that come before it.

    Raises:
        ValueError: the daemon answers with a failure, or not at all for two minutes.
        EOFError: the daemon has stopped.
    """
    last_heard = last_shown = time.monotonic()
    while time.monotonic() - last_heard < _SILENT_SECONDS:
        message = client.receive(0.2)
        if message is None:
            if not daemon.is_alive():
                raise EOFError
            continue
        last_heard = time.monotonic()
        answer = message.address.removeprefix(f"{NAMESPACE}/")
        if answer == "fail":
            raise ValueError(str(message.values[3]))
        values = _pairs(message)
        if answer == wanted:
            return values
        if answer == "started":
            _write(f"sound started {values['waited']:.1f} s after the trigger")
        elif answer == "progress" and last_heard - last_shown > _SHOW_EVERY_SECONDS:
            last_shown = last_heard
            _write(f"generated {values['generated']:.1f} of {values['of']:.1f} s, played {values['played']:.1f} s")
        elif answer == "warning":
            _write(f"warning: {message.values[2]}")
    raise ValueError(f"no answer from the daemon for {_SILENT_SECONDS:g} s")


def _pairs(message: Message) -> dict[str, Any]:
    values = message.values if message.address.endswith(".reply") else message.values[2:]
    return {str(key): value for key, value in zip(values[::2], values[1::2], strict=False)}


def _find_phrase(preset: str) -> Path:
    from melnet_music.model.preset import PHRASE_FILE, find_preset  # brings pydantic along

    phrase = find_preset(preset) / PHRASE_FILE
    if not phrase.is_file():
        raise ValueError(
            f"preset {preset!r} has no {PHRASE_FILE} to continue: name a preset that has, or put one into its folder"
        )
    return phrase


def _check(argument: Argument, value: Value) -> None:
    try:
        argument.check(value)
    except CommandError as error:
        raise ValueError(f"--{error}") from error


def add_devices_arguments(parser: ArgumentParser) -> None:
    _add_midi_system(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def devices(arguments: Namespace) -> int:
    """List the sound devices, with ``*`` at the system's default, and the MIDI ports."""
    found, midi = list_devices(), list_midi_ports(arguments.midi_system)
    if arguments.json:
        _write_json(
            {
                "audio": [asdict(device) for device in found],
                "midi": {"inputs": midi.inputs, "outputs": midi.outputs, "problem": midi.problem},
            }
        )
        return 0
    for device in found:
        default = "*" if device.is_default_output or device.is_default_input else " "
        _write(
            f"{default} {device.full_name}: {device.output_channels} out, {device.input_channels} in, "
            f"{device.sample_rate_hz} Hz"
        )
    if not found:
        _write("no sound devices found; takes are only written to files")
    for direction, names in (("in", midi.inputs), ("out", midi.outputs)):
        for name in names:
            _write(f"  MIDI {direction}: {name}")
    if midi.problem:
        _write(midi.problem)
    return 0


def add_presets_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")


def presets(arguments: Namespace) -> int:
    """List the presets that can be named."""
    from melnet_music.model.preset import list_presets  # brings pydantic along

    found = list_presets()
    if arguments.json:
        _write_json([{**asdict(preset), "path": str(preset.path)} for preset in found])
        return 0
    for preset in found:
        _write(f"{preset.name}: {preset.title}{'' if preset.has_weights else ' (not trained)'}")
    return 0


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _write_json(value: object) -> None:
    _write(json.dumps(value))


SUBCOMMANDS = (
    Subcommand("serve", "Run the daemon until it is interrupted", add_serve_arguments, serve),
    Subcommand("play", "Play a preset's phrase and a continuation of it, then exit", add_play_arguments, play),
    Subcommand("devices", "List the sound devices and MIDI ports", add_devices_arguments, devices),
    Subcommand("presets", "List the presets", add_presets_arguments, presets),
)
