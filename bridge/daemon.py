"""The daemon: builds the stage, the player, the speaker and the wires between them, runs and stops them."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from bridge.audio import SpeakerOpened, SpeakerSettings, speak
from bridge.child import Child
from bridge.heard_memory import HeardMemory
from bridge.orders import STOP
from bridge.osc import Address, OscEndpoint
from bridge.oscquery import OscQuery
from bridge.player import INSTRUMENT_FACTORY, PlayerSettings, play
from bridge.playout import PlayoutRing
from bridge.property_board import PropertyBoard
from bridge.ring import Ring
from bridge.stage import Stage

_LOG = logging.getLogger(__name__)

_OUTPUT_RING_SAMPLES = 1 << 20  # 22 s at 48 kHz: longer than any engine block takes
_INPUT_RING_SAMPLES = 1 << 20
_MEMORY_SAMPLES = 1 << 22  # twice what is kept at 22,050 Hz, and still 43 s at 48 kHz
_DATAGRAMS_AT_ONCE = 16  # then the player and the speaker are listened to again
_REOPEN_SOONEST_SECONDS, _REOPEN_LATEST_SECONDS = 1.0, 8.0
_FADE_DEADLINE_SECONDS = 0.5
_STOP_DEADLINE_SECONDS = 5.0


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
    oscquery_port: int | None = None
    """0: any that is free; None: no OSCQuery."""


class Daemon:
    """``stop`` may be called from any thread or signal handler; everything else belongs to one thread."""

    def __init__(self, settings: DaemonSettings) -> None:
        """Bind the OSC port.

        Raises:
            ValueError: it is in use.
        """
        self._endpoint = OscEndpoint(settings.osc_host, settings.osc_port)
        self.address: Address = self._endpoint.address
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_sender.setblocking(False)
        self._playout = PlayoutRing.create(_OUTPUT_RING_SAMPLES)
        self._input = Ring.create(_INPUT_RING_SAMPLES)
        self._memory = HeardMemory.create(_MEMORY_SAMPLES)
        self._speaker = Child(
            "speaker",
            speak,
            SpeakerSettings(self._playout.name, self._input.name, settings.output_device, settings.input_device),
        )
        self._player = Child(
            "player",
            play,
            PlayerSettings(
                self._playout.name,
                self._input.name,
                self._memory.name,
                settings.engine,
                settings.threads,
                settings.takes_folder,
                settings.instrument_factory,
            ),
        )
        self._properties = PropertyBoard()
        self._stage = Stage(
            send=self._endpoint.send,
            player=self._player,
            playout=self._playout,
            preset=settings.preset,
            allowed_folders=settings.allowed_folders,
            takes_folder=settings.takes_folder,
            dropped_datagrams=lambda: self._endpoint.dropped_datagrams,
            publish=self._properties.put,
        )
        self._oscquery = _open_oscquery(settings, self.address, self._properties)
        self.oscquery_address: Address | None = self._oscquery.address if self._oscquery else None
        self._wants_sound = bool(settings.output_device or settings.input_device)
        self._speaker_starts_at = time.monotonic() if self._wants_sound else None
        self._reopen_after_seconds = _REOPEN_SOONEST_SECONDS
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
                self._stage.sound_changed(SpeakerOpened(None, None, ()))
            while not self._stopping and self._stage.startup_error is None:
                self._serve()
            if self._stage.startup_error is not None:
                raise ValueError(self._stage.startup_error)
        finally:
            self._close()

    def _serve(self) -> None:
        """Wait for anything to happen, and pass it to the stage."""
        pause_seconds = self._endpoint.pause_seconds()
        wires: list[socket.socket | Connection] = [self._wake_receiver]
        if not pause_seconds:  # else every datagram of a flood would wake this thread
            wires.append(self._endpoint.socket)
        wires += [child.connection for child in (self._player, self._speaker) if child.running]
        wait(wires, self._patience_seconds(pause_seconds))
        self._hear_player()
        self._hear_speaker()
        if self._speaker_starts_at is not None and time.monotonic() >= self._speaker_starts_at:
            self._speaker_starts_at = None
            self._speaker.start()
        for _ in range(_DATAGRAMS_AT_ONCE):
            self._endpoint.drain()
            datagram = self._endpoint.next()
            if datagram is None:
                break
            self._stage.receive(datagram.sender, datagram.data)
        self._stage.run_due()

    def _patience_seconds(self, pause_seconds: float | None) -> float | None:
        now = time.monotonic()
        due = (self._stage.next_due_seconds, self._speaker_starts_at)
        waits = [pause_seconds, *(None if at is None else max(0.0, at - now) for at in due)]
        return min((seconds for seconds in waits if seconds is not None), default=None)

    def _hear_player(self) -> None:
        if not self._player.running:
            return
        try:
            for event in self._player.receive():
                self._stage.player_event(event)
        except EOFError:
            self._stage.player_died()

    def _hear_speaker(self) -> None:
        if not self._speaker.running:
            return
        try:
            for opened in self._speaker.receive():
                self._stage.sound_changed(opened)
                if opened.output or opened.input:
                    self._reopen_after_seconds = _REOPEN_SOONEST_SECONDS
        except EOFError:
            self._speaker.stop(_STOP_DEADLINE_SECONDS)
            self._stage.sound_changed(None)
            # a server that starts again or a device that is plugged in again is opened again
            self._speaker_starts_at = time.monotonic() + self._reopen_after_seconds
            self._reopen_after_seconds = min(2 * self._reopen_after_seconds, _REOPEN_LATEST_SECONDS)

    def _close(self) -> None:
        self._stage.close()
        if self._oscquery:
            self._oscquery.close()
        deadline = time.monotonic() + _FADE_DEADLINE_SECONDS
        while self._speaker.running and not self._playout.hushed and time.monotonic() < deadline:
            time.sleep(0.005)
        for child in (self._player, self._speaker):
            if child.running:
                child.send(STOP)
        for child in (self._player, self._speaker):
            child.stop(_STOP_DEADLINE_SECONDS)
        self._endpoint.close()
        self._playout.close()
        self._input.close()
        self._memory.close()
        self._wake_receiver.close()
        self._wake_sender.close()
        _LOG.info("stopped")


def _open_oscquery(settings: DaemonSettings, osc: Address, properties: PropertyBoard) -> OscQuery | None:
    if settings.oscquery_port is None:
        return None
    try:
        return OscQuery(settings.osc_host, settings.oscquery_port, osc[1], properties)
    except ValueError as error:
        _LOG.warning("no OSCQuery: %s", error)
        return None
