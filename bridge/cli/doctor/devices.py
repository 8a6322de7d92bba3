"""Sound devices, opened as the daemon does, with their sample rates and latency; MIDI ports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence

from bridge.audio.device_process import AudioDeviceOpened, AudioDeviceSettings, OpenedDevice, serve_audio
from bridge.audio.input_ring import InputRing
from bridge.audio.loop_player import LoopPlayer
from bridge.audio.output_ring import OutputRing
from bridge.cli.doctor.check import Check
from bridge.midi.ports import VIRTUAL
from bridge.processes.child_process import ChildProcess
from bridge.processes.messages import STOP

_OPENING_SECONDS = 30.0
_LONG_LATENCY_SECONDS = 0.05
_RING_SAMPLES = 1 << 16


def open_devices(output: str | None, audio_input: str | None) -> AudioDeviceOpened:
    """What the daemon would open, and what it says of what it cannot."""
    output_ring, ring = OutputRing.create(_RING_SAMPLES), InputRing.create(_RING_SAMPLES)
    loop = LoopPlayer.create(_RING_SAMPLES)
    names = AudioDeviceSettings(output_ring.name, ring.name, loop.name, output, audio_input)
    audio = ChildProcess("audio", serve_audio, names)
    try:
        audio.start()
        try:
            if audio.connection.poll(_OPENING_SECONDS):
                opened = audio.connection.recv()
                assert isinstance(opened, AudioDeviceOpened)
                return opened
            problem = f"the sound system does not answer within {_OPENING_SECONDS:g} s"
        except EOFError:
            problem = "the audio process died"
        finally:
            audio.send(STOP)
            audio.stop(2.0)
        return AudioDeviceOpened(None, None, (f"no audio: {problem}",))
    finally:
        output_ring.close()
        ring.close()
        loop.close()


def check_devices(
    output: str | None, audio_input: str | None, opened: AudioDeviceOpened, preset_hz: int | None
) -> Iterator[Check]:
    """``preset_hz``: None where no preset can be loaded."""
    for direction, wanted, device in (("output", output, opened.output), ("input", audio_input, opened.input)):
        if wanted is None:
            found = "takes only go to files" if direction == "output" else "none is wanted: what is played is not heard"
            yield Check(direction, "ok", found)
        elif device is None:
            said = [problem for problem in opened.problems if f"audio {direction}" in problem] or opened.problems
            yield Check(
                direction,
                "fail",
                "; ".join(said),
                f"name a device that `melnet-music devices` lists: --audio-{'out' if direction == 'output' else 'in'}"
                + (", or play to files only: --no-audio" if direction == "output" else ""),
            )
        else:
            yield Check(direction, "ok", f"{device.name}, {device.sample_rate_hz} Hz")
            yield _latency(direction, device)
    if opened.output and preset_hz:
        yield _sample_rate(opened.output.sample_rate_hz, preset_hz)
    if opened.output and opened.input and opened.output.sample_rate_hz != opened.input.sample_rate_hz:
        yield Check(
            "two rates",
            "warn",
            f"output at {opened.output.sample_rate_hz} Hz, input at {opened.input.sample_rate_hz} Hz",
            "use one device for both, or set both to one rate",
        )


def _latency(direction: str, device: OpenedDevice) -> Check:
    found = f"{1000 * device.latency_seconds:.0f} ms, as the {direction} device reports"
    if device.latency_seconds > _LONG_LATENCY_SECONDS:
        return Check("latency", "warn", found, "take a smaller buffer in the sound system (JACK: 512 or 1024 samples)")
    return Check("latency", "ok", found)


def _sample_rate(device_hz: int, preset_hz: int) -> Check:
    if device_hz == preset_hz:
        return Check("sample rate", "ok", f"{device_hz} Hz, as the preset")
    if device_hz < preset_hz:
        return Check(
            "sample rate",
            "warn",
            f"the device has {device_hz} Hz, the preset {preset_hz} Hz: treble is lost",
            f"set the device to {preset_hz} Hz or more",
        )
    return Check("sample rate", "ok", f"the preset's {preset_hz} Hz are resampled to the device's {device_hz} Hz")


def check_midi(system: str, inputs: Sequence[str], outputs: Sequence[str]) -> Check:
    """The ports that are wanted, among those there are: listed in a process of its own, for a MIDI system may hang."""
    wanted = [("inputs", each) for each in inputs] + [("outputs", each) for each in outputs]
    command = [sys.executable, "-m", "bridge.cli", "devices", "--json", "--midi-system", system]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=_OPENING_SECONDS, check=False)
        ports = json.loads(listed.stdout)["midi"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        ports = {"inputs": [], "outputs": [], "problem": "the ports cannot be listed"}
    if ports["problem"] and wanted:
        return Check("MIDI", "fail", ports["problem"], "docs/troubleshooting.md, MIDI; or start without MIDI options")
    if ports["problem"]:
        return Check(
            "MIDI", "warn", ports["problem"], "nothing, if you want no MIDI; else docs/troubleshooting.md, MIDI"
        )
    missing = [
        f"--midi-{direction.removesuffix('puts')} {part}"
        for direction, part in wanted
        if part != VIRTUAL and not any(part.lower() in name.lower() for name in ports[direction])
    ]
    there = f"inputs: {', '.join(ports['inputs']) or 'none'}; outputs: {', '.join(ports['outputs']) or 'none'}"
    if missing:
        advice = "plug it in: it is opened then; or name one that there is"
        return Check("MIDI", "warn", f"nothing matches {', '.join(missing)}; {there}", advice)
    return Check("MIDI", "ok", there)
