from __future__ import annotations

import csv
import json
import logging
import math
from collections.abc import Iterator
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import load_file

from melnet_music.conditioning import Conditioning
from melnet_music.config import (
    PresetConfig,
    SoundConfig,
    TierTraining,
    parse_preset_config,
    read_preset_config,
)
from melnet_music.evaluation.baselines import baseline_nats
from melnet_music.mel import log_mel
from melnet_music.model import MelNet
from melnet_music.notes import PARTIALS, Note, note_map
from melnet_music.preset import CONFIG_FILE, find_preset, load_preset, write_weights
from melnet_music.tiers import decompose
from melnet_music.training.clips import Clips
from melnet_music.training.features import Work, bin_statistics, load_works
from melnet_music.training.held_out import EXCERPT_FRAMES, excerpts, held_out_nats
from melnet_music.training.train import TierProgress, clip_length, collect_weights, learning_rate, train, train_tier

SOUND = {
    "sample_rate_hz": 8000,
    "n_fft": 256,
    "window_samples": 256,
    "hop_samples": 128,
    "mel_bins": 8,
    "fmax_hz": 4000.0,
}
SECONDS = 10.0
"""Of a recording: 626 frames, more than an excerpt."""


def make_config(**training: object) -> PresetConfig:
    tier = {"learning_rate": 1e-2, "minutes": 1, "clip_frames": 64, "past_noise": 0.1, "coarse_noise": 0.1}
    raw = {
        "title": "Tiny",
        "licence": "CC0-1.0",
        "sound": SOUND,
        "model": {
            "splits": ["time"],
            "components": 3,
            "tiers": [{"hidden": 8, "layers": 1, "centralized_hidden": 8}, {"hidden": 8, "layers": 1}],
        },
        "training": {"warmup_steps": 5, "tiers": [tier, tier], **training},
    }
    return parse_preset_config(raw, "test")


CONFIG = make_config()
sound = CONFIG.sound


@pytest.fixture(autouse=True)
def _keep_torch_settings() -> Iterator[None]:
    """Training sets them for its own process."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Decaying notes at random times: four recordings with their notes."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for split, name in (("train", "a"), ("train", "b"), ("train", "c"), ("valid", "d")):
        (root / split).mkdir(exist_ok=True)
        onsets = np.arange(0, SECONDS - 0.5, 0.25) + random.uniform(0, 0.1, round((SECONDS - 0.5) / 0.25))
        rows = [
            (onset, onset + 0.2, onset + 0.4, int(random.integers(48, 84)), int(random.integers(40, 120)))
            for onset in onsets
        ]
        time_s = np.arange(round(SECONDS * 8000)) / 8000
        audio = 1e-3 * random.standard_normal(len(time_s))
        for onset, _, end, pitch, velocity in rows:
            span = (time_s >= onset) & (time_s < end)
            since = time_s[span] - onset
            audio[span] += (
                velocity / 400 * np.exp(-6 * since) * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * since)
            )
        soundfile.write(root / split / f"{name}.flac", audio, 8000)
        with (root / split / f"{name}.notes.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["onset_s", "release_s", "sounding_end_s", "pitch", "velocity", "channel", "program"])
            table.writerows((*row, 0, 0) for row in reversed(rows))
    return root


@pytest.fixture(scope="module")
def works(data: Path) -> list[Work]:
    return load_works(data, "train", sound)


def make_clips(works: list[Work], config: PresetConfig = CONFIG, tier: int = 1, seed: int = 0) -> Clips:
    return Clips(works, config, MelNet(config.model, sound.mel_bins), tier, seed)


def work_of(frames: NDArray[np.float32], notes: list[Note] | None = None) -> Work:
    return Work("made", frames, notes or [])


# ---- features ----


def test_works_are_the_frames_of_the_recordings_and_their_notes(data: Path, works: list[Work]) -> None:
    assert [work.name for work in works] == ["a", "b", "c"]
    audio, _ = soundfile.read(data / "train" / "b.flac", dtype="float32")
    np.testing.assert_array_equal(works[1].log_mel, log_mel(audio, sound))
    onsets = [note.onset_s for note in works[1].notes]
    assert len(onsets) == 38
    assert onsets == sorted(onsets)
    assert works[1].notes_between(onsets[4], onsets[5]) == [
        note for note in works[1].notes[:5] if note.end_s > onsets[4]
    ]


def test_features_are_cached_by_the_sound_settings(data: Path, works: list[Work]) -> None:
    """The same settings read the same files; others make others."""
    caches = set(data.glob("log-mel-*"))
    files = {path: path.stat().st_mtime_ns for path in data.glob("log-mel-*/train/*.npy")}
    assert len(files) >= 3
    load_works(data, "train", sound)
    assert {path: path.stat().st_mtime_ns for path in files} == files
    load_works(data, "train", sound.model_copy(update={"magnitude_floor": 1e-2}))
    assert len(set(data.glob("log-mel-*")) - caches) == 1


def test_recordings_without_notes_have_none(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    soundfile.write(tmp_path / "train" / "x.flac", np.zeros(8000), 8000)
    assert load_works(tmp_path, "train", sound)[0].notes == []


def test_no_data_is_answered_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"'train': looked for \*\.flac in {tmp_path}/train; melnet-music make-data"):
        train_tier(CONFIG, tmp_path, tmp_path / "out", 0, seed=0, steps=1)


def test_statistics_are_those_of_the_bins_with_a_floor() -> None:
    random = np.random.default_rng(0)
    frames = (random.standard_normal((5000, 3)) * [2, 1, 0.01] + [1, -5, 3]).astype(np.float32)
    mean, deviation = bin_statistics([work_of(frames[:2000]), work_of(frames[2000:])], 0.3)
    np.testing.assert_allclose(mean, frames[::5].mean(0), atol=1e-5)
    np.testing.assert_allclose(deviation, [frames[::5, 0].std(), frames[::5, 1].std(), 0.3], rtol=1e-5)


# ---- note maps ----

notes = st.builds(
    lambda onset, length, pitch, velocity: Note(onset, onset + length, pitch, velocity),
    st.floats(0, 3),
    st.floats(0, 2),
    st.integers(21, 107),  # below fmax_hz
    st.integers(1, 127),
)


@settings(max_examples=40, deadline=None)
@given(
    notes=st.lists(notes, max_size=6),
    start=st.integers(0, 200),
    frames=st.integers(1, 60),
    cut=st.integers(0, 60),
)
def test_a_note_map_is_a_window_on_the_map_of_all_time(notes: list[Note], start: int, frames: int, cut: int) -> None:
    whole = note_map(notes, 0, start + frames, sound)
    assert whole.shape == (start + frames, sound.mel_bins, 2)
    assert ((whole >= 0) & (whole <= 1)).all()
    part = note_map(notes, start, frames, sound)
    np.testing.assert_array_equal(part, whole[start:])
    cut = min(cut, frames)
    parts = [note_map(notes, start, cut, sound), note_map(notes, start + cut, frames - cut, sound)]
    np.testing.assert_array_equal(np.concatenate(parts), part)


@settings(max_examples=40, deadline=None)
@given(note=notes)
def test_a_note_starts_in_one_frame_and_sounds_until_it_is_damped(note: Note) -> None:
    drawn = note_map([note], 0, 400, sound)
    onset = round(note.onset_s * sound.frames_per_second)
    end = max(round(note.end_s * sound.frames_per_second), onset + 1)
    assert np.flatnonzero(drawn[..., 0].any(1)).tolist() == list(range(onset, end))
    assert np.flatnonzero(drawn[..., 1].any(1)).tolist() == [onset]
    np.testing.assert_allclose(drawn[onset, :, 1], drawn[onset, :, 0] * np.float32(note.velocity / 127), rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(many=st.lists(notes, min_size=2, max_size=6))
def test_notes_together_are_the_stronger_of_each(many: list[Note]) -> None:
    alone = [note_map([note], 0, 400, sound) for note in many]
    np.testing.assert_array_equal(note_map(many, 0, 400, sound), np.maximum.reduce(alone))


@pytest.mark.parametrize("pitch", [33, 57, 69, 81])
def test_a_notes_partials_are_drawn_where_a_tone_of_theirs_sounds(pitch: int) -> None:
    """Measured: a sine at the partial is loudest in the bin it is drawn on."""
    full = SoundConfig(mel_bins=96)
    drawn = note_map([Note(0, 1, pitch, 127)], 0, 10, full)[5, :, 0]
    strengths = {}
    for number in range(1, PARTIALS + 1):
        hz = number * 440 * 2 ** ((pitch - 69) / 12)
        tone = np.sin(2 * np.pi * hz * np.arange(22050) / 22050).astype(np.float32)
        loudest = int(log_mel(tone, full)[20].argmax())
        near = drawn[max(loudest - 1, 0) : loudest + 2]
        assert near.max() >= np.float32(1 / number)
        strengths[number] = near.max()
    assert strengths[1] == 1
    assert np.count_nonzero(drawn) <= PARTIALS


def test_a_note_is_drawn_on_the_bins_nearest_to_its_partials() -> None:
    """Bins and pitches as librosa has them."""
    centres = librosa.mel_frequencies(sound.mel_bins + 2, fmin=sound.fmin_hz, fmax=sound.fmax_hz)[1:-1]
    for pitch in range(128):
        partials = librosa.midi_to_hz(pitch) * np.arange(1, PARTIALS + 1)
        expected = np.zeros(sound.mel_bins, np.float32)
        for number, hz in enumerate(partials[partials <= sound.fmax_hz], 1):
            mel_bin = np.abs(centres - hz).argmin()
            expected[mel_bin] = max(expected[mel_bin], 1 / number)
        np.testing.assert_array_equal(note_map([Note(0, 1, pitch, 64)], 0, 1, sound)[0, :, 0], expected)


def test_partials_above_the_highest_bin_and_pitches_out_of_midi_are_left_out() -> None:
    assert np.count_nonzero(note_map([Note(0, 1, 108, 64)], 0, 1, sound)[0, :, 0]) == 0  # 4186 Hz, fmax 4000
    assert not note_map([Note(0, 1, 128, 64), Note(0, 1, -1, 64)], 0, 4, sound).any()


# ---- clips ----


def test_clips_hold_what_the_works_hold_at_that_place(works: list[Work]) -> None:
    """Frames whose values are their own numbers tell where a clip is from."""
    numbered = [work_of(np.arange(i * 1000, i * 1000 + 300, dtype=np.float32)[:, None].repeat(8, 1)) for i in range(3)]
    clips = make_clips(numbered, make_config(future_probability=0.0, notes_probability=0.0))
    seen = set()
    for _ in range(20):
        example = clips.draw(2, 16)
        assert example.own.shape == (2, 8, 8)
        assert example.channels.shape == (2, 8, 8, 5)
        first = example.own[:, 0, 0]
        assert torch.equal(example.own[:, :, 0], first[:, None] + 2 * torch.arange(8))
        assert torch.equal(example.channels[..., 0], example.own + 1)  # kept last: the coarse frame is the later one
        assert not example.channels[..., 1:].any()
        assert (example.weight == 1).all()
        seen |= {int(value) // 1000 for value in first}
    assert seen == {0, 1, 2}


def test_a_recording_as_long_as_a_clip_can_be_drawn() -> None:
    clips = make_clips([work_of(np.ones((16, 8), np.float32)), work_of(np.zeros((8, 8), np.float32))])
    assert (clips.draw(4, 16).own == 1).all()
    with pytest.raises(ValueError, match="every training recording is shorter than a clip of 18 frames"):
        clips.draw(1, 18)


def test_chunk_lengths_are_those_of_the_preset_and_the_whole_clip(works: list[Work]) -> None:
    clips = make_clips(works, make_config(future_probability=0.0, chunk_frames=[4, 8]))
    assert {clips.draw(1, 32).chunk for _ in range(60)} == {2, 4, None}  # in the tier's own frames


def test_a_given_future_is_not_learned_and_is_one_chunk(works: list[Work]) -> None:
    clips = make_clips(works, make_config(future_probability=1.0, notes_probability=0.0))
    given_frames = set()
    for _ in range(30):
        example = clips.draw(2, 32)
        value, mask = example.channels[..., 1], example.channels[..., 2]
        assert example.chunk is None
        assert torch.equal(example.weight, 1 - mask)
        assert torch.equal(value, example.own * mask)
        assert torch.equal(mask, mask[:1, :, :1].expand_as(mask))
        assert torch.equal(mask[0, :, 0], mask[0, :, 0].sort().values)
        given_frames.add(int(mask[0, :, 0].sum()))
    assert max(given_frames) <= 12  # at least a quarter of the clip is learned
    assert len(given_frames) > 5


@pytest.mark.parametrize("tier", [0, 1])
def test_weights_are_zero_exactly_where_the_future_is_given(works: list[Work], tier: int) -> None:
    clips = make_clips(works, tier=tier)
    x, mask = torch.randn(1, 8, 8), torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1]]).float()
    example = clips.example(x, Conditioning(x, mask), None)
    given = decompose(mask.view(1, 8, 1).expand_as(x), CONFIG.model)[tier]
    assert torch.equal(example.weight, 1 - given)
    assert example.weight[0, :, 0].tolist() == [[1, 0, 0, 0], [1, 1, 0, 0]][tier]


def test_notes_of_a_clip_are_drawn_on_its_frames(works: list[Work]) -> None:
    clips = make_clips(works, make_config(future_probability=0.0, notes_probability=1.0))
    mapped = clips.draw(8, 64).channels[..., 3:]
    assert mapped.any()
    whole = [note_map(work.notes, 0, len(work.log_mel), sound) for work in works]
    found = 0
    for row in mapped.numpy():
        found += any(
            np.array_equal(row, drawn[start : start + 64 : 2]) for drawn in whole for start in range(len(drawn) - 63)
        )
    assert found == 8


def test_the_same_seed_draws_the_same_clips(works: list[Work]) -> None:
    first, same, other = (make_clips(works, seed=seed) for seed in (0, 0, 1))
    for _ in range(5):
        drawn = [clips.draw(2, 32) for clips in (first, same, other)]
        assert torch.equal(drawn[0].channels, drawn[1].channels)
        assert drawn[0].chunk == drawn[1].chunk
        assert not torch.equal(drawn[0].own, drawn[2].own)


def test_exposure_noise_is_on_what_is_seen_and_not_on_what_is_learned(works: list[Work]) -> None:
    clips = make_clips(works)
    example = clips.draw(1, 32)
    plan = TierTraining(learning_rate=1.0, minutes=1, past_noise=0.1, coarse_noise=0.2)
    coarse, past = [], []
    for _ in range(200):
        noisy, past_noise = clips.noise(example, plan)
        assert torch.equal(noisy.own, example.own)
        assert torch.equal(noisy.channels[..., 1:], example.channels[..., 1:])
        coarse.append((noisy.channels - example.channels)[..., 0].std().item())
        past.append(0.0 if past_noise is None else past_noise.std().item())
    for deviations, largest in ((coarse, 0.2), (past, 0.1)):
        assert 60 < deviations.count(0.0) < 140  # half of the time
        assert 0.8 * largest < max(deviations) < 1.3 * largest
    quiet = TierTraining(learning_rate=1.0, minutes=1)
    assert all(clips.noise(example, quiet)[1] is None for _ in range(20))


def test_the_rate_warms_up_and_decays_to_its_end() -> None:
    assert learning_rate(2.0, 0, 0.0, 10, 0.1) == pytest.approx(0.2)
    assert learning_rate(2.0, 9, 0.0, 10, 0.1) == pytest.approx(2.0)
    assert learning_rate(2.0, 500, 0.5, 10, 0.1) == pytest.approx(1.1)
    assert learning_rate(2.0, 999, 1.0, 10, 0.1) == pytest.approx(0.2)
    assert learning_rate(2.0, 0, 0.7, 0, 1.0) == pytest.approx(2.0)  # the paper's: constant


def test_clips_grow_to_their_length_in_whole_groups() -> None:
    plan = TierTraining(learning_rate=1.0, minutes=1, clip_frames=100)
    assert [clip_length(plan, fraction, 4) for fraction in (0, 0.14, 0.15, 0.39, 0.4, 1)] == [
        24,
        24,
        48,
        48,
        100,
        100,
    ]
    assert clip_length(plan.model_copy(update={"clip_frames": 8}), 0, 8) == 8


# ---- training ----


def curve(out: Path, tier: int) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / f"tier-{tier}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("tier", [0, 1])
def test_the_loss_falls(data: Path, tmp_path: Path, tier: int) -> None:
    lines: list[TierProgress] = []
    path = train_tier(CONFIG, data, tmp_path, tier, seed=0, steps=100, report=lines.append)
    assert path == tmp_path / f"tier-{tier + 1}.safetensors"
    assert {line.tier for line in lines} == {tier + 1}
    assert lines[-1].step == 100
    assert lines[-1].fraction == 1.0
    assert [line.train_nats for line in lines] == [line["train_nats"] for line in curve(tmp_path, tier + 1)]
    # from the wide start to 0.5 nats a bin better and more: seen 0.7 to 1.2
    assert np.mean([line.train_nats for line in lines[-5:]]) < lines[0].train_nats - 0.5
    valid = [line.valid_nats for line in lines if line.valid_nats is not None]
    assert len(valid) >= 5
    assert valid[-1] < valid[0]


def test_rmsprop_trains_the_papers_configuration_made_small(data: Path, tmp_path: Path) -> None:
    paper = read_preset_config(find_preset("paper-maestro") / CONFIG_FILE).model_dump(mode="json")
    paper["sound"] = SOUND
    for tier in paper["model"]["tiers"]:
        tier.update(hidden=4, layers=2, centralized_hidden=tier["centralized_hidden"] and 4)
    for plan in paper["training"]["tiers"]:
        plan["learning_rate"] = 1e-3
    lines: list[TierProgress] = []
    train_tier(parse_preset_config(paper, "small"), data, tmp_path, 1, seed=0, steps=60, report=lines.append)
    assert lines[-1].train_nats < lines[0].train_nats - 0.1


def test_the_same_seed_and_steps_train_the_same_weights(data: Path, tmp_path: Path) -> None:
    trained = [
        load_file(train_tier(CONFIG, data, tmp_path / str(run), 1, seed=seed, steps=8))
        for run, seed in enumerate((3, 3, 4))
    ]
    assert all(torch.equal(trained[0][name], trained[1][name]) for name in trained[0])
    assert not all(torch.equal(trained[0][name], trained[2][name]) for name in trained[0])


def test_training_goes_on_from_given_weights(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    start = MelNet(CONFIG.model, sound.mel_bins).state_dict()
    start["mean"] += 1.5
    slow = make_config(warmup_steps=1000)
    weights = load_file(train_tier(slow, data, tmp_path, 1, seed=0, steps=2, start_from=start))
    assert torch.equal(weights["mean"], start["mean"])  # the statistics stay: other tiers were trained with them
    for name in weights:
        torch.testing.assert_close(weights[name], start[name], rtol=0, atol=2e-4)
    assert not torch.equal(weights["tiers.1.outlet.weight"], start["tiers.1.outlet.weight"])


def test_tiers_trained_in_processes_of_their_own_make_a_whole_model(data: Path, tmp_path: Path) -> None:
    lines: list[TierProgress] = []
    train(CONFIG, data, tmp_path, seed=0, tiers=[0, 1], processes=1, steps=4, report=lines.append)
    assert {line.tier for line in lines} == {1, 2}
    weights = collect_weights(tmp_path, CONFIG)
    model = MelNet(CONFIG.model, sound.mel_bins)
    model.load_state_dict(weights)
    alone = load_file(train_tier(CONFIG, data, tmp_path / "alone", 0, seed=0, steps=4))
    assert all(torch.equal(weights[name], alone[name]) for name in alone)  # processes change nothing


def test_a_tier_that_is_not_trained_yet_is_named(data: Path, tmp_path: Path) -> None:
    train_tier(CONFIG, data, tmp_path, 0, seed=0, steps=1)
    with pytest.raises(ValueError, match=rf"tier 2 is not trained yet: no {tmp_path}/tier-2\.safetensors; .*--tiers 2"):
        collect_weights(tmp_path, CONFIG)
    with pytest.raises(ValueError, match=r"tier 1 is not trained yet"):
        collect_weights(tmp_path / "nothing", CONFIG)


def test_a_step_without_a_finite_gradient_is_left_out(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A rate far too high: the run goes on, says so, and its weights stay finite."""
    plan = CONFIG.training.tiers[0].model_copy(update={"learning_rate": 1e30})
    wild = CONFIG.model_copy(update={"training": CONFIG.training.model_copy(update={"tiers": (plan, plan)})})
    with caplog.at_level(logging.WARNING):
        path = train_tier(wild, data, tmp_path, 1, seed=0, steps=6)
    assert "step left out" in caplog.text
    assert all(torch.isfinite(tensor).all() for tensor in load_file(path).values())


# ---- held-out likelihood ----


def gaussian_works(frames: int, count: int = 2, sigma: float = 0.7) -> list[Work]:
    random = np.random.default_rng(1)
    return [work_of((sigma * random.standard_normal((frames, 8)) - 4).astype(np.float32)) for _ in range(count)]


def test_held_out_nats_are_the_same_every_time_and_in_units_of_the_recording(data: Path) -> None:
    """Whatever the normalisation: nats are per ln magnitude, not per deviation."""
    works = load_works(data, "valid", sound)
    torch.manual_seed(0)
    model = MelNet(CONFIG.model, sound.mel_bins)
    first, again = (held_out_nats(model, 1, works, 8) for _ in range(2))
    assert first == again
    for parameter in model.parameters():
        parameter.data.zero_()
    k = CONFIG.model.components
    model.tier(1).outlet.bias.data[2 * k :] = math.log(math.e**4 - 1)  # sigma 1: a standard normal, whatever is seen
    stretched = [work_of(3 * work.log_mel + 5) for work in works]
    plain, _ = held_out_nats(model, 1, works, 8)
    model.mean.fill_(5.0)
    model.deviation.fill_(3.0)
    assert held_out_nats(model, 1, stretched, 8)[0] == pytest.approx(plain + math.log(3), abs=1e-4)


def test_held_out_nats_of_a_standard_normal_are_its_entropy() -> None:
    works = [work_of(w.log_mel + 4) for w in gaussian_works(EXCERPT_FRAMES * 8, sigma=1.0)]
    torch.manual_seed(0)
    model = MelNet(CONFIG.model, sound.mel_bins)
    for parameter in model.parameters():
        parameter.data.zero_()
    k = CONFIG.model.components
    for tier in (0, 1):
        model.tier(tier).outlet.bias.data[2 * k :] = math.log(math.e**4 - 1)
        assert held_out_nats(model, tier, works, None)[0] == pytest.approx(gaussian_entropy(1.0), abs=0.02)


def test_excerpts_are_spread_over_all_works() -> None:
    numbered = [work_of(np.full((EXCERPT_FRAMES * 4 + 7, 8), i, np.float32)) for i in range(12)]
    model = MelNet(CONFIG.model, sound.mel_bins)
    clips = list(excerpts(numbered, model, count=12))
    assert [int(clip[0, 0, 0]) for clip in clips] == list(range(12))
    assert {tuple(clip.shape) for clip in clips} == {(1, EXCERPT_FRAMES, 8)}


def test_held_out_works_too_short_for_an_excerpt_are_refused() -> None:
    model = MelNet(CONFIG.model, sound.mel_bins)
    with pytest.raises(ValueError, match=rf"no held-out recording has {EXCERPT_FRAMES} frames"):
        held_out_nats(model, 0, gaussian_works(EXCERPT_FRAMES - 1), None)


# ---- baselines ----


def gaussian_entropy(sigma: float) -> float:
    return 0.5 * math.log(2 * math.pi * math.e * sigma**2)


@pytest.mark.parametrize(("tier", "variance"), [(0, 2.0), (1, 1.5)])
def test_baselines_of_white_noise_are_its_entropy(tier: int, variance: float) -> None:
    """Each bin a Gaussian; around the frame before it twice its variance, around the mean of two coarse bins 1.5."""
    model = MelNet(CONFIG.model, sound.mel_bins)
    model.mean.fill_(-4.0)
    sigma = 0.7
    entropy = gaussian_entropy(sigma)
    train_works, valid_works = (
        gaussian_works(4096, sigma=sigma),
        gaussian_works(EXCERPT_FRAMES * 4, sigma=sigma),
    )
    nats = baseline_nats(model, tier, train_works, valid_works, seed=0)
    assert nats["bin_mixture"][0] == pytest.approx(entropy, abs=0.03)
    assert nats["neighbour_gaussian"][0] == pytest.approx(entropy + 0.5 * math.log(variance), abs=0.03)
    assert all(math.isfinite(value) for pair in nats.values() for value in pair)


@pytest.mark.parametrize("keeps", ["first", "last"])
@pytest.mark.parametrize("axis", ["time", "frequency"])
def test_an_upper_tiers_gaussian_is_around_the_two_coarse_bins_beside_it(axis: str, keeps: str) -> None:
    """On lines with a little noise it is wrong by the noise alone, but at the edge, where there is one neighbour."""
    config = CONFIG.model.model_copy(update={"splits": (axis,), "split_keeps": keeps})
    random = np.random.default_rng(0)

    def lines(frames: int) -> Work:
        if axis == "time":  # as good as lines, and no jump where excerpts meet
            grid = np.sin(2 * np.pi * np.arange(frames)[:, None] / EXCERPT_FRAMES + np.arange(8))
        else:
            grid = random.standard_normal((frames, 1)) * np.arange(8)
        return work_of((grid + 0.003 * random.standard_normal((frames, 8))).astype(np.float32))

    made = [lines(EXCERPT_FRAMES * 8)], [lines(EXCERPT_FRAMES * 2)]
    nats = baseline_nats(MelNet(config, sound.mel_bins), 1, *made, seed=0)
    between = gaussian_entropy(0.003 * math.sqrt(1.5))
    expected = between if axis == "time" else (3 * between + gaussian_entropy(1.0)) / 4
    assert nats["neighbour_gaussian"][0] == pytest.approx(expected, abs=0.1)


def test_baselines_run_on_recordings(data: Path, works: list[Work]) -> None:
    model = MelNet(CONFIG.model, sound.mel_bins)
    again = [baseline_nats(model, 0, works, load_works(data, "valid", sound), seed=0) for _ in range(2)]
    assert again[0] == again[1]
    assert all(math.isfinite(value) for pair in again[0].values() for value in pair)


def test_trained_weights_load_as_a_preset(data: Path, tmp_path: Path) -> None:
    for tier in (0, 1):
        train_tier(CONFIG, data, tmp_path, tier, seed=0, steps=1)
    weights = collect_weights(tmp_path, CONFIG)
    folder = tmp_path / "mine"
    folder.mkdir()
    model = CONFIG.model_dump(mode="json")["model"]
    tiers = ", ".join("{" + ", ".join(f"{k} = {v}" for k, v in tier.items()) + "}" for tier in model["tiers"])
    sounds = "\n".join(f"{key} = {value}" for key, value in SOUND.items())
    (folder / CONFIG_FILE).write_text(
        f'title = "Mine"\nlicence = "CC0-1.0"\n[sound]\n{sounds}\n'
        f'[model]\nsplits = ["time"]\ncomponents = 3\ntiers = [{tiers}]\n'
    )
    write_weights(folder / "weights.safetensors", weights)
    assert torch.equal(load_preset(folder).model().mean, weights["mean"])
