from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bridge.audio.output_ring import _CLOCK, FADE_SAMPLES, TAKE_BACK_GUARD_SAMPLES, OutputRing
from bridge.audio.ring import Ring
from bridge.tape.prompt_memory import PromptMemory

CAPACITY = 64
SIZES = st.integers(0, 100)


def numbered(first: int, count: int) -> NDArray[np.float32]:
    return np.arange(first + 1, first + count + 1, dtype=np.float32)


@pytest.mark.parametrize("capacity", [0, 3, -4, 1000])
def test_capacity_is_a_power_of_two(capacity: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Ring.create(capacity)


@given(st.lists(st.tuples(st.sampled_from(["write", "read"]), SIZES)))
def test_first_in_first_out(steps: list[tuple[str, int]]) -> None:
    ring = Ring.create(CAPACITY)
    written, came = 0, [np.zeros(0, np.float32)]
    for step, size in steps:
        if step == "write":
            free = ring.free_samples
            count = ring.write(numbered(written, size))
            assert count == min(size, free)
            written += count
        else:
            out = np.empty(size, np.float32)
            available = ring.available_samples
            count = ring.read_into(out)
            assert count == min(size, available)
            came.append(out[:count])
    read = np.concatenate(came)
    np.testing.assert_array_equal(read, numbered(0, len(read)))
    assert (ring.written, ring.read) == (written, len(read))
    ring.close()


def _write_numbers(name: str, total: int, block: int) -> None:
    ring = Ring.attach(name)
    written = 0
    while written < total:
        written += ring.write(numbered(written, min(block, total - written)))
    ring.close()


def test_between_processes() -> None:
    ring, total = Ring.create(1024), 200_000
    context = multiprocessing.get_context("spawn")
    writer = context.Process(target=_write_numbers, args=(ring.name, total, 333))
    writer.start()
    out = np.empty(total, np.float32)
    count = 0
    while count < total and (writer.is_alive() or ring.available_samples):
        count += ring.read_into(out[count : count + 1000])
    writer.join()
    assert count == total
    np.testing.assert_array_equal(out, numbered(0, total))
    ring.close()


@pytest.fixture
def output_ring() -> Iterator[OutputRing]:
    ring = OutputRing.create(4096)
    yield ring
    ring.close()


def played(ring: OutputRing, size: int) -> NDArray[np.float32]:
    out = np.full(size, np.nan, np.float32)
    ring.play(out)
    return out


@given(st.lists(st.one_of(SIZES, st.sampled_from(["open", "finish"]), SIZES.map(lambda size: -size)), max_size=60))
def test_output_is_input_plus_counted_silence(steps: list[int | str]) -> None:
    """Non-negative sizes write, negative ones play."""
    ring = OutputRing.create(CAPACITY)
    written, may_sound, missing = 0, 0.0, 0
    came = np.zeros(0, np.float32)
    for step in steps:
        if step == "open":
            ring.open()
            may_sound = np.inf
        elif step == "finish":
            ring.finish()
            may_sound = written
        elif isinstance(step, int) and step >= 0:
            written += ring.write(numbered(written, step))
        elif isinstance(step, int):
            out = played(ring, -step)
            due = int(min(-step, may_sound - len(came)))
            count = min(due, written - len(came))
            if not missing:  # after a gap it is faded in
                np.testing.assert_array_equal(out[:count], numbered(len(came), count))
                if count == due:
                    assert not out[count:].any()  # silence comes after, never inside
            missing += due - count
            came = np.concatenate([came, numbered(len(came), count)])
            assert (ring.read, ring.missing_samples) == (len(came), missing)
    ring.close()


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(1, 700)), min_size=1, max_size=30))
def test_what_runs_dry_fades_out_and_in_again(steps: list[tuple[int, int]]) -> None:
    ring = OutputRing.create(1 << 15)
    ring.write(np.ones(600, np.float32))
    ring.open()
    out = []
    for written, size in steps:
        out.append(played(ring, size))
        ring.write(np.ones(written, np.float32))
    ring.write(np.ones(1000, np.float32))
    out += [played(ring, 100) for _ in range(9)]
    heard = np.concatenate([np.ones(1, np.float32), *out])
    assert np.abs(np.diff(heard)).max() < 5 / FADE_SAMPLES  # gap after gap, and their fades come together
    assert heard[-1] == 1.0  # to the bit, once it has come back
    ring.close()


def test_a_gap_is_silent_and_the_next_take_whole(output_ring: OutputRing) -> None:
    output_ring.write(numbered(0, 1000))
    output_ring.open()
    heard = np.concatenate([played(output_ring, 512) for _ in range(4)])
    np.testing.assert_array_equal(heard[:1000], numbered(0, 1000))
    np.testing.assert_array_equal(
        heard[1000 : 1000 + FADE_SAMPLES],
        numbered(1000 - FADE_SAMPLES, FADE_SAMPLES)[::-1] * np.linspace(1, 0, FADE_SAMPLES, dtype=np.float32),
    )
    assert not heard[1000 + FADE_SAMPLES :].any()
    output_ring.finish()
    played(output_ring, 64)
    output_ring.write(numbered(0, 300))
    output_ring.open()
    np.testing.assert_array_equal(played(output_ring, 300), numbered(0, 300))


def test_nothing_sounds_before_it_is_opened(output_ring: OutputRing) -> None:
    output_ring.write(numbered(0, 100))
    assert not played(output_ring, 50).any()
    output_ring.open()
    np.testing.assert_array_equal(played(output_ring, 50), numbered(0, 50))
    assert output_ring.underruns == 0


@pytest.mark.parametrize("block", [64, 100, 480, 512, 1024])
def test_cut_fades_without_a_click(output_ring: OutputRing, block: int) -> None:
    output_ring.write(np.ones(4000, np.float32))
    output_ring.open()
    assert played(output_ring, block).all()
    output_ring.cut()
    out = np.concatenate(
        [np.ones(1, np.float32), *(played(output_ring, block) for _ in range(FADE_SAMPLES // block + 2))]
    )
    assert np.abs(np.diff(out)).max() < 1.01 / (FADE_SAMPLES - 1)
    assert not out[FADE_SAMPLES:].any()
    assert output_ring.available_samples == 0
    assert output_ring.missing_samples == 0


def test_the_next_take_after_a_cut_is_whole(output_ring: OutputRing) -> None:
    output_ring.write(np.ones(2000, np.float32))
    output_ring.open()
    played(output_ring, 100)
    output_ring.cut()
    output_ring.write(numbered(1, 300))
    output_ring.open()
    out = np.concatenate([played(output_ring, 128) for _ in range(10)])
    first = int(np.argmax(out == 2.0))
    np.testing.assert_array_equal(out[first : first + 300], numbered(1, 300))


def test_a_cut_before_it_sounds_drops_it(output_ring: OutputRing) -> None:
    output_ring.write(np.ones(500, np.float32))
    output_ring.cut()
    assert not played(output_ring, 100).any()
    assert output_ring.available_samples == 0


def test_hush_needs_no_player(output_ring: OutputRing) -> None:
    output_ring.write(np.ones(4000, np.float32))
    output_ring.open()
    played(output_ring, 256)
    output_ring.hush()
    assert not output_ring.hushed
    played(output_ring, 256)
    played(output_ring, 256)
    assert output_ring.hushed
    output_ring.write(np.ones(1000, np.float32))  # by a player that does not know yet
    assert not played(output_ring, 256).any()
    output_ring.answer_hush()
    assert not played(output_ring, 256).any()
    output_ring.write(numbered(0, 256))
    output_ring.open()
    np.testing.assert_array_equal(played(output_ring, 256), numbered(0, 256))


def test_what_is_far_from_being_read_is_taken_back_and_written_anew() -> None:
    ring = OutputRing.create(1 << 15)
    ring.write(numbered(0, 20_000))
    ring.open()
    ring.finish()
    out = [played(ring, 1000)]
    count = 1000 + TAKE_BACK_GUARD_SAMPLES
    for too_near_or_too_far in (count - 1, 20_001):
        assert not ring.take_back(too_near_or_too_far)
    assert ring.take_back(count)
    ring.open()
    ring.write(-numbered(0, 5000))
    ring.finish()
    out += [played(ring, 1000) for _ in range(14)]
    sound = np.concatenate(out)
    np.testing.assert_array_equal(sound[:count], numbered(0, count))
    np.testing.assert_array_equal(sound[count : count + 5000], -numbered(0, 5000))
    assert not sound[count + 5000 :].any()
    assert ring.missing_samples == 0
    ring.close()


def test_level_is_reached_without_a_step(output_ring: OutputRing) -> None:
    output_ring.write(np.ones(4000, np.float32))
    output_ring.open()
    output_ring.set_level(0.25)
    out = np.concatenate([np.ones(1, np.float32), played(output_ring, 512), played(output_ring, 512)])
    assert np.abs(np.diff(out)).max() < 0.01
    np.testing.assert_array_equal(out[513:], np.full(512, 0.25, np.float32))
    output_ring.set_level(1.0)
    played(output_ring, 512)
    np.testing.assert_array_equal(played(output_ring, 512), np.ones(512, np.float32))


def test_blocks_longer_than_the_level_ramp(output_ring: OutputRing) -> None:
    output_ring.write(np.ones(4000, np.float32))
    output_ring.open()
    output_ring.set_level(0.5)
    out = played(output_ring, 3000)
    assert all(later <= earlier for earlier, later in pairwise(out[::100]))
    assert out[-1] == 0.5


@given(st.integers(0, 500), st.lists(st.integers(1, 130), min_size=1, max_size=12), st.integers(0, 3))
def test_a_take_sounds_from_its_device_time_on_to_the_sample(at: int, blocks: list[int], opened_after: int) -> None:
    ring = OutputRing.create(2048)
    ring.write(numbered(0, 2000))
    out = [np.zeros(0, np.float32)]
    for number, size in enumerate(blocks):
        if number == opened_after:
            ring.open(at)
        out.append(played(ring, size))
    heard = np.concatenate(out)
    begins = max(at, sum(blocks[:opened_after]))  # what is past already is at once
    assert not heard[:begins].any()
    np.testing.assert_array_equal(heard[begins:], numbered(0, len(heard[begins:])))
    assert ring.missing_samples == ring.underruns == 0  # to wait is no underrun
    ring.close()


def test_the_clock_tells_what_the_device_has_asked_for(output_ring: OutputRing) -> None:
    assert output_ring.clock() == (0, 0.0)
    for size, now, asked in ((64, 5.0, 0), (100, 6.0, 64), (1, 7.0, 164), (64, 7.5, 165)):
        output_ring.play(np.empty(size, np.float32), now)
        assert output_ring.clock() == (asked, now)


@given(st.lists(st.one_of(st.integers(0, 90), st.just("forget")), max_size=20))
def test_a_memory_keeps_the_last_of_what_was_heard(story: list[int | str]) -> None:
    memory = PromptMemory.create(CAPACITY)
    heard = np.zeros(0, np.float32)
    memory.forget(8000)
    for step in story:
        if step == "forget":
            memory.forget(8000)
            heard = heard[:0]
        elif isinstance(step, int):
            memory.remember(numbered(len(heard), step))
            heard = np.concatenate([heard, numbered(len(heard), step)])
        other = PromptMemory.attach(memory.name)  # another process's view
        first, kept = other.recall(8000)
        assert len(kept) == min(len(heard), CAPACITY // 2)
        assert first == len(heard) - len(kept)
        np.testing.assert_array_equal(kept, heard[first:])
        assert len(other.recall(44100)[1]) == 0
        other.close()
    memory.close()


def test_an_audio_process_that_was_killed_while_it_set_the_clock_holds_up_nobody(output_ring: OutputRing) -> None:
    output_ring.play(np.empty(64, np.float32), 1.0)
    output_ring._words[_CLOCK + 2] += 1
    assert output_ring.clock() == (0, 1.0)
    output_ring.play(np.empty(64, np.float32), 2.0)  # its successor
    assert output_ring.clock() == (64, 2.0)
    assert output_ring._words[_CLOCK + 2] % 2 == 0


def test_a_finished_take_that_is_moved_ends_where_it_ends(output_ring: OutputRing) -> None:
    output_ring.write(numbered(0, 100))
    output_ring.open(500)
    output_ring.finish()
    output_ring.hold_until(200)
    out = np.concatenate([played(output_ring, 64) for _ in range(10)])
    np.testing.assert_array_equal(out[200:300], numbered(0, 100))
    assert not out[300:].any()
    assert output_ring.underruns == 0


def test_device_time_goes_on_while_there_is_no_device(output_ring: OutputRing) -> None:
    output_ring.play(np.empty(64, np.float32), 5.0)
    output_ring.play(np.empty(64, np.float32), 6.0)
    other = OutputRing.attach(output_ring.name)  # the next audio process
    other.resume(1000)
    for size, now, asked in ((64, 16.0, 64 + 10_000), (32, 17.0, 128 + 10_000), (64, 18.0, 160 + 10_000)):
        other.play(np.empty(size, np.float32), now)
        assert output_ring.clock() == (asked, now)
    other.close()
