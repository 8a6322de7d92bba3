"""The arithmetic of the measurements, on constructed input."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from chords import chords
from hypothesis import given, settings
from hypothesis import strategies as st

from melnet_music.evaluation.gap_edges import MEASURES, edge_measures, ranks
from melnet_music.evaluation.long_takes import drift, excursions
from melnet_music.evaluation.places import NotMeasurableError, Place, distinct_seconds, spread_places
from melnet_music.evaluation.report.curves import draw_curves
from melnet_music.model.config import SoundConfig
from melnet_music.sound.resample import resample
from melnet_music.training.curve import TierProgress
from melnet_music.training.data.features import Work

SOUND = SoundConfig()
RATE_HZ = 22050


def silent_work(seconds: float) -> Work:
    return Work("silent", np.zeros((round(seconds * SOUND.frames_per_second), SOUND.mel_bins), np.float32), [])


def test_excursions_are_counted_take_by_take() -> None:
    takes = [np.array(values, float) for values in ([1, 2, 3, 4], [1, 2, 9, 4], [-5, -6, 2, 11], [2, 2, 2, 10])]
    found = excursions(takes, 0.0, 10.0)
    assert found.takes_that_leave == 1
    assert found.first_window == [None, None, 0, None]
    assert found.windows_outside == [0, 0, 3, 0]
    assert found.takes_that_end_outside == 1
    assert found.share_of_windows == 3 / 16


def test_real_music_leaves_its_own_spread_one_window_in_ten_and_a_drifting_take_more_and_more() -> None:
    real = [np.arange(start, start + 10, dtype=float) for start in range(0, 1000, 10)]
    takes = [500 + 100.0 * np.arange(10), 500 + 0.0 * np.arange(10)]
    found = drift("dB", takes, real)
    assert found.spread == pytest.approx((0.05 * 999, 0.95 * 999))
    assert found.real.share_of_windows == pytest.approx(0.1, abs=0.002)
    assert found.generated.first_window == [5, None]
    assert found.outside_by_window == [0.0] * 5 + [0.5] * 5
    assert found.median_by_window[0] == 500


def test_ranks_are_even_among_equals_and_high_for_what_is_larger() -> None:
    natural = np.random.default_rng(0).standard_normal(4000)
    same = ranks(np.random.default_rng(1).standard_normal(4000), natural)
    np.testing.assert_allclose(same.percentiles, [5, 25, 50, 75, 95], atol=2)
    assert same.above_95 == pytest.approx(0.05, abs=0.015)
    beyond = ranks(natural[:100] + 10, natural)
    assert beyond.percentiles == [100.0] * 5
    assert beyond.above_99 == 1


def test_every_edge_measure_sees_what_it_is_for() -> None:
    """A tone that goes on, that jumps in phase, in level, and into noise."""
    time_s = np.arange(RATE_HZ) / RATE_HZ
    edge = RATE_HZ // 2
    tone = (0.3 * np.sin(2 * np.pi * 220 * time_s)).astype(np.float32)

    def spliced(after: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> dict[str, float]:
        return dict(
            zip(MEASURES, edge_measures(np.concatenate([tone[:edge], after[edge:]]), edge, RATE_HZ), strict=True)
        )

    smooth = spliced(tone)
    turned = spliced(-0.3 * np.cos(2 * np.pi * 220 * time_s).astype(np.float32))
    louder, noisy = (
        spliced(4 * tone),
        spliced(0.1 * np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32)),
    )
    assert smooth["step"] < 0.1 < 0.5 < turned["step"]
    assert smooth["level_step"] < 0.1
    assert louder["level_step"] == pytest.approx(20 * np.log10(4), abs=0.2)
    assert smooth["spectral_step"] < 0.5 < 10 < noisy["spectral_step"]
    assert smooth["flux"] < 0.5 < 3 < min(turned["flux"], noisy["flux"])


@pytest.mark.parametrize("rate_hz", [44100, 48000])
def test_an_edge_measures_as_much_at_every_rate(rate_hz: int) -> None:
    """But for the largest step from sample to sample, which is smaller where samples lie closer."""
    music = chords(2.0, rate_hz) + chords(2.0, rate_hz, seed=1) * (np.arange(2 * rate_hz) >= rate_hz)
    slow = resample(music.astype(np.float32), rate_hz, RATE_HZ)
    wanted, found = edge_measures(slow, RATE_HZ, RATE_HZ), edge_measures(music, rate_hz, rate_hz)
    np.testing.assert_allclose(found[1:], wanted[1:], rtol=0.1)


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.floats(1, 60), min_size=1, max_size=5),
    count=st.integers(1, 20),
    half=st.sampled_from([(0.0, 1.0), (0.0, 0.5), (0.5, 1.0)]),
    seed=st.integers(0, 100),
)
def test_places_lie_inside_their_part_of_their_work(
    lengths: list[float], count: int, half: tuple[float, float], seed: int
) -> None:
    works, seconds = [silent_work(length) for length in [*lengths, 30.0]], 4.0
    places = spread_places(works, SOUND, seconds, count, np.random.default_rng(seed), half)
    assert len(places) == count
    for place in places:
        length = len(place.work.log_mel) / SOUND.frames_per_second
        assert half[0] * (length - 0.25) <= place.start_s <= half[1] * length - seconds


def test_places_are_spread_over_the_works_by_their_length() -> None:
    works = [silent_work(length) for length in (104.25, 34.25, 3.0, 64.25)]  # room for 100, 30, 0 and 60 s
    places = spread_places(works, SOUND, 4.0, 19, np.random.default_rng(0))
    assert [sum(place.work is work for place in places) for work in works] == [10, 3, 0, 6]


def test_what_places_share_is_counted_once() -> None:
    one, other = silent_work(30), silent_work(30)
    places = [Place(one, 1.0), Place(other, 1.0), Place(one, 2.0), Place(one, 10.0)]
    assert distinct_seconds(places, 3.0, 5.0) == pytest.approx(3 + 2 + 2)


def test_works_without_room_are_named_with_their_length() -> None:
    with pytest.raises(NotMeasurableError, match=r"no held-out recording has 26 s, the longest has 9\.8 s"):
        spread_places([silent_work(5), silent_work(10)], SOUND, 13, 3, np.random.default_rng(0), (0, 0.5))


def test_curves_are_drawn_where_there_are_any(tmp_path: Path) -> None:
    assert not draw_curves(tmp_path, 2, tmp_path / "curves.png")
    lines = [
        TierProgress(
            2, step, step / 60, step / 100, 2.0 - step / 100, *((1.0, 1.5) if step % 20 == 0 else (None, None))
        )
        for step in range(2, 101, 2)
    ]
    (tmp_path / "tier-2.jsonl").write_text("".join(json.dumps(asdict(line)) + "\n" for line in lines))
    assert draw_curves(tmp_path, 2, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5_000
