"""Keys that are played while a planned take sounds: each told to the plan once, and what follows goes on from them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tiny_score import tiny_score_model

from bridge.takes.keys_meanwhile import KeysMeanwhile
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.grid import Meter
from melnet_music.notes.score.network import ScoreModel
from melnet_music.notes.score.planned_notes import PlannedNotes, TakeGrid
from melnet_music.notes.score.settings import PlanSettings

GRID = TakeGrid.steady(120.0, Meter(4, 4))
FRAME_S = 0.02
HAND = [Note(0.5 + 0.25 * n, 0.7 + 0.25 * n, 60 + n % 7, 90) for n in range(12)]


@pytest.fixture(scope="module")
def model() -> ScoreModel:
    return tiny_score_model()


class Told:
    """A plan that only listens."""

    grid = GRID

    def __init__(self) -> None:
        self.answered: list[list[Note]] = []

    def answer(self, played: Sequence[Note]) -> None:
        self.answered.append(list(played))


def hand(begin_s: float, end_s: float) -> list[Note]:
    return [note for note in HAND if begin_s <= note.onset_s < end_s]


@pytest.mark.parametrize("every_s", [0.03, 0.4, 1.7])
def test_each_note_is_told_once_when_its_beat_is_over(every_s: float) -> None:
    told = Told()
    keys, now_s = KeysMeanwhile(told), 0.0  # type: ignore[arg-type]
    while now_s < 6.0:
        keys.tell(now_s, hand)
        assert all(note.onset_s < now_s for notes in told.answered for note in notes)
        now_s += every_s
    assert [note for notes in told.answered for note in notes] == HAND


def test_before_it_sounds_nothing_is_told() -> None:
    told = Told()
    KeysMeanwhile(told).tell(-3.0, lambda begin_s, end_s: HAND)  # type: ignore[arg-type]
    assert not told.answered


def made(model: ScoreModel, played: Sequence[Note]) -> tuple[Note, ...]:
    """A plan, made a second ahead of what is played meanwhile."""
    plan = PlannedNotes(model, [], GRID, PlanSettings(), 3)
    keys = KeysMeanwhile(plan)
    for frame in range(0, 500, 10):
        plan.until_now(frame * FRAME_S, 10, FRAME_S)
        keys.tell(frame * FRAME_S - 1.0, lambda b, e: [note for note in played if b <= note.onset_s < e])
    return plan.given


def test_what_follows_goes_on_from_what_was_played_and_the_rest_stays(model: ScoreModel) -> None:
    alone, answered = made(model, ()), made(model, HAND)
    assert alone == made(model, ())
    assert answered == made(model, HAND)
    before = [note for note in alone if note.onset_s < 1.5]  # what was played is told no sooner
    assert before == list(answered[: len(before)])
    assert alone[len(before) :] != answered[len(before) :]
    assert max(note.onset_s for note in answered) > 8.0


def test_a_filled_part_answers_nothing(model: ScoreModel) -> None:
    filled = [PlannedNotes(model, HAND[:0], GRID, PlanSettings(), 1, 4.0, ()) for _ in range(2)]
    filled[0].answer(HAND)
    for notes in filled:
        notes.until_now(0.0, 250, FRAME_S)
    assert filled[0].given == filled[1].given
