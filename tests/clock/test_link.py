"""An Ableton Link session, between two peers of this machine where its network carries multicast."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from bridge.clock import link
from bridge.clock.link import LinkClock

PEER = """
import sys, time
from bridge.clock.link import LinkClock
peer = LinkClock(97.0)
print("ready", flush=True)
for line in sys.stdin:
    if line.strip():
        peer.set_tempo(float(line))
    now = time.monotonic()
    print(now, peer.beat_at(now, 4.0), peer.tempo_bpm, flush=True)
peer.close()
"""


def carries_multicast() -> bool:
    """Whether what is sent to Link's group comes back on this machine, as it must for peers to meet."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("", 0))
        receiver.settimeout(1.0)
        try:
            group = socket.inet_aton("224.76.78.75") + socket.inet_aton("0.0.0.0")
            receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
            sender.sendto(b"?", ("224.76.78.75", receiver.getsockname()[1]))
            return receiver.recv(1) == b"?"
        except OSError:
            return False


needs_link = pytest.mark.skipif(importlib.util.find_spec("aalink") is None, reason="the extra `link` is not installed")


def wait_until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20.0
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return true()


def test_a_missing_package_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pip install 'melnet-music\[link\]'"):
        LinkClock(120.0)


@needs_link
def test_alone_the_session_is_our_own() -> None:
    clock = LinkClock(96.0)
    try:
        assert clock.tempo_bpm == pytest.approx(96.0)
        first = time.monotonic()
        begin, later = clock.beat_at(first, 4.0), clock.beat_at(first + 60.0, 4.0)
        assert later - begin == pytest.approx(96.0, abs=0.01)
        clock.set_tempo(140.0)
        assert wait_until(lambda: abs(clock.tempo_bpm - 140.0) < 1e-3)
        assert clock.beat_at(time.monotonic(), 4.0) > begin
    finally:
        clock.close()


@needs_link
@pytest.mark.skipif(not carries_multicast(), reason="no network here carries multicast")
def test_two_peers_have_one_tempo_and_one_beat() -> None:
    clock = LinkClock(120.0)
    other = subprocess.Popen([sys.executable, "-c", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdin is not None
    assert other.stdout is not None

    def ask(order: str = "") -> tuple[float, float, float]:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write(f"{order}\n")
        other.stdin.flush()
        seconds, beat, tempo_bpm = map(float, other.stdout.readline().split())
        return seconds, beat, tempo_bpm

    def same_phase() -> bool:
        seconds, beat, _ = ask()
        return abs((clock.beat_at(seconds, 4.0) - beat + 2.0) % 4.0 - 2.0) < 0.01

    try:
        assert other.stdout.readline() == "ready\n"
        assert wait_until(lambda: clock.state_at(0.0) == "running")
        assert wait_until(lambda: abs(ask()[2] - clock.tempo_bpm) < 1e-3)
        assert wait_until(same_phase)
        ask("133")
        assert wait_until(lambda: abs(clock.tempo_bpm - 133.0) < 1e-3)
        assert wait_until(same_phase)
        clock.set_tempo(75.0)
        assert wait_until(lambda: abs(ask()[2] - 75.0) < 1e-3)
    finally:
        other.communicate(timeout=20.0)
        clock.close()
