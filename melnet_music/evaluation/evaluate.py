"""What a preset is worth on held-out music: likelihood against the baselines, and continuations to look at."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from melnet_music.audio_file import AudioClip, read_audio, write_audio
from melnet_music.evaluation.baselines import baseline_nats
from melnet_music.instrument import Instrument, TakeRequest
from melnet_music.mel import log_mel
from melnet_music.training.features import load_works
from melnet_music.training.held_out import held_out_nats

PROMPT_SECONDS = 5.0
SHOWN_SECONDS = 7.0
DYNAMIC_RANGE_DB = 80.0


@dataclass(frozen=True)
class TierLikelihood:
    """Nats a bin in ln magnitude on held-out music; less is better. Pairs: all bins, loud bins."""

    tier: int
    model: dict[str, tuple[float, float]]
    """By chunk length in frames; ``whole``: the extractor looks ahead to the end."""
    baselines: dict[str, tuple[float, float]]


def likelihood_table(
    instrument: Instrument, data: Path, seed: int, progress: Callable[[int, int], None]
) -> list[TierLikelihood]:
    """Every tier against the baselines, on the validation split. ``progress(done, total)`` by tiers."""
    model, config = instrument.preset.model(), instrument.preset.config
    train, valid = (load_works(data, split, config.sound) for split in ("train", "valid"))
    rows = []
    for tier in range(len(model.grids)):
        progress(tier, len(model.grids))
        by_chunk = {}
        for chunk in sorted({*config.training.chunk_frames, config.sampling.chunk_frames}):
            by_chunk[str(chunk)] = held_out_nats(model, tier, valid, chunk)
        by_chunk["whole"] = held_out_nats(model, tier, valid, None)
        rows.append(TierLikelihood(tier + 1, by_chunk, baseline_nats(model, tier, train, valid, seed)))
    return rows


def picture_continuations(
    instrument: Instrument, data: Path, out: Path, count: int, seed: int, progress: Callable[[int, int], None]
) -> list[Path]:
    """Continue ``count`` works of the test split; write each as a picture beside the real one, and as FLAC.

    Raises:
        ValueError: too few works there.
    """
    works = sorted((data / "test").glob("*.flac"))
    if len(works) < count:
        raise ValueError(f"{data / 'test'} has {len(works)} works, want {count} to continue")
    pictures = []
    for index, work in enumerate(works[:count]):
        progress(index, count)
        real = read_audio(work).mono_at(instrument.sample_rate_hz)
        start = len(real) // 3
        length = round((PROMPT_SECONDS + SHOWN_SECONDS) * instrument.sample_rate_hz)
        real = real[start : start + length]
        prompt = real[: round(PROMPT_SECONDS * instrument.sample_rate_hz)]
        instrument.clear()
        instrument.hear(prompt)
        request = TakeRequest(seconds=SHOWN_SECONDS, seed=seed + index, lead_seconds=PROMPT_SECONDS)
        made = np.concatenate(list(instrument.continuation(request)))
        name = out / f"continuation-{index + 1}"
        write_audio(name.with_suffix(".flac"), AudioClip(made[:, None], instrument.sample_rate_hz))
        _draw(instrument, real, made, f"{work.stem}, seed {seed + index}", name.with_suffix(".png"))
        pictures.append(name.with_suffix(".png"))
    return pictures


def _draw(instrument: Instrument, real: np.ndarray, made: np.ndarray, title: str, path: Path) -> None:  # type: ignore[type-arg]
    try:
        import matplotlib
    except ImportError:
        raise ValueError("pictures need matplotlib: pip install 'melnet-music[data]'") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    sound = instrument.sound
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 3), sharey=True, layout="constrained")
    for axis, audio, kind in zip(axes, (real, made), ("real", "continued"), strict=True):
        decibels = log_mel(np.asarray(audio, np.float32), sound).T * (20 / np.log(10))
        seconds = decibels.shape[1] / sound.frames_per_second
        top = log_mel(np.asarray(real, np.float32), sound).max() * (20 / np.log(10))
        axis.imshow(
            decibels, origin="lower", aspect="auto", cmap="magma", extent=(0, seconds, 0, sound.mel_bins),
            vmin=top - DYNAMIC_RANGE_DB, vmax=top,
        )  # fmt: skip
        axis.axvline(PROMPT_SECONDS, color="white", lw=0.8, ls="--")
        axis.set(title=f"{kind}: {title}", xlabel="seconds")
    axes[0].set_ylabel("mel bin")
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def evaluate(
    instrument: Instrument,
    data: Path,
    out: Path,
    *,
    pictures: int,
    seed: int,
    progress: Callable[[str, int, int], None],
) -> list[TierLikelihood]:
    """Write ``out/likelihood.json`` and the pictures; ``progress(what, done, total)``."""
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    rows = likelihood_table(instrument, data, seed, lambda done, total: progress("likelihood", done, total))
    table = {
        "preset": instrument.preset_name,
        "digest": instrument.preset_digest,
        "tiers": [asdict(row) for row in rows],
    }
    (out / "likelihood.json").write_text(json.dumps(table, indent=1) + "\n")
    picture_continuations(
        instrument, data, out, pictures, seed, lambda done, total: progress("continuations", done, total)
    )
    return rows
