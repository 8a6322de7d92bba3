"""Notes that an instrument hears, and notes that are planned from them for its takes; tiny models throughout."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from tiny_ear import EAR_CONFIG, EAR_SOUND, random_ear_weights
from tiny_models import tiny_config, tiny_preset
from tiny_score import some_bars, tiny_score_model

from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.planning.take_plan import NotPlannableError, plan_part
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.model.preset import Preset
from melnet_music.notes.beat_times import BeatTimes
from melnet_music.notes.ear.ear import Ear, as_notes
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.feel import Feel, play
from melnet_music.notes.score.grid import Meter
from melnet_music.notes.score.live import HeardAhead
from melnet_music.notes.score.network import ScoreModel
from melnet_music.notes.score.planned_notes import PlannedNotes, TakeGrid, _first_bar, read_ahead
from melnet_music.notes.score.settings import PlanSettings
from melnet_music.sampling.cpu.engine import CpuEngine
from melnet_music.sound.mel import log_mel

Samples = npt.NDArray[np.float32]
RATE_HZ = EAR_SOUND.sample_rate_hz
EAR = Ear(EAR_CONFIG, random_ear_weights(0))


def tiny_instrument() -> Instrument:
    config = tiny_config(hidden=8, layers=1, splits=("time",), note_conditioning=True)
    made = tiny_preset(config, EAR_SOUND.mel_bins)
    preset = Preset("tiny", made.path, made.config.model_copy(update={"sound": EAR_SOUND}), made.weights, made.digest)
    preset.weights["mean"] -= 4
    return Instrument(preset, CpuEngine(preset, 1))


@pytest.fixture(scope="module")
def loaded() -> Instrument:
    return tiny_instrument()


@pytest.fixture
def instrument(loaded: Instrument) -> Instrument:
    loaded.use_ear(EAR)
    loaded.clear()
    return loaded


@pytest.fixture(scope="module")
def model() -> ScoreModel:
    return tiny_score_model()


def some_sound(seconds: float, seed: int = 0) -> Samples:
    """Noise in bursts of other loudness each."""
    rng = np.random.default_rng(seed)
    loudness = np.repeat(10 ** rng.uniform(-3, -0.5, 1 + int(seconds * 8)), RATE_HZ // 8)[: int(seconds * RATE_HZ)]
    return (loudness * rng.standard_normal(len(loudness))).astype(np.float32)


def some_notes(grid: TakeGrid, bars: int = 6) -> list[Note]:
    """A few bars that end where the new sound begins."""
    notes = play(some_bars(bars), grid.times, Feel(spread_s=0.0), np.random.default_rng(0))
    shift = float(grid.times.seconds_at(bars * 4.0))
    return [replace(note, onset_s=note.onset_s - shift, end_s=note.end_s - shift) for note in notes]


GRID = TakeGrid.steady(120.0, Meter(4, 4))


def planned(
    model: ScoreModel, frames: list[int], *, seed: int = 1, settings: PlanSettings | None = None
) -> PlannedNotes:
    """A plan that is asked for in such chunks of 20 ms frames."""
    notes = PlannedNotes(model, some_notes(GRID), GRID, settings or PlanSettings(), seed)
    first = 0
    for count in frames:
        notes.until_now(first * 0.02, count, 0.02)
        first += count
    return notes


# --- hearing ------------------------------------------------------------------------------------------------


def test_what_is_heard_is_told_by_the_ear_however_it_is_cut(instrument: Instrument) -> None:
    sound = some_sound(4.0)
    frames = log_mel(sound, EAR_SOUND)
    whole = len(frames) - 1 - (EAR_SOUND.window_samples // 2) // EAR_SOUND.hop_samples
    told, _ = EAR.hear(EAR.start(), frames[:whole])
    ended = as_notes(EAR.believed(told))
    assert len(ended) > 3
    for cut in (1, 997, 20_000, len(sound)):
        instrument.clear()
        for first in range(0, len(sound), max(cut, 997)):
            instrument.hear(sound[first : first + max(cut, 997)])
        heard = instrument.heard_notes()
        assert set(ended) <= set(heard)
        assert all(note.end_s == 4.0 for note in set(heard) - set(ended))


def test_heard_notes_lie_on_the_instruments_timeline(instrument: Instrument) -> None:
    sound = some_sound(4.0)
    instrument.hear(sound)
    at_once = instrument.heard_notes()
    begun = instrument.begin_at(10 * EAR_SOUND.hop_samples)
    instrument.hear(sound)
    shift = begun / RATE_HZ
    moved = [replace(note, onset_s=note.onset_s - shift, end_s=note.end_s - shift) for note in instrument.heard_notes()]
    assert [note.pitch for note in moved] == [note.pitch for note in at_once]
    np.testing.assert_allclose([note.onset_s for note in moved], [note.onset_s for note in at_once], atol=1e-9)


def test_clear_forgets_notes_and_so_does_time(instrument: Instrument) -> None:
    instrument.hear(some_sound(2.0))
    assert instrument.heard_notes()
    instrument.clear()
    assert not instrument.heard_notes()
    instrument.hear(some_sound(2.0))
    instrument.hear(np.zeros(60 * RATE_HZ, np.float32))
    assert all(note.onset_s >= 2.0 for note in instrument.heard_notes())


def test_a_prompt_keeps_the_heard_notes(instrument: Instrument) -> None:
    instrument.hear(some_sound(3.0))
    prompt, heard = instrument.prompt(TakeRequest(1.0, 1)), instrument.heard_notes()
    beside = instrument.beside(np.zeros(0, np.float32))
    assert beside.has_ear
    assert not beside.heard_notes()
    beside.remember(prompt)
    assert beside.heard_notes() == heard
    del prompt["notes"]
    beside.remember(prompt)  # of a time before there was an ear
    assert not beside.heard_notes()


def test_an_ear_may_come_late_and_go(instrument: Instrument) -> None:
    instrument.use_ear(None)
    instrument.clear()
    instrument.hear(some_sound(2.0))
    assert not instrument.heard_notes()
    assert "notes" not in instrument.prompt(TakeRequest(1.0, 1))
    instrument.use_ear(EAR)
    instrument.hear(some_sound(2.0, seed=1))
    heard = instrument.heard_notes()
    assert heard
    assert all(1.9 < note.onset_s <= note.end_s <= 4.0 for note in heard)
    instrument.use_ear(None)
    assert len(instrument.heard_notes()) == len(heard)


def test_an_ear_for_another_sound_is_refused(instrument: Instrument) -> None:
    other = EAR_CONFIG.model_copy(update={"sound": EAR_SOUND.model_copy(update={"hop_samples": 512})})
    with pytest.raises(ValueError, match="train one with the preset's"):
        instrument.use_ear(Ear(other, random_ear_weights(0)))


# --- planning -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [[1] * 300, [2] * 150, [7] * 43, [1, 2, 40, 3, 100, 154]])
def test_a_plan_is_the_same_in_any_chunks(model: ScoreModel, frames: list[int]) -> None:
    whole = planned(model, [sum(frames)]).given
    assert len(whole) > 8
    assert planned(model, frames).given == whole


def test_each_chunk_gets_all_that_sounds_in_it(model: ScoreModel) -> None:
    whole = planned(model, [300]).given
    notes = PlannedNotes(model, some_notes(GRID), GRID, PlanSettings(), 1)
    for first in range(0, 300, 10):
        given = notes.until_now(first * 0.02, 10, 0.02)
        sounding = [n for n in whole if n.onset_s < (first + 10) * 0.02 and n.end_s > first * 0.02]
        assert set(sounding) <= set(given)


def test_the_seed_and_the_settings_decide_the_plan(model: ScoreModel) -> None:
    first = planned(model, [300]).given
    assert planned(model, [300], seed=2).given != first
    high = planned(model, [300], settings=PlanSettings(register=24.0)).given
    assert np.mean([n.pitch for n in high]) > np.mean([n.pitch for n in first])
    kept = planned(model, [300], settings=PlanSettings(scale="c major")).given
    assert {n.pitch % 12 for n in kept} <= {0, 2, 4, 5, 7, 9, 11}


def test_a_plan_begins_with_the_take_wherever_that_lies_in_the_bar(model: ScoreModel) -> None:
    assert GRID.start % 48 == 0
    late = TakeGrid(replace(GRID.times, seconds=GRID.times.seconds - 0.3), GRID.bars)
    assert late.start == GRID.start + 8  # 0.3 s are 7.2 steps
    notes = PlannedNotes(model, [], late, PlanSettings(), 1)
    assert all(note.onset_s >= 0.0 for note in notes.until_now(0.0, 200, 0.02))


def test_nothing_need_be_heard(model: ScoreModel) -> None:
    notes = PlannedNotes(model, [], GRID, PlanSettings(), 1)
    notes.until_now(0.0, 400, 0.02)
    assert len(notes.given) > 4


def test_a_take_plays_its_plan_and_is_made_again_from_the_notes_that_were_kept(
    instrument: Instrument, model: ScoreModel
) -> None:
    instrument.hear(some_sound(2.0))
    source = PlannedNotes(model, some_notes(GRID), GRID, PlanSettings(), 1)
    take = np.concatenate(list(instrument.continuation(TakeRequest(1.5, 7, notes=source))))
    assert source.given
    again = np.concatenate(list(instrument.continuation(TakeRequest(1.5, 7, notes=source.given))))
    np.testing.assert_array_equal(take, again)
    unplanned = np.concatenate(list(instrument.continuation(TakeRequest(1.5, 7))))
    assert not np.array_equal(take, unplanned)


# --- a part between what is known ---------------------------------------------------------------------------


def filled(model: ScoreModel, after: list[Note], seed: int = 1, part_s: float = 4.0) -> tuple[Note, ...]:
    notes = PlannedNotes(model, some_notes(GRID), GRID, PlanSettings(), seed, part_s, after)
    notes.until_now(0.0, 1000, 0.02)
    return notes.given


def test_a_part_is_planned_up_to_its_end_and_towards_what_follows(model: ScoreModel) -> None:
    after = [replace(note, onset_s=note.onset_s + 16.0, end_s=note.end_s + 16.0) for note in some_notes(GRID)]
    after = [note for note in after if note.onset_s >= 4.0]
    notes = filled(model, after)
    assert notes
    assert all(0.0 <= note.onset_s < 4.0 for note in notes)
    assert filled(model, after) == notes
    assert filled(model, after, seed=2) != notes
    higher = [replace(note, pitch=note.pitch + 12) for note in after]
    assert filled(model, higher) != notes


def test_a_part_of_an_instrument_is_planned_from_the_notes_around_it(instrument: Instrument, model: ScoreModel) -> None:
    beside = instrument.beside(some_sound(8.0))
    assert beside.heard_notes() == ()
    steps = list(beside.listen_again())
    assert len(steps) == 8
    heard = beside.heard_notes()
    assert len(heard) > 3
    notes = plan_part(beside, model, GRID, PlanSettings(), 1, 3.0, 5.0)
    notes.until_now(0.0, 200, 0.02)
    assert all(0.0 <= note.onset_s < 2.0 for note in notes.given)
    again = instrument.beside(np.zeros(0, np.float32))
    again.remember(beside.prompt(TakeRequest(seconds=2.0, seed=1), (3.0, 5.0)))
    assert again.heard_notes() == heard


def test_what_cannot_be_filled_says_why(instrument: Instrument, model: ScoreModel) -> None:
    grid = TakeGrid(BeatTimes.steady(120.0, -60.01), GRID.bars)  # it has no step in the first 10 ms

    def plan(beside: Instrument, stop_seconds: float = 5.0) -> PlannedNotes:
        return plan_part(beside, model, grid, PlanSettings(), 1, 3.0, stop_seconds)

    beside = instrument.beside(some_sound(8.0))
    with pytest.raises(NotPlannableError, match="0 notes were heard around the part"):
        plan(beside)
    list(beside.listen_again())
    with pytest.raises(NotPlannableError, match="shorter than a step"):
        plan(beside, 3.001)
    beside.use_ear(None)
    list(beside.listen_again())
    with pytest.raises(NotPlannableError, match="no ear"):
        plan(beside)


# --- another tempo while it is played -----------------------------------------------------------------------


def steady_from(at_s: float, tempo_bpm: float, meter: Meter | None = None, beats_ahead: float = 0.0) -> TakeGrid:
    """As GRID up to a time, then in another tempo; its beats may then be others, and the meter on the next bar line."""
    beat = float(GRID.times.beats_at(at_s))
    begin = float(GRID.times.seconds_at(0.0))
    bars = GRID.bars.copy()
    if meter:
        bars.change(bars.bar_at(int(beat * 12)) + 1, meter)
    beat += beats_ahead
    return TakeGrid(BeatTimes.of([(0.0, begin), (beat, at_s), (beat + 1, at_s + 60 / tempo_bpm)]), bars)


def test_a_grid_goes_over_to_another_tempo_without_a_jump() -> None:
    gone = GRID.gone_over(steady_from(3.0, 60.0), 3.0)
    beats = GRID.times.beats_at([-30.0, 0.0, 2.9])
    np.testing.assert_allclose(gone.times.seconds_at(beats), [-30.0, 0.0, 2.9])
    np.testing.assert_allclose(
        gone.times.beats_at([3.0, 4.0, 13.0, 100.0]), float(GRID.times.beats_at(3.0)) + np.array([0, 1, 10, 97])
    )
    assert not gone.bars.differs_from(GRID.bars)


@pytest.mark.parametrize("beats_ahead", [0.7, -1.3, 17.0])
def test_grids_that_parted_meet_on_a_bar_line(beats_ahead: float) -> None:
    to = steady_from(3.0, 60.0, beats_ahead=beats_ahead)
    gone = GRID.gone_over(to, 5.0)
    assert float(gone.times.beats_at(5.0)) == pytest.approx(float(GRID.times.beats_at(5.0)))
    far = np.arange(200.0, 280.0, 4.0)
    np.testing.assert_allclose((to.times.beats_at(gone.times.seconds_at(far)) + 2.0) % 4.0, 2.0, atol=1e-6)
    quarters_s = np.diff(gone.times.seconds_at(np.arange(140.0, 200.0)))
    assert 0.75 < quarters_s.min() <= 1.0 <= quarters_s.max() < 1.34


def test_a_meter_changes_on_the_next_bar_line() -> None:
    gone = GRID.gone_over(steady_from(3.0, 120.0, Meter(3, 4)), 3.0)
    first = GRID.bars.bar_at(round(float(GRID.times.beats_at(3.0)) * 12)) + 1
    assert [int(gone.bars.start(first + bar)) - int(gone.bars.start(first)) for bar in (-1, 0, 1, 2)] == [
        -48,
        0,
        36,
        72,
    ]


def test_a_plan_goes_over_where_it_has_given_no_notes_yet(model: ScoreModel) -> None:
    frame_s, frames = 0.02, 200
    steady, moved = (PlannedNotes(model, some_notes(GRID), GRID, PlanSettings(), 1) for _ in range(2))
    for notes in (steady, moved):
        notes.until_now(0.0, frames, frame_s)
    before, from_s = moved.given, (frames + 1) * frame_s
    moved.go_over(steady_from(from_s, 60.0))
    steady.until_now(from_s, 400, frame_s)
    moved.until_now(from_s, 800, frame_s)
    assert moved.given[: len(before)] == before == steady.given[: len(before)]
    later, slower = steady.given[len(before) :], moved.given[len(before) :]
    assert len(later) > 10
    for note, slow in zip(later, slower, strict=False):
        assert (slow.pitch, slow.velocity) == (note.pitch, note.velocity)
        assert slow.onset_s - from_s == pytest.approx(2 * (note.onset_s - from_s), abs=0.05)


def test_a_plan_in_its_own_bars_goes_on_in_another_tempo_and_meter(model: ScoreModel) -> None:
    notes = PlannedNotes(model, [], GRID, PlanSettings(), 1)
    notes.until_now(0.0, 100, 0.02)
    notes.go_on_in(90.0, Meter(6, 8))
    notes.go_on_in(90.0, Meter(6, 8))
    here = float(notes.grid.times.beats_at(2.02))
    np.testing.assert_allclose(notes.grid.times.seconds_at([here, here + 3.0]), [2.02, 4.02])
    bar = GRID.bars.bar_at(round(here * 12)) + 1
    assert int(notes.grid.bars.start(bar + 1)) - int(notes.grid.bars.start(bar)) == 36
    notes.until_now(2.02, 500, 0.02)
    assert max(note.onset_s for note in notes.given) > 10.0


def test_a_filled_part_stays_in_its_tempo(model: ScoreModel) -> None:
    filled = [PlannedNotes(model, some_notes(GRID), GRID, PlanSettings(), 1, 4.0, ()) for _ in range(2)]
    filled[0].go_over(steady_from(1.0, 60.0))
    for notes in filled:
        notes.until_now(0.0, 250, 0.02)
    assert filled[0].given == filled[1].given


# --- read ahead ---------------------------------------------------------------------------------------------


def long_music(count: int, seed: int = 0) -> list[Note]:
    """Notes of a minute and more, that end where the new sound begins."""
    rng = np.random.default_rng(seed)
    begins = np.sort(rng.integers(-count, 0, count)) / 4
    return [Note(s, s + 0.3, int(rng.integers(40, 80)), int(rng.integers(40, 100))) for s in begins.tolist()]


@pytest.mark.parametrize("count", [3, 40, 200, 700])
def test_what_was_read_ahead_changes_no_plan(model: ScoreModel, count: int) -> None:
    ahead, music = HeardAhead(), long_music(count)
    for until in (count // 3, count // 2, count // 2, count):
        changed = replace(music[until - 1], end_s=music[until - 1].end_s + 0.5)  # it sounded still
        for _ in range(4):
            read_ahead(ahead, model, [*music[: until - 1], changed], GRID, 9)
    plans = [PlannedNotes(model, music, GRID, PlanSettings(), 1, ahead=each) for each in (None, ahead, ahead)]
    for notes in plans:
        notes.until_now(0.0, 300, 0.02)
    assert plans[0].given
    assert plans[0].given == plans[1].given == plans[2].given


def test_what_is_read_ahead_is_not_read_again(model: ScoreModel, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead, music, read = HeardAhead(), long_music(200), []
    step = ScoreModel.step
    monkeypatch.setattr(ScoreModel, "step", lambda *given: read.append(1) or step(*given))
    read_ahead(ahead, model, music, GRID, 150)
    first = len(read)
    PlannedNotes(model, music, GRID, PlanSettings(), 1, ahead=ahead)
    assert first >= 150
    assert len(read) - first < 60
    other = TakeGrid.steady(90.0, Meter(4, 4))
    assert PlannedNotes(model, music, other, PlanSettings(), 1, ahead=ahead)
    assert len(read) - first > 150


def test_while_music_goes_on_the_same_bars_are_read() -> None:
    begins = []
    for now_s in np.arange(30.0, 150.0, 1.0):
        grid = TakeGrid(BeatTimes.steady(120.0, -64.0 - now_s), GRID.bars)
        heard = np.arange(max(0.0, now_s - 60.0), now_s, 0.5) - now_s
        bars = [grid.bars.bar_at(math.floor(beat * 12)) for beat in grid.times.beats_at(heard)]
        begins.append(_first_bar(grid, bars))
        assert begins[-1] in bars
    assert begins == sorted(begins)
    assert len(set(begins)) <= 1 + 120 / 16
