"""The memory in which what passes a sound device can be watched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_instrument import counted

from bridge.audio.monitor import Monitor

CAPACITY = 64


@given(st.lists(st.tuples(st.integers(1, CAPACITY), st.sampled_from([0, 0, 0, 5, 100])), max_size=20), st.data())
def test_it_shows_the_latest_samples_where_they_belong_and_silence_elsewhere(
    blocks: list[tuple[int, int]], data: st.DataObject
) -> None:
    written = Monitor.create(CAPACITY)
    try:
        at, began = 0, 0
        for count, skipped in blocks:
            at += skipped
            began = at if skipped else began
            written.put(counted(at, count), at)
            at += count
        first = data.draw(st.integers(0, at))
        stop = data.draw(st.integers(first, at + 10))
        seen = Monitor.attach(written.name)
        try:
            assert seen.until == at
            expected = counted(first, stop - first)
            places = np.arange(first, stop)
            expected[(places < max(began, at - CAPACITY)) | (places >= at)] = 0.0
            np.testing.assert_array_equal(seen.read(first, stop), expected)
        finally:
            seen.close()
    finally:
        written.close()


def test_it_has_no_rate_before_a_device_is_open() -> None:
    monitor = Monitor.create(CAPACITY)
    try:
        assert (monitor.rate_hz, monitor.until) == (0, 0)
        monitor.begin(44100)
        assert monitor.rate_hz == 44100
    finally:
        monitor.close()


def test_its_capacity_is_a_power_of_two() -> None:
    with pytest.raises(ValueError, match="power of two"):
        Monitor.create(100)
