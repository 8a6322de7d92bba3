"""Devices that run out of memory or are lost in the middle of a step, and checkpoints that were damaged meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_recordings import write_recordings
from tiny_training import tiny_config

from bridge.cli.main import main
from melnet_music.training import tier_run
from melnet_music.training.device_errors import device_errors_told
from melnet_music.training.tier_run import RunPlan
from melnet_music.training.tier_weights import collect_weights
from melnet_music.training.train import train, train_tier

CONFIG = tiny_config()
LOST = RuntimeError(
    "CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported at some other API call"
)
_OUT_OF_MEMORY = "ran out of memory on cpu: give fewer --processes, a smaller --batch, or a smaller clip_frames"
_LOST = r"lost its device cpu \(CUDA error: unspecified launch failure\): see that it works \(nvidia-smi\)"
_GOES_ON = "; the same command goes on from the last checkpoint"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_recordings(root, {"train": 2, "valid": 1})
    return root


def fail_at(monkeypatch: pytest.MonkeyPatch, step: int, error: Exception) -> None:
    """A step of the training raises the error."""
    real, steps = tier_run.mean_nats, iter(range(1000))

    def mean_nats(*arguments: object, **keys: object) -> object:
        if next(steps) == step:
            raise error
        return real(*arguments, **keys)  # type: ignore[arg-type]

    monkeypatch.setattr(tier_run, "mean_nats", mean_nats)


FAILURES = [
    pytest.param(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), _OUT_OF_MEMORY, id="cuda"),
    pytest.param(
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to"),
        _OUT_OF_MEMORY,
        id="cpu",
    ),
    pytest.param(MemoryError(), _OUT_OF_MEMORY, id="python"),
    pytest.param(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling x"), _OUT_OF_MEMORY, id="cublas"),
    pytest.param(LOST, _LOST, id="lost"),
]


@pytest.mark.parametrize(("error", "message"), FAILURES)
def test_a_device_that_fails_is_told_in_a_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    fail_at(monkeypatch, 3, error)
    with pytest.raises(ValueError, match=f"^tier 2 {message}[^;\n]*$"):
        train_tier(CONFIG, data, tmp_path, 1, RunPlan(seed=0, steps=6))


@pytest.mark.parametrize(("error", "message"), FAILURES)
def test_where_there_is_a_checkpoint_the_line_says_that_the_run_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    monkeypatch.setattr(tier_run, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    fail_at(monkeypatch, 3, error)
    with pytest.raises(ValueError, match=f"^tier 2 {message}[^;\n]*{_GOES_ON}$"):
        train_tier(CONFIG, data, tmp_path, 1, RunPlan(seed=0, steps=6))
    reports = []
    train_tier(CONFIG, data, tmp_path, 1, RunPlan(seed=0, steps=6), report=reports.append)
    assert reports[0].step > 2  # it did go on


def test_the_error_of_torchs_own_for_a_lost_device_is_told() -> None:
    error = getattr(torch, "AcceleratorError", None)
    if error is None:
        pytest.skip("this torch has none")
    with pytest.raises(ValueError, match=r"tier 1 lost its device cuda \(the card fell off the bus\)"):  # noqa: SIM117
        with device_errors_told("tier 1", "less", torch.device("cuda")):
            raise error("the card fell off the bus")


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), KeyError("a")])
def test_other_errors_are_left_alone(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    fail_at(monkeypatch, 1, error)
    with pytest.raises(type(error)) as raised:
        train_tier(CONFIG, data, tmp_path, 0, RunPlan(seed=0, steps=4))
    assert raised.value is error


# ---- checkpoints ----


@pytest.fixture(scope="module")
def checkpoint(data: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("out")
    train_tier(CONFIG, data, out, 0, RunPlan(seed=0, steps=2))
    return (out / "tier-1.checkpoint").read_bytes()


@pytest.mark.parametrize("kept", [0, 5, 300, 0.5, 0.999])
def test_a_truncated_checkpoint_is_refused(data: Path, tmp_path: Path, checkpoint: bytes, kept: float) -> None:
    (tmp_path / "tier-1.checkpoint").write_bytes(checkpoint[: int(kept if kept >= 1 else kept * len(checkpoint))])
    with pytest.raises(
        ValueError, match=r"^cannot go on from .*tier-1\.checkpoint \([^\n]*\): delete it to start anew$"
    ):
        train_tier(CONFIG, data, tmp_path, 0, RunPlan(seed=0, steps=2))


@pytest.mark.parametrize("where", ["network.", "average.", "optimizer.0.", "place", "recipe", "the last value"])
def test_a_checkpoint_with_damage_inside_is_refused(data: Path, tmp_path: Path, checkpoint: bytes, where: str) -> None:
    """A byte of a name, or of a value."""
    at = len(checkpoint) - 3 if where == "the last value" else checkpoint.index(f'"{where}'.encode()) + len(where)
    damaged = checkpoint[:at] + b"x" + checkpoint[at + 1 :]
    (tmp_path / "tier-1.checkpoint").write_bytes(damaged)
    with pytest.raises(
        ValueError, match=r"^cannot go on from .*tier-1\.checkpoint \([^\n]*\): delete it to start anew$"
    ):
        train_tier(CONFIG, data, tmp_path, 0, RunPlan(seed=0, steps=2))


def test_the_command_refuses_a_truncated_checkpoint_in_a_line(
    data: Path, tmp_path: Path, checkpoint: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tier-1.checkpoint").write_bytes(checkpoint[:1000])
    with pytest.raises(ValueError, match="delete it to start anew"):
        train(
            CONFIG, data, tmp_path, tiers=[0], plan=RunPlan(0, steps=2), processes=1, devices=["cpu"], report=id,
        )  # fmt: skip
    assert main(["train", "--from", str(tmp_path), "--data", str(data), "--out", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_tiers_damaged_weights_are_named_and_written_again(data: Path, tmp_path: Path) -> None:
    train_tier(CONFIG, data, tmp_path, 0, RunPlan(seed=0, steps=2))
    path = tmp_path / "tier-1.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    with pytest.raises(
        ValueError, match=r"tier-1\.safetensors cannot be read \(.*\): train with --tiers 1 writes it again"
    ):
        collect_weights(tmp_path, CONFIG)
    train_tier(CONFIG, data, tmp_path, 0, RunPlan(seed=0, steps=2))
    assert path.read_bytes() == whole
