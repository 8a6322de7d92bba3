"""Beats of onset strengths: the frames that librosa 0.11 finds, written down, and what any tracker has to find."""

from __future__ import annotations

import numpy as np
import pytest
from accelerating import HOP, RATE_HZ, accelerating

from melnet_music.instrument.planning.beat_tracker import beat_frames, find_tempo
from melnet_music.sound.onsets import onset_strength

FRAMES_PER_SECOND = RATE_HZ / HOP
FREE = [
    0, 37, 83, 130, 177, 223, 269, 315, 361, 406, 452, 497, 542, 587, 631, 676, 720, 764, 808, 851, 895, 938, 981, 1024,
    1066, 1109, 1151, 1194, 1236, 1277, 1319, 1361, 1402, 1443, 1484, 1525, 1566, 1605, 1644, 1683, 1722,
]  # fmt: skip
TOLD = [
    27, 83, 130, 177, 223, 269, 315, 361, 406, 452, 497, 542, 587, 631, 676, 720, 764, 808, 851, 895, 938, 1003, 1066,
    1109, 1152, 1217, 1277, 1320, 1384, 1443, 1505, 1565, 1617, 1669, 1722,
]  # fmt: skip


@pytest.mark.parametrize(("tempo_bpm", "beats"), [(None, FREE), (90.0, TOLD)], ids=["found", "told"])
def test_beats_are_librosas(tempo_bpm: float | None, beats: list[int]) -> None:
    strength = onset_strength(accelerating(), RATE_HZ, HOP, 96).astype(np.float64)
    assert beat_frames(strength, FRAMES_PER_SECOND, tempo_bpm).tolist() == beats
    assert find_tempo(strength, FRAMES_PER_SECOND) == pytest.approx(120.18531977)


@pytest.mark.parametrize("period", [31, 43, 60])
def test_a_pulse_is_found_with_a_beat_left_out(period: int) -> None:
    strength = np.zeros(1500)
    strength[20::period] = 1.0
    strength[20 + 7 * period] = 0.0
    found = beat_frames(strength, FRAMES_PER_SECOND)
    inside = found[(found >= 20 + period) & (found < 1500 - 2 * period)]  # it is less sure of the ends
    assert inside.tolist() == list(range(20 + period, 1500 - 2 * period, period))


def test_no_strength_has_no_beats() -> None:
    assert len(beat_frames(np.zeros(1000), FRAMES_PER_SECOND)) == 0
