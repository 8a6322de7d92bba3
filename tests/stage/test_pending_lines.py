"""What waits for a line is told where it is, whenever it has moved."""

from __future__ import annotations

import pytest
from made_up_master import RATE_HZ, Master, Now, keep_up

from bridge.clock.transport import Meter, Place
from bridge.processes.messages import Retime, UseBars
from bridge.stage.device_transport import DeviceTransport
from bridge.stage.pending_lines import PendingLines


class Told:
    """A player that only listens."""

    def __init__(self, transport: DeviceTransport) -> None:
        self.lines = PendingLines(transport, self._take)
        self.samples: list[tuple[int, float]] = []
        self.bars: list[UseBars] = []

    def _take(self, request: Retime | UseBars) -> None:
        if isinstance(request, UseBars):
            self.bars.append(request)
        else:
            self.samples.append((request.job_number, request.line.sample))


def test_bars_are_told_once_whenever_they_have_moved(now: Now, transport: DeviceTransport) -> None:
    told = Told(transport)
    for _ in range(2):
        told.lines.tell_bars()
    transport.set_tempo(90.0)
    told.lines.tell_bars()
    now.seconds += 1.0
    told.lines.tell_bars()
    transport.set_meter(Meter(3, 4))
    told.lines.tell_bars()
    told.lines.tell_bars(to_another=True)
    assert [(bars.timeline.tempos[-1].bpm, str(bars.timeline.meters[-1].meter)) for bars in told.bars] == [
        (120.0, "4/4"), (90.0, "4/4"), (90.0, "3/4"), (90.0, "3/4"),
    ]  # fmt: skip
    assert {bars.rate_hz for bars in told.bars} == {RATE_HZ}


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Now:
    return Now(monkeypatch)


@pytest.fixture
def transport(now: Now) -> DeviceTransport:
    transport = DeviceTransport(now.read_device, 120.0, Meter())
    transport.use_device(RATE_HZ)
    return transport


def test_a_line_that_stays_is_not_told_again(now: Now, transport: DeviceTransport) -> None:
    transport.follow(Master())
    keep_up(transport, now, 2.0)
    told = Told(transport)
    told.lines.put(1, transport.line_at(Place(4, 0.0)))
    keep_up(transport, now, 1.0)
    told.lines.steer()
    assert told.samples == []


def test_lines_go_with_the_masters_tempo_up_to_shortly_before_they_are_due(
    now: Now, transport: DeviceTransport
) -> None:
    master = Master()
    transport.follow(master)
    keep_up(transport, now, 2.0)
    told = Told(transport)
    near, far = transport.line_from(transport.beat_in(0.04), "none"), transport.line_at(Place(6, 0.0))
    told.lines.put(1, near)
    told.lines.put(2, far)
    master.go(now.seconds, 140.0)
    transport.keep_up()
    told.lines.steer()
    assert told.samples == [(2, transport.in_device_time(far).sample)]
    told.lines.steer()
    assert len(told.samples) == 1


def test_where_the_master_jumps_what_waits_for_a_grid_takes_the_next_line_there(
    now: Now, transport: DeviceTransport
) -> None:
    told = Told(transport)
    four_bars, bar_nine = transport.next_line("4bar"), transport.line_at(Place(8, 0.0))
    assert four_bars
    told.lines.put(1, four_bars)
    told.lines.put(2, bar_nine)
    now.seconds += 0.5
    transport.locate(Place(40, 1.0))
    told.lines.jump()
    there = transport.in_device_time(transport.line_at(Place(44, 0.0))).sample
    assert told.samples == [(1, pytest.approx(there)), (2, transport.in_device_time(bar_nine).sample)]


def test_a_promised_line_is_kept_and_one_that_is_dropped_forgotten(now: Now, transport: DeviceTransport) -> None:
    told = Told(transport)
    for number in (1, 2):
        told.lines.put(number, transport.line_at(Place(2, 0.0)))
    promised = transport.in_device_time(transport.line_at(Place(3, 0.0))).sample
    told.lines.promised(1, promised)
    told.lines.promised(3, promised)  # waits for none
    told.lines.drop(2)
    now.seconds += 0.5
    transport.set_tempo(60.0)
    told.lines.retime()
    assert told.samples[0] == (1, transport.in_device_time(transport.line_at(Place(3, 0.0))).sample)
    assert told.samples[0][1] > promised
    told.lines.clear()
    told.lines.retime()
    assert len(told.samples) == 1
