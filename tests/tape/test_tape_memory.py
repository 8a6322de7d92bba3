from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audio.input_latency import SLIP_SECONDS, STAMPS, InputLatency
from bridge.audio.input_ring import InputRing
from bridge.tape.tape_memory import TapeMemory, Track

RATE_HZ = 48000
LENGTH = 64


@pytest.fixture
def tape() -> Iterator[TapeMemory]:
    tape = TapeMemory.create(2 * LENGTH)
    tape.begin(RATE_HZ)
    yield tape
    tape.close()


@given(
    st.lists(
        st.tuples(st.sampled_from(["heard", "made"]), st.integers(0, 300), st.integers(0, 150)), min_size=1, max_size=8
    )
)
def test_what_was_written_is_read_where_it_was_written(written: list[tuple[Track, int, int]]) -> None:
    tape = TapeMemory.create(2 * LENGTH)
    tape.begin(RATE_HZ)
    naive = {"heard": np.zeros(500, np.float32), "made": np.zeros(500, np.float32)}
    until = {"heard": 0, "made": 0}
    for number, (track, at, count) in enumerate(written):
        samples = np.full(count, number + 1, np.float32)
        tape.write(track, at, samples)
        naive[track][at : at + count] = samples
        if count:
            until[track] = max(until[track], at + count)
        naive[track][: max(0, until[track] - LENGTH)] = 0.0  # forgotten
    for track in ("heard", "made"):
        np.testing.assert_array_equal(tape.read(0, 500, (track,)), naive[track])
    np.testing.assert_array_equal(tape.read(0, 500), naive["heard"] + naive["made"])
    first, stop = tape.span
    assert stop == max(until.values())
    assert not tape.holds(first, stop + 1)
    tape.close()


def test_what_it_holds(tape: TapeMemory) -> None:
    assert tape.span == (0, 0)
    assert not tape.holds(0, 1)
    tape.write("heard", 10, np.ones(5, np.float32))
    assert tape.holds(10, 15)
    assert not tape.holds(9, 12)
    assert not tape.holds(12, 16)
    tape.write("made", 15, np.ones(5, np.float32))
    assert tape.holds(10, 20)
    assert tape.span == (10, 20)


def test_another_process_reads_it_and_another_rate_blanks_it(tape: TapeMemory) -> None:
    tape.write("heard", 3, np.ones(4, np.float32))
    other = TapeMemory.attach(tape.name)
    other.begin(RATE_HZ)
    assert other.read(0, 10).sum() == 4
    other.begin(44100)
    assert other.span == (0, 0)
    assert tape.rate_hz == 44100
    other.close()


def test_input_is_stamped_by_its_writer() -> None:
    ring = InputRing.create(64)
    assert ring.clock() == (0, 0.0)
    ring.take_in(np.ones(10, np.float32), 1.5)
    assert ring.clock() == (0, 1.5)
    ring.take_in(np.ones(10, np.float32), 2.5)
    assert ring.clock() == (10, 2.5)
    assert ring.available_samples == 20
    ring.close()


@given(st.lists(st.floats(-0.002, 0.002), min_size=STAMPS, max_size=60), st.integers(-100_000, 100_000))
def test_jitter_moves_no_input(jitter: list[float], offset: int) -> None:
    place = InputLatency(RATE_HZ)
    offsets = set()
    for number, late in enumerate(jitter):
        count = 1024 * number
        place.stamp(count, count + offset + late * RATE_HZ)
        place.stamp(count, 1e9)  # the same block again
        offsets.add(place.offset)
    offsets.discard(None)
    assert len(offsets) == 1
    assert abs(offsets.pop() - offset) <= 0.002 * RATE_HZ + 1
    assert place.slips == 0


def test_lost_input_is_noticed() -> None:
    place = InputLatency(RATE_HZ)
    for number in range(3 * STAMPS):
        lost = 4 * SLIP_SECONDS * RATE_HZ if number >= STAMPS else 0
        place.stamp(1024 * number, 1024 * number + 500 + lost)
    assert place.offset == 500 + 4 * SLIP_SECONDS * RATE_HZ
    assert place.slips == 1
