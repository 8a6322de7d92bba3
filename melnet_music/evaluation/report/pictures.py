"""Continuations to look at and to listen to: each as a picture beside the real music, and as a FLAC file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from melnet_music.evaluation.places import spread_places
from melnet_music.evaluation.report.drawing import pyplot
from melnet_music.evaluation.sounds import PROMPT_SECONDS, TakeSource
from melnet_music.evaluation.workers import NamedProgress, Workers, make_take, naming
from melnet_music.sound.audio_file import AudioClip, write_audio
from melnet_music.sound.mel import log_mel
from melnet_music.training.data.features import Work

Samples = npt.NDArray[np.float32]

LEAD_SECONDS, SHOWN_SECONDS = 5.0, 7.0
DYNAMIC_RANGE_DB = 80.0


def picture_continuations(
    source: TakeSource,
    held_out: list[Work],
    out: Path,
    *,
    count: int,
    seed: int,
    workers: Workers,
    progress: NamedProgress,
) -> list[str]:
    """Write ``count`` continuations to ``out/continuation-N.png`` and ``.flac``; returns the pictures' names."""
    sound, random = source.sound, np.random.default_rng([seed, 5])
    rate, length = sound.sample_rate_hz, PROMPT_SECONDS + SHOWN_SECONDS
    places = spread_places(held_out, sound, length, count, random)
    jobs = [source.continuation(place, SHOWN_SECONDS, seed + n, lead_s=LEAD_SECONDS) for n, place in enumerate(places)]
    names = []
    takes = workers.work_off(make_take, jobs, naming(progress, "pictures"))
    for number, (place, made) in enumerate(zip(places, takes, strict=True)):
        path = out / f"continuation-{number + 1}.png"
        write_audio(path.with_suffix(".flac"), AudioClip(made[:, None], rate))
        real = place.audio(PROMPT_SECONDS - LEAD_SECONDS, length, sound, rate)
        _draw(source, real, made, f"{place.work.name}, {place.start_s:.0f} s, seed {seed + number}", path)
        names.append(path.name)
    return names


def _draw(source: TakeSource, real: Samples, made: Samples, title: str, path: Path) -> None:
    plots, sound = pyplot(), source.sound
    figure, axes = plots.subplots(1, 2, figsize=(11, 3), sharey=True, layout="constrained")
    nats_to_db = 20 / np.log(10)
    top = log_mel(real, sound).max() * nats_to_db
    for axis, audio, kind in zip(axes, (real, made), ("real", "continued"), strict=True):
        decibels = log_mel(audio, sound).T * nats_to_db
        seconds = decibels.shape[1] / sound.frames_per_second
        axis.imshow(
            decibels, origin="lower", aspect="auto", cmap="magma", extent=(0, seconds, 0, sound.mel_bins),
            vmin=top - DYNAMIC_RANGE_DB, vmax=top,
        )  # fmt: skip
        axis.axvline(LEAD_SECONDS, color="white", lw=0.8, ls="--")
        axis.set(title=f"{kind}: {title}", xlabel="seconds")
    axes[0].set_ylabel("mel bin")
    figure.savefig(path, dpi=80)
    plots.close(figure)
