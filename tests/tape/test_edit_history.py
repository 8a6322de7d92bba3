from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bridge.tape.edit_history import FADE_SECONDS, Edit, EditHistory, edited

RATE_HZ = 48000
FADE = round(FADE_SECONDS * RATE_HZ)


def noise(seed: int, length: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.random.default_rng(seed).standard_normal(length).astype(np.float32)


@given(
    st.lists(st.tuples(st.integers(-2000, 6000), st.integers(1, 3000)), max_size=4), st.integers(0, 3000),
    st.integers(1, 3000),
)  # fmt: skip
def test_nothing_outside_of_an_edit_is_touched_and_parts_agree_with_the_whole(
    places: list[tuple[int, int]], begin: int, length: int
) -> None:
    tape = noise(1, 6000)
    edits = [Edit(n, first, noise(n + 2, count)) for n, (first, count) in enumerate(places)]
    whole = edited(tape, 0, edits, RATE_HZ)
    times = np.arange(6000)
    outside = np.ones(6000, bool)
    for edit in edits:
        outside &= (times < edit.first) | (times >= edit.stop)
    np.testing.assert_array_equal(whole[outside], tape[outside])
    part = edited(tape[begin : begin + length], begin, edits, RATE_HZ)
    np.testing.assert_array_equal(part, whole[begin : begin + length])


def test_inside_it_is_the_take_and_its_ends_are_faded() -> None:
    tape, take = np.zeros(4000, np.float32), Edit(1, 1000, np.ones(2000, np.float32))
    out = edited(tape, 0, [take], RATE_HZ)
    np.testing.assert_array_equal(out[1000 + FADE : 3000 - FADE], 1.0)
    assert np.abs(np.diff(out)).max() <= 1.01 / (FADE + 1)


@given(st.lists(st.sampled_from(["add", "instead", "undo", "redo"]), max_size=30))
def test_history_goes_back_and_forth(steps: list[str]) -> None:
    history = EditHistory()
    versions: list[tuple[int, ...]] = [()]
    place = 0
    for number, step in enumerate(steps, 1):
        if step == "undo":
            assert history.undo() == (place > 0)
            place = max(0, place - 1)
        elif step == "redo":
            assert history.redo() == (place + 1 < len(versions))
            place = min(place + 1, len(versions) - 1)
        else:
            del versions[place + 1 :]
            edit = Edit(number, 0, np.zeros(10, np.float32))
            if step == "instead" and versions[place]:
                replaced = versions[place][-1]
                history.replace(replaced, edit)
                versions.append(tuple(number if take == replaced else take for take in versions[place]))
            else:
                history.add(edit)
                versions.append((*versions[place], number))
            place += 1
        assert tuple(edit.take for edit in history.current) == versions[place]
        restored = EditHistory()  # of the next player
        restored.restore(history.versions, history.place)
        assert (restored.versions, restored.current) == (history.versions, history.current)
        history = restored


def test_a_long_history_forgets_its_beginning() -> None:
    history = EditHistory()
    for number in range(200):
        history.add(Edit(number, 0, np.zeros(10, np.float32)))
    undone = 0
    while history.undo():
        undone += 1
    assert undone == 128
    assert len(history.current) == 72
