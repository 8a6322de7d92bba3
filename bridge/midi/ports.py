"""The MIDI ports, in a process of their own: callbacks that only take the time, ports that appear and disappear.

Measured: a JACK server that is killed leaves calls that take a second and lists that never change again, and one that
is stopped leaves calls that never return. Here it blocks nothing else, and no other Python thread delays a timestamp.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from multiprocessing.connection import Connection, wait
from time import monotonic, sleep
from typing import Any, Literal, TypeAlias, get_args

from bridge.clock.device_clock import HeardClock
from bridge.clock.due_sender import DueSender
from bridge.clock.midi_clock_sender import MidiClockSender
from bridge.clock.midi_clock_ticks import ClockPlan
from bridge.midi.notes_script import EndNotes, MoveNotes, NotesRequest, NotesScript, PlayNotes
from bridge.processes.messages import STOP

_LOG = logging.getLogger(__name__)

MidiSystem = Literal["auto", "alsa", "jack"]
MIDI_SYSTEMS: tuple[MidiSystem, ...] = get_args(MidiSystem)
CLIENT_NAME = "melnet-music"
VIRTUAL = "virtual"
"""In place of a part of a name: a virtual port, that other programs connect to."""
_ALSA_SEQUENCER = "/dev/snd/seq"
_SCAN_SECONDS = 0.5
_MOST_WAITING = 4096
"""At most so many events wait to be passed on, should a controller send without end."""
_MOST_UNECHOED = 8
"""After so many scans without an echo a JACK server is dead."""
_LAST_CALLBACKS_SECONDS = 0.1
_CHANNELS = 16
_ACTIVE_SENSING = 0xFE
_CONTROL_CHANGE, _ALL_NOTES_OFF = 0xB0, 123


@dataclass(frozen=True)
class MidiEvent:
    """One complete MIDI message; system exclusive and active sensing are left out."""

    port: str
    at_seconds: float
    """Monotonic, taken in the callback."""
    data: bytes


@dataclass(frozen=True)
class MidiPorts:
    """The ports that are open now, and what is wrong with the others."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    problem: str = ""
    clocks: tuple[str, ...] = ()
    """Outputs that a clock is sent to."""
    notes: tuple[str, ...] = ()
    """Outputs that planned notes are sent to."""


@dataclass(frozen=True)
class MidiLost:
    """This many events came faster than they could be passed on, and are lost."""

    count: int


@dataclass(frozen=True)
class MidiAlive:
    """A sign of life, for the watchdog."""


MidiReport: TypeAlias = MidiEvent | MidiPorts | MidiLost | MidiAlive
Direction = Literal["input", "output"]
Use = Literal["input", "output", "clock", "notes"]


@dataclass(frozen=True)
class SendMidi:
    """A request to the process: one message to an output, or to all."""

    data: bytes
    port: str | None = None


@dataclass(frozen=True)
class SendClock:
    """A request to the process: send MIDI clock by this plan; None: send stop, and no clock."""

    plan: ClockPlan | None


MidiRequest: TypeAlias = SendMidi | SendClock | NotesRequest


@dataclass(frozen=True)
class MidiSettings:
    """Which ports to open, by parts of their names (any case), or `VIRTUAL`; every port that matches is opened."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    system: MidiSystem = "auto"
    clocks: tuple[str, ...] = ()
    """Outputs, opened once more if need be, to send a clock to."""
    notes: tuple[str, ...] = ()
    """The same, to send planned notes to."""


NO_MIDI = MidiSettings((), ())


def check_midi_installed() -> None:
    """
    Raises:
        ValueError: python-rtmidi is not installed; the message says how to install it.
    """
    if find_spec("rtmidi") is None:
        raise ValueError("MIDI needs python-rtmidi, which is not installed: pip install 'melnet-music[midi]'")


def list_midi_ports(system: MidiSystem = "auto") -> MidiPorts:
    """All ports of this machine but the daemon's own, or why there are none."""
    try:
        check_midi_installed()
        port_list = _PortList(system)
    except ValueError as error:
        return MidiPorts((), (), str(error))
    try:
        return MidiPorts(tuple(port_list.ports("input")), tuple(port_list.ports("output")))
    finally:
        port_list.close()


def serve_midi(connection: Connection, settings: MidiSettings) -> None:
    """Main function of the MIDI process: keeps the wanted ports open while they exist, until told to stop."""
    queue = _EventQueue()
    ports: _Ports | None = None
    told, lost, scan_at = None, 0, 0.0
    with suppress(EOFError, OSError):  # the daemon is gone
        while True:
            if monotonic() >= scan_at:
                scan_at = monotonic() + _SCAN_SECONDS
                found = MidiPorts((), ())
                try:
                    ports = ports or _Ports(settings, queue)
                    found = ports.scan()
                except ValueError as error:
                    found = MidiPorts((), (), str(error))
                connection.send(MidiAlive() if found == told else found)
                told = found
                if ports is not None and not ports.are_alive:
                    os._exit(1)  # closing what belonged to a dead JACK server takes seconds, and leaves threads behind
            wait([connection, queue.wake], max(0.0, scan_at - monotonic()))
            while connection.poll():
                request = connection.recv()
                if request == STOP:
                    raise EOFError
                if ports is not None:
                    ports.handle(request)
            for event in queue.take_all():
                connection.send(event)
            if queue.lost != lost:
                connection.send(MidiLost(queue.lost - lost))
                lost = queue.lost
    if ports is not None:
        ports.close()


class _EventQueue:
    """Events on their way from rtmidi's callbacks to the main thread of the process."""

    def __init__(self) -> None:
        self.wake, self._waker = socket.socketpair()
        """Readable when there are events."""
        self.wake.setblocking(False)
        self._waker.setblocking(False)
        self._events: deque[MidiEvent] = deque()
        self.lost = 0

    def receive(self, message: tuple[list[int], float], port: str) -> None:
        """Called by rtmidi on its own thread."""
        at_seconds = monotonic()
        if len(self._events) >= _MOST_WAITING:
            self.lost += 1
            return
        self._events.append(MidiEvent(port, at_seconds, bytes(message[0])))
        try:
            self._waker.send(b"\0")
        except OSError:  # it is full: the reader is awake already
            return

    def take_all(self) -> list[MidiEvent]:
        with suppress(BlockingIOError):
            while self.wake.recv(_MOST_WAITING):
                pass
        return [self._events.popleft() for _ in range(len(self._events))]


class _PortList:
    """Lists the ports of this machine."""

    def __init__(self, system: MidiSystem) -> None:
        """
        Raises:
            ValueError: there is no MIDI on this machine, for the reason given.
        """
        import rtmidi

        self.api = _choose_api(rtmidi, system)
        self._is_jack = self.api == rtmidi.API_UNIX_JACK
        name = f"{CLIENT_NAME}-scout" if self._is_jack else CLIENT_NAME  # of ALSA, all ports of a process have one
        self._unechoed = 0
        try:
            with _silenced_stderr():
                self._listers = {"input": rtmidi.MidiIn(self.api, name), "output": rtmidi.MidiOut(self.api, name)}
                if self._is_jack:
                    self._open_loopback()
        except Exception as error:  # rtmidi's own, and SystemError
            raise ValueError(_reason(self._is_jack, error)) from None

    def _open_loopback(self) -> None:
        """Open a loopback: a dead JACK server still lists its ports, but it carries no messages any more."""
        port = f"alive {os.getpid()}"
        echo = self._listers["input"]
        self._listers["output"].open_virtual_port(port)
        echo.ignore_types(sysex=True, timing=True, active_sense=False)
        echo.set_callback(self._echoed)
        echo.open_port(next(number for number, name in enumerate(echo.get_ports()) if name.endswith(port)), port)

    def _echoed(self, message: object, data: object) -> None:
        self._unechoed = 0

    def ports(self, direction: Direction) -> dict[str, int]:
        """Numbers of the ports by name; without the daemon's own, whose messages would come back."""
        names = self._listers[direction].get_ports()
        return {name: names.index(name) for name in names if not name.startswith(CLIENT_NAME)}

    def is_alive(self) -> bool:
        """Whether the MIDI system is alive; to be called at every scan. Only a JACK server can die."""
        if self._is_jack:
            self._unechoed += 1
            self._listers["output"].send_message([_ACTIVE_SENSING])
        return self._unechoed <= _MOST_UNECHOED

    def close(self) -> None:
        _close(*self._listers.values())


class _Ports:
    """The wanted ports, opened while they exist."""

    def __init__(self, settings: MidiSettings, queue: _EventQueue) -> None:
        """
        Raises:
            ValueError: there is no MIDI on this machine, or it has no virtual ports.
        """
        self._port_list = _PortList(settings.system)
        self._queue = queue
        self._wanted: dict[Use, tuple[str, ...]] = {
            "input": settings.inputs, "output": settings.outputs, "clock": settings.clocks, "notes": settings.notes
        }  # fmt: skip
        self._open: dict[Use, dict[str, Any]] = {"input": {}, "output": {}, "clock": {}, "notes": {}}
        self._sending_lock = threading.Lock()
        """Held while a thread that sends what is due does so, or the ports change."""
        self.are_alive = True
        for use, parts in self._wanted.items():
            if VIRTUAL in parts:
                self._open[use][CLIENT_NAME] = self._make(use, CLIENT_NAME, None)
        self._clock = MidiClockSender(partial(self._send_due, "clock")) if settings.clocks else None
        self._notes: DueSender[NotesRequest] | None = None
        if settings.notes:
            self._notes = DueSender("notes", NotesScript(), partial(self._send_due, "notes"))

    def scan(self) -> MidiPorts:
        """Close the ports that are gone and open those that have appeared."""
        self.are_alive = self._port_list.is_alive()
        if not self.are_alive:
            return MidiPorts((), (), "the JACK server is gone")
        problems: list[str] = []
        for use, parts in self._wanted.items():
            direction = _direction(use)
            there, opened = self._port_list.ports(direction), self._open[use]
            for name in [name for name in opened if name not in there and name != CLIENT_NAME]:
                with self._sending_lock:
                    port = opened.pop(name)
                _close(port)
            for part in parts:
                matching = [name for name in there if part.lower() in name.lower()]
                if not matching and part != VIRTUAL:
                    names = "; ".join(there) or "none at all"
                    problems.append(f"no MIDI {direction} has {part!r} in its name; MIDI {direction}s: {names}")
                for name in matching:
                    if name in opened or part == VIRTUAL:
                        continue
                    try:
                        port = self._make(use, name, there[name])
                    except ValueError as error:
                        problems.append(str(error))
                        continue
                    # ports are opened by their numbers, which others have once one is gone: then at the next scan
                    if self._port_list.ports(direction).get(name) != there[name]:
                        _close(port)
                        continue
                    if use == "notes":  # a process that died may have left some sounding
                        _send_to(port, name, _all_notes_off(0))
                    with self._sending_lock:
                        opened[name] = port
        inputs, outputs, clocks, notes = (tuple(opened) for opened in self._open.values())
        return MidiPorts(inputs, outputs, "; ".join(problems), clocks, notes)

    def _make(self, use: Use, name: str, number: int | None) -> Any:
        """An open port; ``number`` None: a virtual one.

        Raises:
            ValueError: it cannot be opened.
        """
        import rtmidi

        try:
            port = (rtmidi.MidiIn if use == "input" else rtmidi.MidiOut)(self._port_list.api, CLIENT_NAME)
            if use == "input":
                port.ignore_types(sysex=True, timing=False, active_sense=True)
                port.set_callback(self._queue.receive, name)
            if number is None:
                port.open_virtual_port(CLIENT_NAME if use in ("input", "output") else use)
            else:
                port.open_port(number, use)
        except NotImplementedError:
            raise ValueError("this system has no virtual MIDI ports; name a port that `devices` lists") from None
        except Exception as error:  # rtmidi's own, and SystemError
            raise ValueError(f"the MIDI {_direction(use)} {name} cannot be opened: {error}") from None
        return port

    def handle(self, request: MidiRequest) -> None:
        match request:
            case SendMidi():
                self.send(request)
            case SendClock() if self._clock:
                self._clock.lead(request.plan)
            case PlayNotes() | MoveNotes() | EndNotes() | HeardClock() if self._notes:
                self._notes.put(request)

    def send(self, request: SendMidi) -> None:
        for name, port in self._open["output"].items():
            if request.port in (None, name):
                _send_to(port, name, request.data)

    def _send_due(self, use: Use, data: bytes) -> None:
        """Called on the threads that send what is due."""
        with self._sending_lock:
            for name, port in self._open[use].items():
                _send_to(port, name, data)

    def close(self) -> None:
        """Send all notes off, stop the clock and close all ports."""
        if self._clock:
            self._clock.close()
        if self._notes:
            self._notes.close(EndNotes())
            self._send_due("notes", _all_notes_off(0))
        for channel in range(_CHANNELS):
            self.send(SendMidi(_all_notes_off(channel)))
        _close(*(port for opened in self._open.values() for port in opened.values()))
        self._port_list.close()


def _close(*ports: Any) -> None:
    """Close and delete ports: a JACK server waits seconds for a client that is not deleted.

    Deleting holds the interpreter's lock and waits for the port's thread, which may be waiting for that lock in a
    callback: so only when its last callbacks are through, after the last period in which the port was there.
    """
    for port in ports:
        port.close_port()
    sleep(_LAST_CALLBACKS_SECONDS)
    for port in ports:
        port.delete()


def _all_notes_off(channel: int) -> bytes:
    return bytes([_CONTROL_CHANGE | channel, _ALL_NOTES_OFF, 0])


def _direction(use: Use) -> Direction:
    return "input" if use == "input" else "output"


def _send_to(port: Any, name: str, data: bytes) -> None:
    try:
        port.send_message(data)
    except Exception as error:  # it is just being unplugged
        _LOG.debug("nothing can be sent to %s: %s", name, error)


def _choose_api(rtmidi: Any, system: MidiSystem) -> int:
    """
    Raises:
        ValueError: rtmidi was built without it.
    """
    if system == "auto":
        if not sys.platform.startswith("linux"):
            return int(rtmidi.API_UNSPECIFIED)
        system = "alsa" if os.access(_ALSA_SEQUENCER, os.R_OK | os.W_OK) else "jack"
    built = {rtmidi.get_api_name(api): int(api) for api in rtmidi.get_compiled_api()}
    if system not in built:
        raise ValueError(f"this python-rtmidi knows no {system!r}; it knows {', '.join(built)}")
    return built[system]


def _reason(is_jack: bool, error: Exception) -> str:
    if not sys.platform.startswith("linux"):
        return f"there is no MIDI on this machine: {error}"
    alsa = f"no ALSA sequencer at {_ALSA_SEQUENCER} (`sudo modprobe snd-seq`; you must be in the group `audio`)"
    return f"there is no MIDI: {alsa}" + (", and no JACK server answers (start one)" if is_jack else "")


@contextmanager
def _silenced_stderr() -> Iterator[None]:
    """Discard what the JACK and ALSA libraries print: a scan every half second would repeat it."""
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
