"""What a step of training looks at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_recordings import write_recordings
from tiny_training import tiny_config

from melnet_music.model.config import PresetConfig
from melnet_music.model.network import MelNet
from melnet_music.model.tiers import decompose
from melnet_music.notes.note_map import Note, note_map
from melnet_music.training.data.features import Work, load_works
from melnet_music.training.likelihood import mean_nats
from melnet_music.training.material.clips import ClipDrawer, Clips, Example, make_example
from melnet_music.training.material.rows import RowPlaces

CONFIG = tiny_config()
SOUND = CONFIG.sound
PLAIN = {"future_probability": 0.0, "notes_probability": 0.0}


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> list[Work]:
    root = tmp_path_factory.mktemp("data")
    write_recordings(root, {"train": 3})
    return load_works(root, "train", SOUND)


def work_of(frames: NDArray[np.float32], notes: list[Note] | None = None) -> Work:
    return Work("made", frames, notes or [], Path("made.flac"))


def example_of(clips: Clips, config: PresetConfig = CONFIG, tier: int = 1) -> Example:
    return make_example(clips, MelNet(config.model, config.sound.mel_bins), tier)


def test_clips_hold_what_the_works_hold_at_that_place() -> None:
    ramps = [work_of((np.arange(40)[:, None] + 1000 * n + np.zeros(8)).astype(np.float32)) for n in range(3)]
    drawer = ClipDrawer(ramps, tiny_config(**PLAIN), 1, 0)
    seen = set()
    for step in range(20):
        clips = drawer.draw(step, range(3), 16)
        first = clips.log_mel[:, :1, :1]
        assert np.array_equal(clips.log_mel, first + np.arange(16)[:, None] + np.zeros(8))
        assert clips.notes is None
        assert clips.gap is None
        example = example_of(Clips(clips.log_mel, None, None, 8, 0 * clips.past_noise, 0 * clips.coarse_noise))
        # kept last: the first tier has frames 1, 3, ..., this one 0, 2, ... and sees the later one
        assert np.array_equal(example.own, clips.log_mel[:, ::2])
        assert np.array_equal(example.channels[..., 0], clips.log_mel[:, 1::2])
        assert not example.channels[..., 1:].any()
        assert (example.weight == 1).all()
        assert example.parts == ((8, 4),)
        seen |= {int(value) // 1000 for value in first.flat}
    assert seen == {0, 1, 2}


def test_a_recording_as_long_as_a_clip_can_be_drawn() -> None:
    drawer = ClipDrawer([work_of(np.ones((16, 8), np.float32)), work_of(np.zeros((8, 8), np.float32))], CONFIG, 0, 0)
    assert (drawer.draw(0, range(4), 16).log_mel == 1).all()
    with pytest.raises(ValueError, match="shorter than a clip of 18 frames: give longer ones, or set a smaller clip_f"):
        drawer.draw(0, range(1), 18)


def test_chunk_lengths_are_those_of_the_preset_and_the_whole_clip(works: list[Work]) -> None:
    drawer = ClipDrawer(works, tiny_config(**PLAIN, chunk_frames=[4, 8]), 1, 0)
    assert {drawer.draw(step, range(1), 32).chunk_frames for step in range(60)} == {4, 8, None}


@pytest.mark.parametrize("tier", [0, 1])
def test_a_gap_is_learned_and_what_follows_it_is_given(works: list[Work], tier: int) -> None:
    drawer = ClipDrawer(works, tiny_config(future_probability=1.0, notes_probability=0.0), tier, 0)
    lengths = set()
    for step in range(60):
        clips = drawer.draw(step, range(2), 32)
        assert clips.gap is not None
        start, stop = clips.gap
        assert 0 < start < stop < 32
        assert start % 2 == stop % 2 == 0
        lengths.add(stop - start)
        example = example_of(clips, tier=tier)
        value, mask = example.channels[..., tier], example.channels[..., tier + 1]  # after the coarse value
        given = np.arange(32) >= stop
        expected = decompose(
            torch.from_numpy(np.tile(given[None, :, None], (2, 1, 8)).astype(np.float32)), CONFIG.model
        )
        assert torch.equal(mask, expected[tier])
        assert torch.equal(example.weight, 1 - mask)
        assert torch.equal(value, example.own * mask)
        # the past in chunks, then the gap and what follows it as one, so that all of it sees the future
        assert [part[0] for part in example.parts] == [start // 2, 16]
        assert example.parts[1][1] is None
    assert min(lengths) == 2
    assert max(lengths) > 16


def test_a_clip_too_short_for_a_gap_has_none(works: list[Work]) -> None:
    drawer = ClipDrawer(works, tiny_config(future_probability=1.0), 0, 0)
    assert drawer.draw(0, range(1), 4).gap is None


def heard_before(config: PresetConfig, frames: int) -> PresetConfig:
    tiers = tuple(tier.model_copy(update={"before_frames": frames}) for tier in config.training.tiers)
    return config.model_copy(update={"training": config.training.model_copy(update={"tiers": tiers})})


def test_half_of_the_clips_begin_after_what_is_only_heard(works: list[Work]) -> None:
    config = tiny_config(future_probability=0.5, notes_probability=0.0)
    plain, drawer = ClipDrawer(works, config, 1, 0), ClipDrawer(works, heard_before(config, 48), 1, 0)
    lengths = []
    for step in range(60):
        clips, alone = drawer.draw(step, range(2), 32), plain.draw(step, range(2), 32)
        before = clips.before_frames
        lengths.append(before)
        assert clips.log_mel.shape[1] == 32 + before
        assert clips.chunk_frames == alone.chunk_frames
        assert clips.gap == (None if alone.gap is None else (before + alone.gap[0], before + alone.gap[1]))
        example = example_of(clips)
        assert example.before == (before // 2, clips.chunk_frames and clips.chunk_frames // 2)
        assert not example.weight[:, : before // 2].any()
        assert example.weight[:, before // 2].all()
    assert set(lengths) == {0, 16, 32, 48}
    assert 20 < lengths.count(0) < 40


def test_rows_follow_recordings_from_clip_to_clip() -> None:
    ramps = [work_of((np.arange(100 + n)[:, None] + 1000 * n + np.zeros(8)).astype(np.float32)) for n in range(3)]
    drawer = ClipDrawer(ramps, tiny_config(**PLAIN, carry_state=True), 1, 0)
    places, before = RowPlaces.none_yet(4), None
    began = []
    for step in range(30):
        clips = drawer.draw(step, range(4), 16, places)
        assert clips.begins is not None
        assert clips.places is not None
        first = clips.log_mel[:, 0, 0]
        assert np.array_equal(clips.log_mel, first[:, None, None] + np.arange(16)[:, None] + np.zeros(8))
        if before is not None:
            assert np.array_equal(first[~clips.begins], before[~clips.begins] + 16)
            over = before % 1000 + 32 > 100 + before // 1000
            assert np.array_equal(clips.begins, over)
        began.append(clips.begins)
        places, before = clips.places, first
    assert began[0].all()
    assert 0 < np.mean(began[1:]) < 0.5


def test_a_row_hears_its_recording_at_one_level() -> None:
    drawer = ClipDrawer([work_of(np.zeros((200, 8), np.float32))], tiny_config(**PLAIN, level_range_db=6.0), 0, 0)
    places, heard = RowPlaces.none_yet(2), []
    for step in range(6):
        clips = drawer.draw(step, range(2), 16, places)
        assert clips.places is not None
        places = clips.places
        heard.append(clips.log_mel[:, 0, 0])
        if step:
            assert (heard[-1] == heard[-2])[~clips.begins].all()
    assert len(np.unique(heard[0])) == 2


@pytest.mark.parametrize("tier", [0, 1])
def test_what_is_only_heard_costs_no_nats_and_makes_what_follows_as_likely_as_in_one_piece(tier: int) -> None:
    model = MelNet(CONFIG.model, SOUND.mel_bins)
    frames = np.random.default_rng(0).standard_normal((2, 64, 8)).astype(np.float32)
    still = np.zeros_like(frames)
    network = model.tier(tier)

    def nats(stop: int, before: int) -> float:
        clips = Clips(frames[:, :stop], None, None, 8, still[:, :stop], still[:, :stop], before)
        return mean_nats(network, make_example(clips, model, tier), 1.0)[0].item()

    assert nats(64, 48) == pytest.approx(nats(64, 0) - nats(48, 0), rel=1e-4)
    mean_nats(network, make_example(Clips(frames, None, None, 8, still, still, 48), model, tier), 1.0)[0].backward()
    assert all(torch.isfinite(each.grad).all() for each in network.parameters() if each.grad is not None)


def test_notes_come_in_anywhere_and_stay(works: list[Work]) -> None:
    drawer = ClipDrawer(works, tiny_config(future_probability=0.0, notes_probability=1.0), 1, 0)
    whole = [note_map(work.notes, 0, len(work.log_mel), SOUND, CONFIG.model.note_partials) for work in works]
    starts = set()
    for step in range(20):
        notes = drawer.draw(step, range(1), 64).notes
        assert notes is not None
        given_from = int(np.flatnonzero(notes[0].any((1, 2)))[0])
        starts.add(given_from)
        tail = notes[0, given_from:]
        matches = [
            np.array_equal(tail, drawn[at : at + len(tail)]) for drawn in whole for at in range(len(drawn) - len(tail))
        ]
        assert any(matches)
    assert 0 in starts
    assert len(starts) > 5


def test_works_without_notes_give_none_away() -> None:
    drawer = ClipDrawer([work_of(np.zeros((80, 8), np.float32))], tiny_config(notes_probability=1.0), 0, 0)
    notes = drawer.draw(0, range(2), 64).notes
    assert notes is not None
    assert not notes.any()  # 0: not known, which a rest is not


def test_a_draw_follows_from_seed_tier_step_and_place_alone(works: list[Work]) -> None:
    def drawn(seed: int = 1, tier: int = 1, step: int = 3, rows: range = range(4)) -> Clips:
        return ClipDrawer(works, tiny_config(notes_probability=1.0), tier, seed).draw(step, rows, 32)

    whole = drawn()
    parts = [drawn(rows=range(0, 1)), drawn(rows=range(1, 4))]
    for name in ("log_mel", "notes", "past_noise", "coarse_noise"):
        assert np.array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))
    assert all((part.gap, part.chunk_frames) == (whole.gap, whole.chunk_frames) for part in parts)
    for other in (drawn(seed=2), drawn(tier=0), drawn(step=4)):
        assert not np.array_equal(other.log_mel, whole.log_mel)


def test_noise_is_on_what_is_seen_and_not_on_what_is_learned(works: list[Work]) -> None:
    drawer = ClipDrawer(works, tiny_config(**PLAIN), 1, 0)
    deviations: dict[str, list[float]] = {"past_noise": [], "coarse_noise": []}
    for step in range(200):
        clips = drawer.draw(step, range(1), 32)
        example = example_of(clips)
        assert torch.equal(example.own, torch.from_numpy(clips.log_mel[:, ::2]))
        assert np.allclose(example.channels[..., 0], (clips.log_mel + clips.coarse_noise)[:, 1::2], atol=1e-6)
        assert torch.equal(example.past_noise, torch.from_numpy(clips.past_noise[:, ::2]))
        for name, seen in deviations.items():
            seen.append(float(getattr(clips, name).std()))
    for seen in deviations.values():
        assert 60 < seen.count(0.0) < 140  # half of the time
        assert 0.08 < max(seen) < 0.12


def test_the_level_is_changed_by_so_many_decibels_and_the_floor_stays() -> None:
    frames = np.log(np.array([0.0, 1.0], np.float32) + np.float32(SOUND.magnitude_floor))
    work = work_of(np.tile(frames.repeat(4), (40, 1)))
    drawer = ClipDrawer([work], tiny_config(**PLAIN, level_range_db=6.0), 0, 0)
    drawn = np.concatenate([drawer.draw(step, range(4), 16).log_mel for step in range(30)])
    assert np.allclose(drawn[..., :4], np.log(SOUND.magnitude_floor), atol=1e-5)
    gain_db = drawn[:, 0, 4] * 20 / np.log(10)
    assert -6.01 < gain_db.min() < -5
    assert 5 < gain_db.max() < 6.01
