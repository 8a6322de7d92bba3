"""Works on a device are what they are elsewhere: frames, note maps and clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_recordings import write_recordings
from tiny_training import tiny_config

from melnet_music.model.config import SoundConfig, parse_preset_config
from melnet_music.model.network import MelNet
from melnet_music.notes.note_map import Note, note_map
from melnet_music.sound.mel import log_mel
from melnet_music.training import train as training
from melnet_music.training.data.features import Work, load_works
from melnet_music.training.held_out import held_out_nats
from melnet_music.training.material.bin_statistics import bin_statistics
from melnet_music.training.material.clips import ClipDrawer, Clips, make_example
from melnet_music.training.material.device_mel import DeviceMel
from melnet_music.training.material.device_works import DeviceWork, bytes_on_device, device_work, put_on_device
from melnet_music.training.material.note_rolls import NoteMaps, note_roll
from melnet_music.training.material.rows import RowPlaces

CONFIG = tiny_config(notes_probability=1.0, future_probability=0.5, level_range_db=6.0)
CPU = torch.device("cpu")
DEVICES = [CPU, *([torch.device("cuda")] if torch.cuda.is_available() else [])]
SOUNDS = [CONFIG.sound, SoundConfig(), SoundConfig(n_fft=1536, window_samples=1024, hop_samples=256, fmax_hz=8000.0)]


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> list[Work]:
    root = tmp_path_factory.mktemp("data")
    write_recordings(root, {"train": 3})
    return load_works(root, "train", CONFIG.sound)


@pytest.fixture(scope="module")
def there(works: list[Work]) -> list[DeviceWork]:
    return put_on_device(works, CONFIG.sound, CPU)


def random_notes(sound: SoundConfig, frames: int) -> list[Note]:
    """Of all lengths and pitches: some begin before, end after, overlap, start together, or last less than a frame."""
    random, seconds = np.random.default_rng(0), frames / sound.frames_per_second
    onsets = random.uniform(-0.2, 1.1, 150) * seconds
    lengths = np.exp(random.uniform(np.log(1e-3), np.log(seconds), 150))
    return [
        Note(float(onset), float(onset + length), int(pitch), int(velocity))
        for onset, length, pitch, velocity in zip(
            [*onsets, *onsets[:30]],
            [*lengths, *lengths[:30]],
            random.integers(-5, 133, 180),
            random.integers(1, 128, 180),
            strict=True,
        )
    ]


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("sound", SOUNDS, ids=["tiny", "default", "other"])
@pytest.mark.parametrize("partials", [1, 8])
def test_note_maps_are_those_of_the_same_notes(sound: SoundConfig, partials: int, device: torch.device) -> None:
    notes = random_notes(sound, 96)
    maps = NoteMaps(sound, partials, device)
    roll = torch.from_numpy(note_roll(notes, 96, sound)).to(device)
    drawn = maps.draw(torch.stack([roll[:64], roll[32:]])).cpu().numpy()
    assert np.array_equal(drawn[0], note_map(notes, 0, 64, sound, partials))
    assert np.array_equal(drawn[1], note_map(notes, 32, 64, sound, partials))
    assert len(np.unique(drawn)) > 20


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("sound", SOUNDS, ids=["tiny", "default", "other"])
@pytest.mark.parametrize("samples", [0, 1, 5000, 20480])
def test_frames_are_those_of_the_same_audio(sound: SoundConfig, samples: int, device: torch.device) -> None:
    audio = (0.1 * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)
    frames = DeviceMel(sound, device)(torch.from_numpy(audio).to(device)).cpu().numpy()
    assert frames.shape == (1 + samples // sound.hop_samples, sound.mel_bins)
    assert np.allclose(frames, log_mel(audio, sound), atol=1e-4 if device == CPU else 3e-3)


def draws(material: list[Work] | list[DeviceWork], steps: int = 12, **keys: int) -> list[Clips]:
    drawer = ClipDrawer(material, CONFIG, 1, keys.get("seed", 1))
    return [drawer.draw(step, range(keys.get("first", 0), 4), 64) for step in range(steps)]


def numbers(values: object) -> NDArray[np.float32]:
    return values.numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def test_clips_and_their_notes_are_those_of_the_recordings(works: list[Work], there: list[DeviceWork]) -> None:
    model = MelNet(CONFIG.model, CONFIG.sound.mel_bins)
    for here, moved in zip(draws(works), draws(there), strict=True):
        assert (here.gap, here.chunk_frames) == (moved.gap, moved.chunk_frames)
        assert np.array_equal(numbers(here.notes), numbers(moved.notes))
        assert np.abs(numbers(here.log_mel) - numbers(moved.log_mel)).max() < 0.05  # a floor in half precision
        assert np.abs(numbers(here.log_mel) - numbers(moved.log_mel)).mean() < 0.003
        quiet, moved_quiet = (~numbers(clips.past_noise).any((1, 2)) for clips in (here, moved))
        assert np.array_equal(quiet, moved_quiet)
        example = make_example(moved, model, 1)
        assert example.own.shape == (4, 32, 8)


def test_a_draw_follows_from_seed_step_and_place_alone(there: list[DeviceWork]) -> None:
    for whole, again, part in zip(draws(there), draws(there), draws(there, first=2), strict=True):
        for name in ("log_mel", "notes", "past_noise", "coarse_noise"):
            assert torch.equal(getattr(whole, name), getattr(again, name))
            assert torch.equal(getattr(whole, name)[2:], getattr(part, name))
    other = draws(there, seed=2)
    assert not any(torch.equal(one.log_mel, two.log_mel) for one, two in zip(draws(there), other, strict=True))


def test_noise_is_as_strong_as_the_preset_says(there: list[DeviceWork]) -> None:
    deviations = np.array([numbers(clips.past_noise).std((1, 2)) for clips in draws(there, steps=50)]).ravel()
    assert 0.35 < np.mean(deviations == 0) < 0.65
    assert 0.09 < deviations.max() < 0.105


def test_rows_follow_works_on_a_device(works: list[Work], there: list[DeviceWork]) -> None:
    places = RowPlaces.none_yet(2), RowPlaces.none_yet(2)
    drawers = ClipDrawer(works, CONFIG, 0, 1), ClipDrawer(there, CONFIG, 0, 1)
    for step in range(6):
        here, moved = (drawer.draw(step, range(2), 64, at) for drawer, at in zip(drawers, places, strict=True))
        assert here.places is not None
        assert moved.places is not None
        places = here.places, moved.places
        assert np.array_equal(here.places.at, moved.places.at)
        assert np.array_equal(here.begins, moved.begins)  # type: ignore[arg-type]


def test_works_without_notes_give_none_away(works: list[Work]) -> None:
    silent = [
        device_work("silent", torch.from_numpy(np.array(works[0].log_mel)), [], CONFIG.sound),
        device_work("played", torch.from_numpy(np.array(works[0].log_mel)), works[0].notes, CONFIG.sound),
    ]
    assert silent[0].roll is None
    notes = [bool(numbers(clips.notes)[row].any()) for clips in draws(silent) for row in range(4)]
    assert {True, False} == set(notes)
    assert not any(numbers(clips.notes).any() for clips in draws(silent[:1]))


def test_statistics_and_held_out_nats_are_those_of_the_recordings(works: list[Work], there: list[DeviceWork]) -> None:
    for here, moved in zip(bin_statistics(works, 0.3), bin_statistics(there, 0.3), strict=True):
        assert np.allclose(here, moved, atol=1e-3)
    model = MelNet(CONFIG.model, CONFIG.sound.mel_bins)
    nats, moved_nats = (held_out_nats(model, 1, material, 8)[0] for material in (works, there))
    assert nats == pytest.approx(moved_nats, abs=1e-3)


def test_recordings_go_onto_a_gpu_where_they_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_recordings(tmp_path, {"train": 2, "valid": 1})
    moved: list[torch.device] = []

    def put(works: list[Work], sound: SoundConfig, device: torch.device) -> list[DeviceWork]:
        moved.append(device)
        return put_on_device(works, sound, CPU)

    works = load_works(tmp_path, "train", CONFIG.sound)
    wanted = bytes_on_device(works, CONFIG.sound)
    assert wanted == sum(work.log_mel.size * 2 + len(work.log_mel) * 128 for work in works)
    monkeypatch.setattr(training, "put_on_device", put)
    gpu = torch.device("cuda")
    for free, device, on_it in ((2 * wanted, gpu, True), (2 * wanted - 2, gpu, False), (2 * wanted, CPU, False)):
        monkeypatch.setattr(training, "free_bytes", lambda _, free=free: free)
        material = training.load_material(tmp_path, CONFIG, device)
        assert isinstance(material.train[0], DeviceWork) == on_it
        assert isinstance(material.valid[0], Work)
    assert moved == [gpu]


def test_a_config_of_many_partials_is_drawn_too() -> None:
    raw = CONFIG.model_dump(mode="json")
    raw["model"]["note_partials"] = 30
    config = parse_preset_config(raw, "test")
    notes = [Note(0.0, 0.1, 100, 90), Note(0.02, 0.2, 30, 20)]
    drawn = NoteMaps(config.sound, 30, CPU).draw(torch.from_numpy(note_roll(notes, 16, config.sound))[None])
    assert np.array_equal(drawn[0].numpy(), note_map(notes, 0, 16, config.sound, 30))


def test_nothing_is_fetched_from_the_device_to_make_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """On torch's meta device, which has no values to fetch, and refuses to be mixed with the CPU's tensors."""

    class Generator(torch.Generator):
        """The meta device has none."""

        def __new__(cls, _: torch.device) -> Generator:
            return super().__new__(cls)

    meta = torch.device("meta")
    monkeypatch.setattr(torch, "Generator", Generator)
    frames = torch.zeros(500, 8, dtype=torch.float16, device=meta)
    there = [
        DeviceWork("played", frames, torch.zeros(500, 128, dtype=torch.uint8, device=meta)),
        DeviceWork("unknown", frames, None),
    ]
    model = MelNet(CONFIG.model, CONFIG.sound.mel_bins).to(meta)
    drawer, places = ClipDrawer(there, CONFIG, 1, 0), RowPlaces.none_yet(4)
    for step in range(4):
        clips = drawer.draw(step, range(4), 64, places)
        assert clips.places is not None
        places = clips.places
        example = make_example(clips, model, 1)
        for part in (example.own, example.channels, example.weight, example.past_noise):
            assert part.device == meta
    assert DeviceMel(CONFIG.sound, meta)(torch.zeros(8000, device=meta)).device == meta
