"""Training on works that are composed for it, and rendered where it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_sounds import write_sounds
from tiny_training import tiny_config, write_preset

from bridge.cli.main import main
from melnet_music.composing.collection import play_work, split_of, work_name
from melnet_music.composing.rendering.render import DRUM_CHANNEL, TAIL_SECONDS
from melnet_music.notes.note_map import Note, note_map
from melnet_music.training.curve import read_curves
from melnet_music.training.material import composed_works
from melnet_music.training.material.clips import ClipDrawer
from melnet_music.training.material.composed_works import ComposedWorks, render_works
from melnet_music.training.material.composition import Composition
from melnet_music.training.material.note_rolls import NoteMaps
from melnet_music.training.tier_run import RunPlan
from melnet_music.training.train import Material, load_material, train, train_tier

CONFIG = tiny_config(carry_state=True, optimizer="muon", level_range_db=6.0)
SOUND = CONFIG.sound
CPU = torch.device("cpu")
SEED = 26
"""Its works are short."""


@pytest.fixture(autouse=True)
def _keep_torch_threads() -> Iterator[None]:
    """Training sets it for its own process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sounds(tmp_path_factory.mktemp("sounds"))


@pytest.fixture(scope="module")
def composed(sounds: Path) -> ComposedWorks:
    return render_works(Composition("piano", 2, SEED, sounds), SOUND, CPU)


@pytest.fixture(scope="module")
def material(composed: ComposedWorks) -> Material:
    return Material(composed.train, composed.valid, composed.about)


def number_of(name: str) -> int:
    return int(name.rsplit("-", 1)[1])


def test_works_are_those_of_the_collection_with_their_notes(composed: ComposedWorks) -> None:
    assert [work.name for work in composed.train] == [work_name("piano", SEED, number) for number in (0, 1)]
    for work in (*composed.train, *composed.valid):
        performance = play_work("piano", SEED, number_of(work.name), ("bright", "dark")).performance
        seconds = performance.seconds + TAIL_SECONDS
        assert len(work.log_mel) == pytest.approx(seconds * SOUND.frames_per_second, abs=2)
        notes = [
            Note(note.onset_s, note.sounding_end_s, note.pitch, note.velocity)
            for note in performance.notes
            if note.channel != DRUM_CHANNEL
        ]
        assert work.roll is not None
        drawn = NoteMaps(SOUND, 8, CPU).draw(work.roll[None, 100:400])[0].numpy()
        assert np.array_equal(drawn, note_map(notes, 100, 300, SOUND, 8))


def test_frames_are_louder_where_notes_sound(composed: ComposedWorks) -> None:
    work = composed.train[0]
    assert work.roll is not None
    plays = (work.roll >= 128).any(1)
    loudness = work.log_mel.float().exp().sum(1)
    assert loudness[plays].mean() > 3 * loudness[~plays].mean()


def test_a_split_without_works_takes_the_next_one_of_the_collection(composed: ComposedWorks) -> None:
    (held_out,) = composed.valid
    number = number_of(held_out.name)
    assert number >= 2
    assert split_of(held_out.name) == "valid"
    assert not any(split_of(work_name("piano", SEED, between)) == "valid" for between in range(number))


def test_no_work_of_the_split_test_is_composed(sounds: Path) -> None:
    numbers = composed_works._numbers(Composition("piano", 200, SEED, sounds))
    splits = [split_of(work_name("piano", SEED, number)) for number in range(200)]
    assert numbers == [number for number, split in enumerate(splits) if split != "test"]
    assert len(numbers) < 200


def test_processes_compose_what_one_does(sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    composition = Composition("piano", 2, SEED, sounds)
    found = composed_works.read_sounds(sounds, "piano")
    alone = list(composed_works._works(composition, [0, 1, 2], found))
    monkeypatch.setattr(composed_works, "_POOLED_FROM", 1)
    assert list(composed_works._works(composition, [0, 1, 2], found)) == alone


def test_the_same_seed_composes_and_draws_the_same_clips(composed: ComposedWorks, sounds: Path) -> None:
    again = render_works(Composition("piano", 1, SEED, sounds), SOUND, CPU)
    assert torch.equal(again.train[0].log_mel, composed.train[0].log_mel)
    first, second = (ClipDrawer(works.train[:1], CONFIG, 0, 4).draw(3, range(4), 64) for works in (composed, again))
    for name in ("log_mel", "past_noise", "coarse_noise"):
        assert torch.equal(getattr(first, name), getattr(second, name))
    other = ClipDrawer(composed.train[:1], CONFIG, 0, 5).draw(3, range(4), 64)
    assert not torch.equal(first.log_mel, other.log_mel)  # type: ignore[arg-type]


def test_only_the_first_held_out_work_keeps_its_sound(composed: ComposedWorks) -> None:
    part = composed.valid[0].read_audio(1.0, 3.0)
    assert part.shape == (2 * SOUND.sample_rate_hz,)
    assert part.any()
    with pytest.raises(ValueError, match=f"piano-{SEED}-000000 has frames only, no sound to read"):
        composed.train[0].read_audio(0.0, 1.0)


# ---- training ----


def test_a_run_on_composed_works_goes_on_as_if_nothing_had_happened(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("melnet_music.training.tier_run._SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    plan = RunPlan(seed=5, steps=24, batch=3)

    def run(name: str, stops_after: int | None = None) -> dict[str, torch.Tensor]:
        steps = None if stops_after is None else iter(range(stops_after))
        stop = None if steps is None else lambda: next(steps, None) is None
        train_tier(CONFIG, Path(), tmp_path / name, 1, plan, material=material, stop=stop)
        weights = tmp_path / name / "tier-2.safetensors"
        return load_file(weights) if weights.exists() else {}

    whole = run("whole")
    run("killed", 9)
    run("killed", 6)
    killed = run("killed")
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    lines = read_curves(tmp_path / "whole", [1])[1]
    assert lines[-1].train_nats < lines[0].train_nats - 0.2
    assert lines[-1].valid_nats is not None


def test_other_one_shots_or_works_are_another_run(material: Material, tmp_path: Path) -> None:
    plan = RunPlan(seed=5, steps=1)
    train_tier(CONFIG, Path(), tmp_path, 0, plan, material=material)
    for key, other in (("sounds", {"bright": "0"}), ("kind", "music")):
        changed = Material(material.train, material.valid, {**(material.composed or {}), key: other})
        with pytest.raises(ValueError, match=r"tier-1\.checkpoint is of another run: its composed differ"):
            train_tier(CONFIG, Path(), tmp_path, 0, plan, material=changed)


def test_the_command_trains_and_samples_what_it_composed(
    sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    preset, out = write_preset(tmp_path / "preset"), tmp_path / "out"
    common = ["train", str(preset), "--compose", "1", "--sounds", str(sounds), "--device", "cpu", "--out", str(out)]
    assert main([*common, "--steps", "4"]) == 0
    assert f"{out}: ready, melnet-music continue IN OUT --preset {out}" in capsys.readouterr().out
    assert (out / "preset.toml").read_text() == (preset / "preset.toml").read_text()
    told = EventAccumulator(str(out / "tensorboard" / "tier-2"))
    told.Reload()
    assert told.Tags()["audio"] == ["continuation"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--compose", "2"], "--compose needs --sounds, a folder of one-shots: melnet-music make-sounds DIR makes one"),
        (["--compose", "0", "--sounds", "SOUNDS"], "--compose is 0, want more than 0"),
        (["--compose", "2", "--sounds", "nowhere"], "no folder nowhere: give one that make-sounds has made"),
        (["--compose", "2", "--sounds", "."], "no one-shots in .: looked for pianos/*/<pitch>_<velocity>.ogg"),
        (["--compose", "2", "--sounds", "SOUNDS", "--kind", "banjo"], "unknown kind of music 'banjo': expected one of"),
        (
            ["--data", ".", "--sounds", "SOUNDS"],
            "--kind and --sounds say what --compose does, and recordings are given",
        ),
        (
            ["--compose", "2", "--sounds", "SOUNDS", "--processes", "2"],
            "2 processes would each render all works: leave",
        ),
        pytest.param(
            ["--compose", "2", "--sounds", "SOUNDS", "--device", "cuda"],
            "no device cuda: torch finds 0 CUDA devices; give --device cpu",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is one"),
        ),
    ],
)
def test_what_cannot_be_composed_is_told_in_a_line(
    arguments: list[str],
    message: str,
    sounds: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    preset = write_preset(tmp_path / "preset")
    monkeypatch.chdir(tmp_path)
    given = [str(sounds) if argument == "SOUNDS" else argument for argument in arguments]
    device = [] if "--device" in given else ["--device", "cpu"]
    assert main(["train", str(preset), *given, *device, "--out", "out"]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("melnet-music")]
    assert len(errors) == 1
    assert errors[0].startswith(f"melnet-music train: {message}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "one of the arguments --data --compose is required"),
        (["--data", ".", "--compose", "3"], "argument --compose: not allowed with argument --data"),
    ],
)
def test_either_recordings_or_composed_works_are_given(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["train", "piano", *arguments, "--out", "out"])
    assert message in capsys.readouterr().err


def test_a_device_without_room_for_the_works_is_told(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(composed_works, "DeviceMel", full)
    composition = Composition("piano", 1, SEED, sounds)
    with pytest.raises(
        ValueError, match=r"rendering the works ran out of memory on cpu: give fewer works to --compose$"
    ):
        load_material(composition, CONFIG, CPU)
    with pytest.raises(ValueError, match="rendering the works ran out of memory on cpu"):
        train(
            CONFIG, composition, tmp_path, tiers=[0], plan=RunPlan(0, steps=1), processes=1, devices=["cpu"], report=id,
        )  # fmt: skip
