"""The daemon: builds the stage, the player, the audio process and the connections between them, runs and stops them."""

from __future__ import annotations

import contextlib
import logging
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import ParamSpec

from bridge.audio.device_process import AudioDeviceOpened, AudioDeviceSettings, serve_audio
from bridge.audio.input_ring import InputRing
from bridge.audio.loop_player import LoopPlayer
from bridge.audio.monitor import Monitor
from bridge.audio.output_ring import OutputRing
from bridge.midi.controller import MidiController
from bridge.midi.mapping_file import MidiMapFile
from bridge.midi.ports import NO_MIDI, MidiSettings, SendClock
from bridge.midi.ports_process import MidiProcess
from bridge.osc.answers import Asked
from bridge.osc.oscquery.access import Access
from bridge.osc.oscquery.service import OscQuery
from bridge.osc.reply_addresses import resolve_hosts
from bridge.osc.udp_server import Address, OscEndpoint
from bridge.panel.panel import Panel
from bridge.panel.sound_view import SoundView
from bridge.player.process import play
from bridge.player.settings import INSTRUMENT_FACTORY, PlayerSettings
from bridge.processes.child_process import ChildProcess
from bridge.processes.messages import STOP
from bridge.processes.watchdog import LOOK_EVERY_SECONDS, Watchdog
from bridge.protocol.property_values import PropertyValues
from bridge.stage.stage import Stage
from bridge.tape.prompt_memory import PromptMemory
from bridge.tape.tape_memory import TapeMemory

_LOG = logging.getLogger(__name__)

_P = ParamSpec("_P")

_OUTPUT_RING_SAMPLES = 1 << 20  # 22 s at 48 kHz: longer than any engine block takes
_INPUT_RING_SAMPLES = 1 << 20
_MONITOR_SAMPLES = 1 << 18  # 5 s at 48 kHz
_LOOP_LANE_SAMPLES = 1 << 24  # a loop of 87 s at 48 kHz, four times; what is not used takes no memory
_TAPE_HZ = 48000  # a device of twice that rate has half as long a tape
_MEMORY_SAMPLES = 1 << 23  # twice what is kept, up to 69 kHz
_OTHER_BYTES = 4 * (_OUTPUT_RING_SAMPLES + _INPUT_RING_SAMPLES + _MEMORY_SAMPLES + 2 * _MONITOR_SAMPLES)
_SHARED_MEMORY = Path("/dev/shm")  # of Linux; other systems say nothing of the kind
_DATAGRAMS_AT_ONCE = 16  # then the player and the audio process are listened to again
_REOPEN_SOONEST_SECONDS, _REOPEN_LATEST_SECONDS = 1.0, 8.0
_FADE_DEADLINE_SECONDS = 0.5
_STOP_DEADLINE_SECONDS = 5.0
_PLAYER_STARTING_SECONDS = 60.0  # it imports numba
_AUDIO_STARTING_SECONDS = 30.0  # PortAudio may block while a sound server dies
_AUDIO_HUNG_SECONDS = 5.0  # an audio process that lives itself notices within 2 s that its device is dead

_AFTER_ERROR_SECONDS = 0.01
"""Lest an error that comes again and again takes the processor from the player."""


@dataclass(frozen=True)
class DaemonSettings:
    preset: str
    engine: str
    threads: int | None
    """Of the engine; None: as many as fit."""
    osc_host: str
    osc_port: int
    output_device: str | None
    """A part of the device's name, ``default``, or None for none."""
    input_device: str | None
    takes_folder: Path
    allowed_folders: tuple[Path, ...]
    instrument_factory: str = INSTRUMENT_FACTORY
    tape_minutes: float = 5.0
    midi: MidiSettings = NO_MIDI
    midi_map: Path | None = None
    """The player's own mapping file; None: no control can be learned."""
    oscquery_port: int | None = None
    """0: any that is free; None: no OSCQuery."""
    oscquery_hosts: tuple[str, ...] = ()
    """By which OSCQuery clients may call this machine, besides its own addresses and names."""
    oscquery_origins: tuple[str, ...] = ()
    """Of web pages that may use OSCQuery."""
    panel: bool = True
    """Whether OSCQuery's port has a page for people too."""
    player_hung_seconds: float = 10.0
    """So long without a sign of life, and the player is replaced; more where it said that it has long work to do. It
    gives several signs a second, but a busy machine or a full memory can hold it up for seconds, and to lose its
    takes is worse than to wait: the ring plays on for up to 20 s."""
    reply_hosts: tuple[str, ...] = ()
    """To which clients may have their answers sent, besides their own machines."""


class Daemon:
    """``stop`` may be called from any thread or signal handler; everything else belongs to one thread."""

    def __init__(self, settings: DaemonSettings) -> None:
        """Bind the OSC port.

        Raises:
            ValueError: it is in use, there is no room for the tape, a host is not known, MIDI is wanted and not
                installed, or something in the mapping file is wrong.
        """
        tape_samples = _tape_samples(settings.tape_minutes)
        check_room(settings.tape_minutes)
        self._midi = MidiProcess(settings.midi)
        controller: MidiController[Asked] = MidiController(
            self._midi.send, MidiMapFile(settings.midi_map) if settings.midi_map else None
        )
        reply_hosts = resolve_hosts(settings.reply_hosts)
        access = Access(settings.osc_host, settings.oscquery_hosts, settings.oscquery_origins)
        self._endpoint = OscEndpoint(settings.osc_host, settings.osc_port)
        self.address: Address = self._endpoint.address
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_sender.setblocking(False)
        self._output_ring = OutputRing.create(_OUTPUT_RING_SAMPLES)
        self._input = InputRing.create(_INPUT_RING_SAMPLES)
        self._tape = TapeMemory.create(tape_samples)
        self._loop = LoopPlayer.create(_LOOP_LANE_SAMPLES)
        has_panel = settings.panel and settings.oscquery_port is not None
        self._monitors = (Monitor.create(_MONITOR_SAMPLES), Monitor.create(_MONITOR_SAMPLES)) if has_panel else None
        self._memory = PromptMemory.create(_MEMORY_SAMPLES)
        self._audio = ChildProcess(
            "audio",
            serve_audio,
            AudioDeviceSettings(
                self._output_ring.name,
                self._input.name,
                self._loop.name,
                settings.output_device,
                settings.input_device,
                *(monitor.name for monitor in self._monitors or ()),
            ),
        )
        self._player = ChildProcess(
            "player",
            play,
            PlayerSettings(
                self._output_ring.name,
                self._input.name,
                self._memory.name,
                self._tape.name,
                self._loop.name,
                settings.engine,
                settings.threads,
                settings.takes_folder,
                settings.instrument_factory,
            ),
        )
        self._properties = PropertyValues()
        self._stage = Stage(
            send=self._endpoint.send,
            player=self._player,
            output_ring=self._output_ring,
            tape=self._tape,
            loop=self._loop,
            controller=controller,
            preset=settings.preset,
            allowed_folders=settings.allowed_folders,
            takes_folder=settings.takes_folder,
            dropped_datagrams=lambda: self._endpoint.dropped_datagrams,
            publish=(self._properties.put, controller.property_changed),
            send_clock_plan=(lambda plan: self._midi.send(SendClock(plan))) if settings.midi.clocks else None,
            send_notes=self._midi.send if settings.midi.notes else None,
            reply_hosts=reply_hosts,
        )
        panel = None
        if self._monitors:
            view = SoundView(*self._monitors, self._output_ring.clock, self._input.clock)
            panel = Panel(self.address, view)
        self._oscquery = _open_oscquery(settings, access, self.address, self._properties, panel)
        self.oscquery_address: Address | None = self._oscquery.address if self._oscquery else None
        self.panel_address = self.oscquery_address if panel else None  # the port may be in use
        """Where browsers find the panel."""
        self._wants_sound = bool(settings.output_device or settings.input_device)
        self._audio_starts_at = time.monotonic() if self._wants_sound else None
        self._reopen_after_seconds = _REOPEN_SOONEST_SECONDS
        self._player_watch, self._audio_watch = (
            Watchdog(_PLAYER_STARTING_SECONDS),
            Watchdog(_AUDIO_STARTING_SECONDS),
        )
        self._player_hung_seconds = settings.player_hung_seconds
        self._player_hung = False
        self._stopping = False

    def stop(self) -> None:
        """Have ``run`` fade out, stop everything and return."""
        self._stopping = True
        with contextlib.suppress(OSError):  # then it is awake, or has stopped
            self._wake_sender.send(b"\0")

    def run(self) -> None:
        """Serve until stopped.

        Raises:
            ValueError: the first preset cannot be loaded.
        """
        try:
            self._stage.start()
            if self._oscquery:
                self._oscquery.start()
            if not self._wants_sound:
                self._stage.sound_changed(AudioDeviceOpened(None, None, ()))
            while not self._stopping and self._stage.startup_error is None:
                self._serve()
            if self._stage.startup_error is not None:
                raise ValueError(self._stage.startup_error)
        finally:
            self._close()

    def _serve(self) -> None:
        """Wait for anything to happen, and pass it to the stage."""
        pause_seconds = self._endpoint.pause_seconds()
        connections: list[socket.socket | Connection] = [self._wake_receiver]
        if not pause_seconds:  # else every datagram of a flood would wake this thread
            connections.append(self._endpoint.socket)
        connections += [
            child.connection for child in (self._player, self._audio) if child.running
        ] + self._midi.connections
        wait(connections, self._wait_seconds(pause_seconds))
        self._receive_player_events()
        self._receive_audio_events()
        for report in self._midi.reports():
            self._logging_errors(self._stage.midi_event, report)
        self._kill_hung_processes()
        if self._audio_starts_at is not None and time.monotonic() >= self._audio_starts_at:
            self._audio_starts_at = None
            self._audio.start()
        for _ in range(_DATAGRAMS_AT_ONCE):
            self._endpoint.drain()
            datagram = self._endpoint.next()
            if datagram is None:
                break
            self._logging_errors(self._stage.receive, datagram.sender, datagram.data)
        for sender, count in self._endpoint.tell_busy():
            self._stage.dropped(sender, count)
        self._logging_errors(self._stage.run_due)

    def _logging_errors(self, step: Callable[_P, None], *arguments: _P.args, **named: _P.kwargs) -> None:
        """An error in one step must not end what sounds: it is logged, and the next one is taken."""
        try:
            step(*arguments, **named)
        except Exception:
            _LOG.exception("this should not have happened; the daemon goes on")
            time.sleep(_AFTER_ERROR_SECONDS)

    def _wait_seconds(self, pause_seconds: float | None) -> float | None:
        now = time.monotonic()
        due = (self._stage.next_due_seconds, self._audio_starts_at, self._midi.next_due_seconds)
        look_seconds = LOOK_EVERY_SECONDS if self._player.running or self._audio.running else None
        waits = [pause_seconds, look_seconds, *(None if at is None else max(0.0, at - now) for at in due)]
        return min((seconds for seconds in waits if seconds is not None), default=None)

    def _receive_player_events(self) -> None:
        if not self._player.running:
            return
        try:
            for event in self._player.receive():
                self._player_watch.has_started(self._player.pid, self._output_ring.beats, time.monotonic())
                self._logging_errors(self._stage.player_event, event)
        except EOFError:
            self._stage.player_died(hung=self._player_hung)
            self._player_hung = False

    def _receive_audio_events(self) -> None:
        if not self._audio.running:
            return
        try:
            for opened in self._audio.receive():
                self._logging_errors(self._stage.sound_changed, opened)
                if opened.output or opened.input:
                    self._reopen_after_seconds = _REOPEN_SOONEST_SECONDS
        except EOFError:
            self._audio.stop(_STOP_DEADLINE_SECONDS)
            self._stage.sound_changed(None)
            # a server that starts again or a device that is plugged in again is opened again
            self._audio_starts_at = time.monotonic() + self._reopen_after_seconds
            self._reopen_after_seconds = min(2 * self._reopen_after_seconds, _REOPEN_LATEST_SECONDS)

    def _kill_hung_processes(self) -> None:
        """A process that does nothing any more is killed; the end of its pipe then has it replaced as a dead one."""
        now = time.monotonic()
        patience = self._player_hung_seconds + self._output_ring.longer_seconds
        if self._player.running and self._player_watch.is_hung(
            self._player.pid, self._output_ring.beats, patience, now
        ):
            _LOG.error("the player shows no sign of life; killing it")
            self._player_hung = True
            self._player.kill()
        if not self._audio.running or not self._input.free_samples:
            return  # into a full ring the liveliest audio process can write no more
        served = self._output_ring.callbacks + self._input.written
        if self._audio_watch.is_hung(self._audio.pid, served, _AUDIO_HUNG_SECONDS, now):
            _LOG.error("the audio process serves no sound device any more; killing it")
            self._audio.kill()

    def _close(self) -> None:
        self._stage.close()
        if self._oscquery:
            self._oscquery.close()
        deadline = time.monotonic() + _FADE_DEADLINE_SECONDS
        while self._audio.running and not self._output_ring.hushed and time.monotonic() < deadline:
            time.sleep(0.005)
        for child in (self._player, self._audio):
            if child.running:
                child.send(STOP)
        deadline = time.monotonic() + _STOP_DEADLINE_SECONDS
        for child in (self._player, self._audio):
            child.stop(max(0.0, deadline - time.monotonic()))
        self._midi.stop(max(0.0, deadline - time.monotonic()))
        self._endpoint.close()
        self._output_ring.close()
        self._input.close()
        self._memory.close()
        self._tape.close()
        self._loop.close()
        for monitor in self._monitors or ():
            monitor.close()
        self._wake_receiver.close()
        self._wake_sender.close()
        _LOG.info("stopped")


def _open_oscquery(
    settings: DaemonSettings, access: Access, osc: Address, properties: PropertyValues, panel: Panel | None
) -> OscQuery | None:
    if settings.oscquery_port is None:
        return None
    try:
        return OscQuery(settings.osc_host, settings.oscquery_port, access, osc[1], properties, panel)
    except ValueError as error:
        _LOG.warning("no OSCQuery: %s", error)
        return None


def _tape_samples(minutes: float) -> int:
    return 2 * round(60 * minutes * _TAPE_HZ)


def check_room(minutes: float) -> None:
    """A tape of that length and all else that is shared fit into memory: what does not would end a process on its
    first touch.

    Raises:
        ValueError: it does not fit.
    """
    if not 0.5 <= minutes <= 60:
        raise ValueError(f"--tape-minutes is {minutes:g}, want 0.5 to 60")
    if not _SHARED_MEMORY.is_dir():
        return
    free, tape_bytes = shutil.disk_usage(_SHARED_MEMORY).free, 4 * _tape_samples(minutes)
    if free < tape_bytes + _OTHER_BYTES:
        raise ValueError(
            f"a tape of {minutes:g} minutes and all else need {(tape_bytes + _OTHER_BYTES) >> 20} MiB of shared "
            f"memory, and {_SHARED_MEMORY} has {free >> 20}: give a smaller --tape-minutes"
        )
