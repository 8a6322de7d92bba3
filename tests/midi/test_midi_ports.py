"""MIDI ports that come, go and die, on a JACK server without hardware."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from select import select

import pytest
from jack_rig import jack_server
from midi_rig import DEADLINE_SECONDS, controller, midi_process

from bridge.midi.ports import (
    VIRTUAL,
    Direction,
    MidiEvent,
    MidiPorts,
    MidiSettings,
    SendMidi,
    _EventQueue,
    _PortList,
    _Ports,
)


@pytest.fixture(scope="module")
def jack() -> Iterator[None]:
    with jack_server(synchronous=False):
        yield


@pytest.mark.usefixtures("jack")
def test_events_are_stamped_and_ports_come_and_go() -> None:
    with midi_process("PAD") as midi:
        ports = midi.wait_for(MidiPorts)
        assert ports.inputs == ()
        assert "no MIDI input has 'PAD' in its name" in ports.problem
        for _ in range(2):
            with controller("launchpad") as pad:
                assert midi.wait_for(MidiPorts) == MidiPorts(("launchpad:out",), ())
                before = time.monotonic()
                pad.send(0x90, 60, 100)
                pad.send(0xF8)
                pad.send(0xE0, 1, 2)
                events = [midi.wait_for(MidiEvent) for _ in range(3)]
                assert [event.data for event in events] == [b"\x90\x3c\x64", b"\xf8", b"\xe0\x01\x02"]
                assert before <= events[0].at_seconds <= events[-1].at_seconds <= time.monotonic()
                assert events[0].port == "launchpad:out"
            assert midi.wait_for(MidiPorts).inputs == ()


@pytest.mark.usefixtures("jack")
def test_own_ports_are_not_listened_to_and_outputs_are_silenced() -> None:
    with controller("faders") as faders:
        with midi_process(VIRTUAL, "out", outputs=(VIRTUAL, "faders")) as midi:
            ports = midi.wait_for(MidiPorts)
            assert ports == MidiPorts(("melnet-music", "faders:out"), ("melnet-music", "faders shows:in"))
            listing = [sys.executable, "-m", "bridge.cli", "devices", "--json", "--midi-system", "jack"]
            listed = subprocess.run(listing, capture_output=True, timeout=120, check=True)
            assert json.loads(listed.stdout)["midi"] == {
                "inputs": ["faders:out"], "outputs": ["faders shows:in"], "problem": ""
            }  # fmt: skip
            midi.process.send(SendMidi(b"\xb0\x07\x40"))
            assert faders.next_shown() == b"\xb0\x07\x40"
        assert [faders.next_shown() for _ in range(16)] == [bytes([0xB0 + channel, 123, 0]) for channel in range(16)]


@pytest.mark.usefixtures("jack")
def test_a_port_whose_number_changes_while_it_is_opened_is_not_taken_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when the ports of a process that died vanish: python-rtmidi opens by numbers, and tells no failure."""
    listed = _PortList.ports

    def listed_before(ports: _PortList, direction: Direction) -> dict[str, int]:
        monkeypatch.setattr(_PortList, "ports", listed)
        first, second = (name for name in listed(ports, direction) if name in ("gone:out", "pad:out"))
        numbers = listed(ports, direction)
        return numbers | {first: numbers[second], second: numbers[first]}

    with controller("gone"), controller("pad") as pad:
        queue = _EventQueue()
        ports = _Ports(MidiSettings(("pad",), (), "jack"), queue)
        monkeypatch.setattr(_PortList, "ports", listed_before)
        assert ports.scan().inputs == ()
        assert ports.scan().inputs == ("pad:out",)
        pad.send(0x90, 60, 100)
        assert select([queue.wake], [], [], DEADLINE_SECONDS)[0]
        assert [(event.port, event.data) for event in queue.take_all()] == [("pad:out", b"\x90\x3c\x64")]
        ports.close()


def test_a_server_that_dies_is_survived() -> None:
    with jack_server(synchronous=False) as server, midi_process(VIRTUAL) as midi:
        assert midi.wait_for(MidiPorts) == MidiPorts(("melnet-music",), ())
        server.kill()
        server.wait()
        assert midi.wait_for(MidiPorts).problem == "the JACK server is gone"
        midi.wait_for(MidiPorts, lambda ports: "no JACK server answers" in ports.problem)
        with subprocess.Popen(server.args, stdin=subprocess.DEVNULL) as other:
            assert midi.wait_for(MidiPorts) == MidiPorts(("melnet-music",), ())
            other.terminate()


@pytest.mark.usefixtures("jack")
def test_a_process_that_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.midi.ports_process._HUNG_SECONDS", 3.0)
    with midi_process(VIRTUAL) as midi:
        midi.wait_for(MidiPorts)
        assert midi.process.pid is not None
        os.kill(midi.process.pid, signal.SIGSTOP)
        assert midi.wait_for(MidiPorts).problem == "the MIDI process hung, and was killed; another one starts"
        assert midi.wait_for(MidiPorts) == MidiPorts(("melnet-music",), ())
