from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bridge.audio.loop_player import FADE_SAMPLES, LoopPlayer

ROOM = 2048


@pytest.fixture
def loop_player() -> Iterator[LoopPlayer]:
    loop_player = LoopPlayer.create(4 * ROOM)
    yield loop_player
    loop_player.close()


def play(loop_player: LoopPlayer, asked: int, blocks: list[int]) -> NDArray[np.float32]:
    played = []
    for count in blocks:
        out = np.zeros(count, np.float32)
        loop_player.add(out, asked)
        asked += count
        played.append(out)
    return np.concatenate(played)


def stretch(length: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(length).astype(np.float32)


@given(st.lists(st.integers(1, 1500), min_size=1, max_size=12), st.integers(1, ROOM), st.integers(0, 3000))
def test_it_repeats_in_phase_with_its_origin_whatever_the_blocks(blocks: list[int], length: int, at: int) -> None:
    loop_player = LoopPlayer.create(4 * ROOM)
    sound, origin = stretch(length, 1), 77
    loop_player.put(sound, origin, at)
    played = play(loop_player, 0, blocks)
    times = np.arange(len(played))
    assert not played[times < at].any()
    settled = times >= at + FADE_SAMPLES
    np.testing.assert_array_equal(played[settled], sound[(times[settled] - origin) % length])
    loop_player.close()


def test_an_equal_stretch_takes_over_without_a_trace(loop_player: LoopPlayer) -> None:
    sound = stretch(1000, 2)
    loop_player.put(sound, 0, 0)
    play(loop_player, 0, [1000])
    other = sound.copy()
    other[300:400] += 1.0
    loop_player.put(other, 0, 2000)
    played = play(loop_player, 1000, [512] * 6)
    np.testing.assert_array_equal(played[:1000], sound)
    np.testing.assert_array_equal(played[1000:1300], sound[:300])
    np.testing.assert_array_equal(played[1480:2000], other[480:])
    np.testing.assert_array_equal(played[2000:3000], other)


def test_it_begins_and_ends_without_a_step(loop_player: LoopPlayer) -> None:
    loop_player.put(np.ones(500, np.float32), 0, 100)
    lane_out = play(loop_player, 0, [64] * 32)
    loop_player.stop(2200)
    lane_out = np.concatenate([lane_out, play(loop_player, 2048, [64] * 16)])
    assert np.abs(np.diff(lane_out, prepend=0.0)).max() <= 1.01 / FADE_SAMPLES
    assert lane_out[100 + FADE_SAMPLES : 2200].min() == 1.0
    assert not lane_out[2200 + FADE_SAMPLES :].any()


def test_what_waits_is_replaced_and_no_sounding_room_is_written(loop_player: LoopPlayer) -> None:
    loop_player.put(np.full(100, 1.0, np.float32), 0, 0)
    play(loop_player, 0, [1000])
    for number in range(10):
        loop_player.put(np.full(100, 10.0 + number, np.float32), 0, 2000)
        assert set(play(loop_player, 1000, [400])) == {1.0}
    played = play(loop_player, 1400, [600, 2000])
    assert set(played[:600]) == {1.0}
    assert set(played[600 + FADE_SAMPLES :]) == {19.0}


def test_hush_fades_at_once_and_a_later_stretch_plays(loop_player: LoopPlayer) -> None:
    loop_player.put(np.ones(100, np.float32), 0, 0)
    play(loop_player, 0, [1000])
    loop_player.put(np.ones(100, np.float32), 0, 1500)
    loop_player.hush()
    played = play(loop_player, 1000, [1500])
    assert np.abs(np.diff(played)).max() <= 1.01 / FADE_SAMPLES
    assert not played[FADE_SAMPLES:].any()
    loop_player.put(np.ones(100, np.float32), 0, 0)
    assert play(loop_player, 2500, [1000])[-1] == 1.0


def test_a_new_audio_process_goes_on(loop_player: LoopPlayer) -> None:
    sound = stretch(700, 3)
    loop_player.put(sound, 5, 0)
    play(loop_player, 0, [1000])
    other = LoopPlayer.attach(loop_player.name)
    played = play(other, 5000, [2000])
    times = np.arange(5000, 7000)
    np.testing.assert_array_equal(played[FADE_SAMPLES:], sound[(times[FADE_SAMPLES:] - 5) % 700])
    other.close()


@pytest.mark.parametrize("length", [0, ROOM + 1])
def test_a_stretch_that_does_not_fit_is_refused(loop_player: LoopPlayer, length: int) -> None:
    with pytest.raises(ValueError, match="a loop has 1 to"):
        loop_player.put(np.zeros(length, np.float32), 0, 0)
