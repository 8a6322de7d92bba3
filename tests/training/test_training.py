"""Training runs: that they learn, go on where they were killed, and are the same however they are shared out."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from tiny_recordings import RATE_HZ, write_recordings
from tiny_training import SOUND, tiny_config, write_preset
from torch.distributed.run import main as torchrun

from bridge.cli.main import main
from melnet_music.instrument.instrument import Instrument
from melnet_music.model.config import parse_preset_config, read_preset_config
from melnet_music.model.network import MelNet
from melnet_music.model.preset import CONFIG_FILE, find_preset
from melnet_music.training.curve import TierProgress, read_curves
from melnet_music.training.data.features import load_works
from melnet_music.training.memory import check_memory, free_bytes, tier_bytes
from melnet_music.training.tier_run import RunPlan, TierRun
from melnet_music.training.tier_weights import collect_weights
from melnet_music.training.train import train, train_tier
from melnet_music.training.world import World, choose_device

if TYPE_CHECKING:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

CONFIG = tiny_config(optimizer="muon")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def _keep_torch_threads() -> Iterator[None]:
    """Training sets it for its own process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_recordings(root, {"train": 3, "valid": 1})
    return root


def curve(out: Path, tier: int) -> list[TierProgress]:
    return read_curves(out, [tier])[tier]


# ---- learning ----


@pytest.mark.parametrize("optimizer", ["muon", "adam"])
@pytest.mark.parametrize("tier", [0, 1])
def test_the_loss_falls(data: Path, tmp_path: Path, tier: int, optimizer: str) -> None:
    lines: list[TierProgress] = []
    config = tiny_config(optimizer=optimizer)
    path = train_tier(config, data, tmp_path, tier, RunPlan(seed=0, steps=60), report=lines.append)
    assert path == tmp_path / f"tier-{tier + 1}.safetensors"
    assert {line.tier for line in lines} == {tier + 1}
    assert lines[-1].step == 60
    assert lines[-1].fraction == 1.0
    assert lines == curve(tmp_path, tier)
    # from the wide start to 0.5 nats a bin better and more
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
    config = parse_preset_config(paper, "small")
    train_tier(config, data, tmp_path, 1, RunPlan(seed=0, steps=60), report=lines.append)
    assert lines[-1].train_nats < lines[0].train_nats - 0.1


def test_the_same_seed_and_steps_train_the_same_weights(data: Path, tmp_path: Path) -> None:
    trained = [
        load_file(train_tier(CONFIG, data, tmp_path / str(run), 1, RunPlan(seed=seed, steps=5, loaders=loaders)))
        for run, (seed, loaders) in enumerate(((3, 0), (3, 2), (4, 0)))
    ]
    assert all(torch.equal(trained[0][name], trained[1][name]) for name in trained[0])
    assert not all(torch.equal(trained[0][name], trained[2][name]) for name in trained[0])


def test_training_goes_on_from_given_weights(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    start = MelNet(CONFIG.model, CONFIG.sound.mel_bins).state_dict()
    start["mean"] += 1.5
    weights = load_file(train_tier(CONFIG, data, tmp_path, 1, RunPlan(0, steps=2, rate=1e-3), start_from=start))
    assert torch.equal(weights["mean"], start["mean"])  # the statistics stay: other tiers were trained with them
    for name in weights:
        torch.testing.assert_close(weights[name], start[name], rtol=0, atol=2e-4)
    assert not torch.equal(weights["tiers.1.outlet.weight"], start["tiers.1.outlet.weight"])


def test_a_step_without_a_finite_gradient_is_left_out(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A rate far too high: the run goes on, says so, and its weights stay finite."""
    with caplog.at_level(logging.WARNING):
        path = train_tier(tiny_config(), data, tmp_path, 1, RunPlan(seed=0, steps=6, rate=1e32))
    assert "step left out" in caplog.text
    assert all(torch.isfinite(tensor).all() for tensor in load_file(path).values())


def test_products_in_bfloat16_learn_as_well(data: Path, tmp_path: Path) -> None:
    exact, mixed = (
        train_tier(CONFIG, data, tmp_path / str(mixed), 0, RunPlan(0, steps=20, mixed_precision=mixed))
        for mixed in (False, True)
    )
    assert not torch.equal(load_file(exact)["tiers.0.outlet.weight"], load_file(mixed)["tiers.0.outlet.weight"])
    ends = [curve(tmp_path / str(mixed), 0)[-1].valid_nats for mixed in (False, True)]
    assert ends[0] is not None
    assert ends[1] == pytest.approx(ends[0], abs=0.1)
    assert load_file(mixed)["tiers.0.outlet.weight"].dtype == torch.float32


# ---- several tiers, several processes ----


def test_tiers_trained_in_processes_of_their_own_make_a_whole_model(data: Path, tmp_path: Path) -> None:
    lines: list[TierProgress] = []
    train(
        CONFIG, data, tmp_path, tiers=[0, 1], plan=RunPlan(0, steps=3), processes=2, devices=["cpu"],
        report=lines.append,
    )  # fmt: skip
    assert {line.tier for line in lines} == {1, 2}
    weights = collect_weights(tmp_path, CONFIG)
    MelNet(CONFIG.model, CONFIG.sound.mel_bins).load_state_dict(weights)
    alone = load_file(train_tier(CONFIG, data, tmp_path / "alone", 0, RunPlan(0, steps=3)))
    assert all(torch.equal(weights[name], alone[name]) for name in alone)  # processes change nothing


def test_what_breaks_in_a_process_is_told(data: Path, tmp_path: Path) -> None:
    (tmp_path / "tier-1.checkpoint").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"cannot go on from .*tier-1\.checkpoint .*: delete it to start anew"):
        train(
            CONFIG, data, tmp_path, tiers=[0], plan=RunPlan(0, steps=1), processes=2, devices=["cpu"], report=id,
        )  # fmt: skip


def test_a_tier_that_is_not_trained_yet_is_named(data: Path, tmp_path: Path) -> None:
    train_tier(CONFIG, data, tmp_path, 0, RunPlan(seed=0, steps=1))
    with pytest.raises(ValueError, match=rf"tier 2 is not trained yet: no {tmp_path}/tier-2\.safetensors; .*--tiers 2"):
        collect_weights(tmp_path, CONFIG)
    known = MelNet(CONFIG.model, CONFIG.sound.mel_bins).state_dict()
    assert collect_weights(tmp_path, CONFIG, known).keys() == known.keys()


def told_to_tensorboard(out: Path, tier: int) -> EventAccumulator:
    """What a tier, counted from 1, has on its curve."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told = EventAccumulator(str(out / "tensorboard" / f"tier-{tier}"))
    told.Reload()
    return told


def run_cli(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bridge.cli", *map(str, arguments)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_two_processes_under_torchrun_train_as_one_does(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = write_preset(tmp_path / "preset", batch=4)
    train_tier(read_preset_config(preset / CONFIG_FILE), data, tmp_path / "one", 1, RunPlan(seed=1, steps=10))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(ROOT)
    training = ["train", preset, "--data", data, "--out", tmp_path / "two", "--tiers", 2, "--steps", 10]
    launcher = ["--standalone", "--nproc-per-node", "2", "--no-python", sys.executable, "-m", "bridge.cli"]
    torchrun([*launcher, *map(str, training), "--device", "cpu"])  # raises what one of them fails with
    one, two = (curve(tmp_path / name, 1) for name in ("one", "two"))
    assert [line.step for line in one] == [line.step for line in two]
    # sums in another order, and 10 steps that build on them: seen 1e-6
    assert np.allclose([line.train_nats for line in one], [line.train_nats for line in two], rtol=0, atol=1e-3)
    assert one[-1].valid_nats == pytest.approx(two[-1].valid_nats, abs=1e-3)


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    assert World(1, 2, torch.device("cpu")).rows(6) == range(3, 6)
    with pytest.raises(ValueError, match="a batch of 3 clips cannot be shared by 2 processes: give --batch"):
        World(0, 2, torch.device("cpu")).rows(3)


# ---- going on ----


@pytest.mark.parametrize("carry_state", [False, True], ids=["clips", "rows"])
def test_a_run_that_was_killed_goes_on_as_if_nothing_had_happened(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, carry_state: bool
) -> None:
    monkeypatch.setattr("melnet_music.training.tier_run._SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    plan, config = RunPlan(seed=5, steps=24, batch=3), tiny_config(carry_state=carry_state)
    whole = load_file(train_tier(config, data, tmp_path / "whole", 1, plan))
    for stops_after in (5, 4, 8):  # no multiples of anything
        steps = iter(range(stops_after))
        train_tier(config, data, tmp_path / "killed", 1, plan, stop=lambda steps=steps: next(steps, None) is None)
        with (tmp_path / "killed" / "tier-2.jsonl").open("a") as file:
            file.write('{"tier": 2, "step": 23, "min')  # as a kill may leave it
    killed = load_file(train_tier(config, data, tmp_path / "killed", 1, plan))
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    told = [
        [(line.step, line.train_nats, line.valid_nats) for line in curve(tmp_path / n, 1)] for n in ("whole", "killed")
    ]
    assert told[0] == told[1]


def test_rows_that_carry_their_state_learn(data: Path, tmp_path: Path) -> None:
    lines: list[TierProgress] = []
    config = tiny_config(optimizer="muon", carry_state=True)
    train_tier(config, data, tmp_path, 0, RunPlan(seed=0, steps=60, batch=2), report=lines.append)
    assert np.mean([line.train_nats for line in lines[-5:]]) < lines[0].train_nats - 0.5


def test_rows_are_followed_by_one_process(data: Path, tmp_path: Path) -> None:
    works = load_works(data, "train", CONFIG.sound)
    with pytest.raises(ValueError, match="carry_state with 2 processes on one tier: rows are followed by one"):
        TierRun(
            tiny_config(carry_state=True),
            works,
            works,
            tmp_path,
            0,
            RunPlan(0, batch=2),
            World(0, 2, torch.device("cpu")),
        )


def test_kill_9_and_the_same_command_give_the_uninterrupted_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preset = write_preset(tmp_path / "preset")
    command = ("train", preset, "--data", data, "--device", "cpu", "--processes", "1", "--steps", "20", "--no-samples")
    out = tmp_path / "killed"
    running = run_cli(*command, "--out", out)
    assert running.stdout is not None
    for _ in iter(lambda: running.stdout.read(1) if running.stdout else "", ""):
        if (out / "tier-1.jsonl").exists() and len(curve(out, 0)) >= 5:
            break
    running.send_signal(signal.SIGKILL)
    running.wait(timeout=30)
    running.stdout.close()
    for folder in (out, tmp_path / "whole"):
        assert main([*map(str, command), "--out", str(folder)]) == 0
        assert "ready" in capsys.readouterr().out
    whole, killed = (load_file(folder / "weights.safetensors") for folder in (tmp_path / "whole", out))
    assert all(torch.equal(whole[name], killed[name]) for name in whole)


def test_a_finished_run_is_left_as_it_is(data: Path, tmp_path: Path) -> None:
    path = train_tier(CONFIG, data, tmp_path, 0, RunPlan(seed=0, steps=4))
    before = path.read_bytes(), (tmp_path / "tier-1.jsonl").read_text()
    lines: list[TierProgress] = []
    train_tier(CONFIG, data, tmp_path, 0, RunPlan(seed=0, steps=4), report=lines.append)
    assert (path.read_bytes(), (tmp_path / "tier-1.jsonl").read_text()) == before
    assert lines == []


def test_another_runs_checkpoint_is_refused(data: Path, tmp_path: Path) -> None:
    train_tier(CONFIG, data, tmp_path, 0, RunPlan(seed=0, steps=1))
    with pytest.raises(ValueError, match=r"tier-1\.checkpoint is of another run: its batch, seed differ; give another"):
        train_tier(CONFIG, data, tmp_path, 0, RunPlan(seed=1, steps=1, batch=2))


# ---- before it starts ----


def test_the_estimate_of_memory_grows_with_the_clip_and_the_batch() -> None:
    small = tier_bytes(CONFIG, 0, 1)
    assert tier_bytes(CONFIG, 0, 4, fused=True) < tier_bytes(CONFIG, 0, 4)
    assert 1.9 < (tier_bytes(CONFIG, 0, 4) - small) / (tier_bytes(CONFIG, 0, 2) - small) * (2 / 3) < 2.1
    piano = read_preset_config(find_preset("piano") / CONFIG_FILE)
    assert tier_bytes(piano, 0, 1) > 20 * small


def test_a_model_too_large_is_refused_before_it_starts(data: Path, tmp_path: Path) -> None:
    free = free_bytes(torch.device("cpu"))
    assert free is not None
    check_memory(CONFIG, [0, 1], [1, 1], torch.device("cpu"))
    many = int(free / tier_bytes(CONFIG, 0, 1)) * 4
    with pytest.raises(
        ValueError, match=r"training needs about .* GiB \(tier 1: .*\) and .* GiB are free on cpu: give"
    ):
        train(
            CONFIG, data, tmp_path, tiers=[0], plan=RunPlan(0, steps=1, batch=many), processes=1, devices=["cpu"],
            report=id,
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tpu", "unknown device 'tpu': expected one of auto, cpu, cuda, or cuda:N"),
        ("cuda:99", "no device cuda:99: tor"),
    ],
)
def test_devices_that_are_not_there_are_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_device(name)


# ---- the command ----


def test_a_preset_is_fine_tuned_on_a_few_recordings(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preset = write_preset(tmp_path / "preset")
    base, mine = tmp_path / "base", tmp_path / "mine"
    common = ["--data", str(data), "--device", "cpu", "--processes", "1"]
    assert main(["train", str(preset), *common, "--out", str(base), "--steps", "30", "--no-samples"]) == 0
    assert main(["train", "--from", str(base), *common, "--out", str(mine), "--steps", "30", "--no-samples"]) == 0
    assert f"{mine}: ready, melnet-music continue IN OUT --preset {mine}" in capsys.readouterr().out
    for tier in (0, 1):
        before, after = (curve(folder, tier)[-1].valid_nats for folder in (base, mine))
        assert before is not None
        assert after is not None
        assert after < before
    assert Instrument.load(mine).preset_digest != Instrument.load(base).preset_digest


def test_one_tier_may_be_fine_tuned_alone(data: Path, tmp_path: Path) -> None:
    base = write_preset(tmp_path / "preset")
    common = ["--data", str(data), "--device", "cpu", "--processes", "1", "--steps", "2"]
    assert main(["train", str(base), *common, "--out", str(base), "--no-samples"]) == 0
    assert main(["train", "--from", str(base), *common, "--out", str(tmp_path / "mine"), "--tiers", "2"]) == 0
    # with the first tier as it was
    assert told_to_tensorboard(tmp_path / "mine", 2).Tags()["audio"] == ["continuation"]
    first, second = (load_file(folder / "weights.safetensors") for folder in (base, tmp_path / "mine"))
    same = {name for name in first if torch.equal(first[name], second[name])}
    assert {name for name in first if name.startswith("tiers.0.")} <= same
    assert not any(name.startswith("tiers.1.outlet") for name in same)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to train: name a preset, or give --from a preset to go on from"),
        (["piano", "--tiers", "6"], "no tier 6: the preset has tiers 1 to 5"),
        (["piano", "--minutes", "-1"], "--minutes is -1, want more than 0"),
        (["paper-maestro", "--from", "piano"], "the [sound] of piano is another than that of the preset to train"),
    ],
)
def test_what_cannot_be_trained_is_told_in_a_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *arguments, "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert f"melnet-music train: {message}" in capsys.readouterr().err


def test_a_folder_that_no_weights_can_be_written_to_is_refused_before_training(data: Path, tmp_path: Path) -> None:
    out = tmp_path / os.fsdecode(b"na\xefve")
    with pytest.raises(ValueError, match="whose name is not UTF-8: give another folder"):
        train(
            CONFIG,
            data,
            out,
            tiers=[0],
            plan=RunPlan(0, steps=1),
            processes=1,
            devices=["cpu"],
            report=id,
        )
    assert not out.exists()


def test_curve_and_samples_are_there_for_tensorboard(data: Path, tmp_path: Path) -> None:
    preset = write_preset(tmp_path / "preset")
    common = ["--data", str(data), "--device", "cpu", "--processes", "1", "--out", str(tmp_path / "out")]
    assert main(["train", str(preset), *common, "--steps", "3", "--tiers", "2"]) == 0
    assert main(["train", str(preset), *common, "--steps", "3", "--tiers", "1"]) == 0
    seen = told_to_tensorboard(tmp_path / "out", 1)
    assert set(seen.Tags()["scalars"]) == {"nats a bin/train", "nats a bin/valid", "nats a bin/valid_loud"}
    steps = [event.step for event in seen.Scalars("nats a bin/train")]
    assert steps == [json.loads(line)["step"] for line in (tmp_path / "out" / "tier-1.jsonl").read_text().splitlines()]
    assert seen.Tags()["images"] == ["continuation"]
    assert seen.Tags()["audio"] == ["continuation"]


def test_what_is_no_recording_is_named_once_and_left_out(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    audio = np.concatenate([soundfile.read(path)[0] for path in sorted(data.glob("*/*.flac"))])
    soundfile.write(mine / "good.flac", np.tile(audio, 3), RATE_HZ)
    soundfile.write(mine / "whole.mp3", audio, RATE_HZ, format="MP3")
    whole = (mine / "whole.mp3").read_bytes()
    (mine / "whole.mp3").rename(mine / "cut.mp3")
    (mine / "cut.mp3").write_bytes(whole[: len(whole) // 2])
    (mine / "empty.wav").touch()
    (mine / "notes.txt").write_text("no audio")
    preset = write_preset(tmp_path / "preset")
    command = ["train", str(preset), "--data", str(mine), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main([*command, "--processes", "1", "--steps", "2", "--no-samples"]) == 0
    told = sorted(record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)
    assert [Path(message.split(" is ")[0]).name for message in told] == ["cut.mp3", "empty.wav"]
    assert "damaged or cut short" in told[0]
    assert "is empty (0 bytes); left out" in told[1]
