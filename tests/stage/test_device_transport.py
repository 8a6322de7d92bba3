"""The music follows a master from outside, on a device whose time is not the master's."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_master import RATE_HZ, Master, Now, keep_up

from bridge.clock.transport import Meter, Place
from bridge.stage.device_transport import DeviceTransport

LATENCY_SECONDS = 0.05


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Now:
    return Now(monkeypatch)


@pytest.fixture
def transport(now: Now) -> DeviceTransport:
    transport = DeviceTransport(now.read_device, 100.0, Meter())
    transport.use_device(RATE_HZ, LATENCY_SECONDS)
    return transport


def heard_at(transport: DeviceTransport, bar: int) -> float:
    """Monotonic time at which a bar's line is heard."""
    line = transport.in_device_time(transport.line_at(Place(bar, 0.0)))
    return 900.0 + line.sample / RATE_HZ + LATENCY_SECONDS


def test_lines_are_heard_when_the_masters_bars_begin(now: Now, transport: DeviceTransport) -> None:
    master = Master(bpm=96.0)
    transport.follow(master)
    assert keep_up(transport, now, 3.0)[0] == "jumped"
    for bar in (3, 10):
        assert heard_at(transport, bar) == pytest.approx(1000.0 + bar * 4 * 60 / 96.0, abs=0.004)
    transport.offset_seconds = 0.03
    keep_up(transport, now, 3.0)
    assert heard_at(transport, 10) == pytest.approx(1000.03 + 10 * 4 * 60 / 96.0, abs=0.004)
    assert transport.tempo_bpm == 96.0


@settings(max_examples=20, deadline=None)
@given(st.floats(40, 300), st.floats(40, 300))
def test_a_change_of_the_masters_tempo_is_taken_over_without_a_jump(before: float, after: float) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        now = Now(monkeypatch)
        transport = DeviceTransport(now.read_device, 100.0, Meter())
        transport.use_device(RATE_HZ, LATENCY_SECONDS)
        master = Master(bpm=before)
        transport.follow(master)
        keep_up(transport, now, 2.0)
        beats = []
        master.go(now.seconds, after)
        for _ in range(40):
            keep_up(transport, now, 0.05)
            beats.append(transport.beat)
        assert all(one < other < one + 0.06 * 400 / 60 for one, other in pairwise(beats))
        true = master.beat_at(now.seconds + LATENCY_SECONDS, 4.0)
        assert true is not None
        assert transport.beat == pytest.approx(true, abs=0.006 * after / 60)


def test_while_the_master_is_stopped_the_music_goes_on_at_its_tempo(now: Now, transport: DeviceTransport) -> None:
    master = Master(bpm=120.0)
    transport.follow(master)
    keep_up(transport, now, 2.0)
    before, master.beat, master.bpm = transport.beat, None, 60.0
    assert "jumped" not in keep_up(transport, now, 4.0)
    assert transport.beat == pytest.approx(before + 4.0, abs=0.1)
    line = transport.next_line("bar")
    assert line is not None
    assert 0.0 <= line.beat - transport.beat <= 4.0
    master.beat, master.since, master.places = 64.0, now.seconds, 2  # it continues from bar 17
    assert keep_up(transport, now, 0.05) == ["jumped"]
    assert transport.place.bar == 16
    transport.follow(None)
    assert keep_up(transport, now, 4.0) == ["still"] * 80
    assert transport.place.bar == 17


def test_bars_are_counted_from_the_masters_beginning_in_the_meter_that_is_set(
    now: Now, transport: DeviceTransport
) -> None:
    transport.set_meter(Meter(3, 4))
    master = Master(bpm=60.0)
    transport.follow(master)
    keep_up(transport, now, 6.5)
    assert (transport.place.bar, transport.place.beat) == (2, pytest.approx(0.55, abs=0.05))
    transport.set_meter(Meter(2, 4))
    assert transport.place.bar == 3


def test_a_quiet_device_of_no_rate_keeps_time_by_itself(now: Now) -> None:
    transport = DeviceTransport(lambda: (0, 0.0), 100.0, Meter())
    master = Master(bpm=90.0)
    transport.follow(master)
    keep_up(transport, now, 4.0)
    assert transport.beat == pytest.approx(4.0 * 90 / 60, abs=0.02)
