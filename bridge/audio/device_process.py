"""The sound devices, in a process of their own: callbacks that only copy between device and shared rings.

Measured: beside a busy Python thread 39-49 % of 5.8 ms callbacks come late, in another process 2 %. And a
sound server that dies can block a PortAudio call for minutes, which here blocks nobody else.
"""

from __future__ import annotations

import gc
import logging
import os
from dataclasses import dataclass
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any, Literal

import numpy as np

from bridge.audio.input_ring import InputRing
from bridge.audio.loop_player import LoopPlayer
from bridge.audio.monitor import Monitor
from bridge.audio.output_ring import OutputRing

_LOG = logging.getLogger(__name__)

Direction = Literal["output", "input"]
DEFAULT_DEVICE = "default"
_BLOCK_SAMPLES = 8192  # more than any device asks for at once; longer requests are served in pieces
_WATCH_SECONDS = 0.25
_SILENT_WATCHES = 8  # the server is dead when no callback came for so many


@dataclass(frozen=True)
class Device:
    """A sound device as PortAudio lists it."""

    index: int
    name: str
    host_api: str
    output_channels: int
    input_channels: int
    sample_rate_hz: int
    is_default_output: bool
    is_default_input: bool

    @property
    def full_name(self) -> str:
        return f"{self.name}, {self.host_api}"


@dataclass(frozen=True)
class AudioDeviceSettings:
    """Which devices to open, by a part of their names; None: none."""

    output_ring: str
    input_ring: str
    loop_memory: str
    output_device: str | None
    input_device: str | None
    output_monitor: str | None = None
    """Memory that shows what the output is given, by device time; None: nobody watches."""
    input_monitor: str | None = None
    """The same of what the input gives, by its own count."""


@dataclass(frozen=True)
class OpenedDevice:
    name: str
    sample_rate_hz: int
    latency_seconds: float


@dataclass(frozen=True)
class AudioDeviceOpened:
    """What could be opened, and for what could not, why."""

    output: OpenedDevice | None
    input: OpenedDevice | None
    problems: tuple[str, ...]


def list_devices() -> list[Device]:
    """All devices of this machine. Starts PortAudio in this process."""
    import sounddevice  # starts PortAudio, which only processes that may die with the sound server should do

    apis = sounddevice.query_hostapis()
    default_input, default_output = sounddevice.default.device
    return [
        Device(
            index=device["index"],
            name=device["name"],
            host_api=apis[device["hostapi"]]["name"],
            output_channels=device["max_output_channels"],
            input_channels=device["max_input_channels"],
            sample_rate_hz=round(device["default_samplerate"]),
            is_default_output=device["index"] == default_output,
            is_default_input=device["index"] == default_input,
        )
        for device in sounddevice.query_devices()
    ]


def choose_device(devices: list[Device], part: str, direction: Direction) -> Device:
    """The device with ``part`` in "name, host API" (any case), or the system's for ``default``.

    Raises:
        ValueError: none matches or several do; the message lists the devices there are.
    """
    usable = [each for each in devices if (each.output_channels if direction == "output" else each.input_channels)]
    names = "; ".join(each.full_name for each in usable) or "none at all"
    if part == DEFAULT_DEVICE:
        for each in usable:
            if each.is_default_output if direction == "output" else each.is_default_input:
                return each
        raise ValueError(f"there is no default {direction} device; {direction} devices: {names}")
    exact = [each for each in usable if part in (each.name, each.full_name)]
    matching = exact or [each for each in usable if part.lower() in each.full_name.lower()]
    if len(matching) != 1:
        count = "several" if matching else "no"
        raise ValueError(f"{count} {direction} devices match {part!r}; {direction} devices: {names}")
    return matching[0]


def serve_audio(connection: Connection, settings: AudioDeviceSettings) -> None:
    """Main function of the audio process: opens the devices, says so, and serves until told to stop."""
    output_ring, audio_input = OutputRing.attach(settings.output_ring), InputRing.attach(settings.input_ring)
    loop = LoopPlayer.attach(settings.loop_memory)
    output_monitor, input_monitor = (
        Monitor.attach(name) if name else None for name in (settings.output_monitor, settings.input_monitor)
    )
    streams: list[Any] = []
    opened: dict[Direction, OpenedDevice] = {}
    problems: list[str] = []
    wanted: list[tuple[Direction, str | None]] = [
        ("output", settings.output_device),
        ("input", settings.input_device),
    ]
    for direction, part in wanted:
        if part is None:
            continue
        try:
            device = choose_device(list_devices(), part, direction)
            stream = (
                _open_output(device, output_ring, loop, output_monitor)
                if direction == "output"
                else _open_input(device, audio_input, input_monitor)
            )
        except Exception as error:  # PortAudioError, ValueError, OSError for a missing library
            problems.append(f"no audio {direction}: {error}")
            continue
        streams.append(stream)
        opened[direction] = OpenedDevice(device.full_name, int(stream.samplerate), stream.latency)
    # A collector pause would be a late callback, and nothing made from here on is cyclic.
    gc.collect()
    gc.freeze()
    gc.disable()
    connection.send(AudioDeviceOpened(opened.get("output"), opened.get("input"), tuple(problems)))
    if streams and not _watch(connection, streams, output_ring if "output" in opened else None):
        os._exit(1)  # closing a stream of a dead sound server blocks for minutes
    for stream in streams:
        stream.abort()
        stream.close()
    output_ring.close()
    loop.close()
    audio_input.close()
    for monitor in (output_monitor, input_monitor):
        if monitor:
            monitor.close()


def _watch(connection: Connection, streams: list[Any], output_ring: OutputRing | None) -> bool:
    """Wait until told to stop, or until the daemon is gone: True; or until a device is gone: False."""
    callbacks, silent_watches = -1, 0
    while not connection.poll(_WATCH_SECONDS):
        if not all(stream.active for stream in streams):
            _LOG.error("the sound device or server went away")
            return False
        if output_ring is None:
            continue
        silent_watches = silent_watches + 1 if output_ring.callbacks == callbacks else 0
        callbacks = output_ring.callbacks
        if silent_watches >= _SILENT_WATCHES:
            _LOG.error("the sound device asks for no more samples")
            return False
    return True


def _open_output(device: Device, output_ring: OutputRing, loop: LoopPlayer, monitor: Monitor | None) -> Any:
    import sounddevice

    mono = np.zeros(_BLOCK_SAMPLES, np.float32)
    output_ring.resume(device.sample_rate_hz)
    if monitor:
        monitor.begin(device.sample_rate_hz)

    def callback(out: Any, frames: int, time: Any, status: Any) -> None:
        for first in range(0, frames, _BLOCK_SAMPLES):
            count = min(_BLOCK_SAMPLES, frames - first)
            output_ring.play(mono[:count], monotonic(), loop)
            if monitor:
                monitor.put(mono[:count], output_ring.asked)
            out[first : first + count] = mono[:count, np.newaxis]

    stream = sounddevice.OutputStream(
        device=device.index,
        samplerate=device.sample_rate_hz,
        channels=min(2, device.output_channels),
        dtype="float32",
        callback=callback,
    )
    stream.start()
    return stream


def _open_input(device: Device, audio_input: InputRing, monitor: Monitor | None) -> Any:
    import sounddevice

    channels = min(2, device.input_channels)
    mono = np.zeros(_BLOCK_SAMPLES, np.float32)
    if monitor:
        monitor.begin(device.sample_rate_hz)

    def callback(block: Any, frames: int, time: Any, status: Any) -> None:
        for first in range(0, frames, _BLOCK_SAMPLES):
            count = min(_BLOCK_SAMPLES, frames - first)
            np.copyto(mono[:count], block[first : first + count, 0])
            if channels == 2:
                mono[:count] += block[first : first + count, 1]
                mono[:count] *= 0.5
            if monitor:
                monitor.put(mono[:count], audio_input.written)
            audio_input.take_in(mono[:count], monotonic())

    stream = sounddevice.InputStream(
        device=device.index,
        samplerate=device.sample_rate_hz,
        channels=channels,
        dtype="float32",
        callback=callback,
    )
    stream.start()
    return stream
