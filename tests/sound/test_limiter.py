from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from melnet_music.sound.limiter import KNEE, POWER_RATIO, frame_powers, limited, soft_clipped


@given(st.integers(0, 1000), st.floats(-3, 8), st.floats(1e-2, 1e3), st.integers(1, 7))
def test_no_frame_is_above_the_ceiling_and_none_below_is_touched(
    seed: int, level: float, loudest: float, cut: int
) -> None:
    frames = (np.random.default_rng(seed).standard_normal((8, 12)) + level - 3).astype(np.float32)
    out = limited(frames, loudest)
    assert (frame_powers(out) <= POWER_RATIO * loudest * (1 + 1e-5)).all()
    below = frame_powers(frames) <= POWER_RATIO * loudest
    np.testing.assert_array_equal(out[below], frames[below])
    np.testing.assert_array_equal(np.concatenate([limited(frames[:cut], loudest), limited(frames[cut:], loudest)]), out)
    shape = frames - frames.mean(1, keepdims=True)
    np.testing.assert_allclose(out - out.mean(1, keepdims=True), shape, atol=1e-5)


@given(st.lists(st.floats(-1e6, 1e6, width=32), max_size=30))
def test_no_sample_leaves_full_scale_and_none_below_the_knee_is_touched(values: list[float]) -> None:
    sound = np.array(values, np.float32)
    out = soft_clipped(sound)
    assert np.abs(out).max(initial=0.0) <= 1.0
    quiet = np.abs(sound) <= KNEE
    np.testing.assert_array_equal(out[quiet], sound[quiet])
    assert (np.sign(out) == np.sign(sound)).all()
    order = np.argsort(sound)
    assert (np.diff(out[order]) >= 0).all()
