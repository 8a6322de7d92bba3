"""A planned take as a picture: the plan above, the sound that was made of it below."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from melnet_music.evaluation.planned.takes import make_take
from melnet_music.evaluation.planned.work_measures import WorkJob, heard_in
from melnet_music.evaluation.planned.works import Join, sounding_work
from melnet_music.evaluation.report.drawing import pyplot
from melnet_music.model.preset import load_preset
from melnet_music.notes.ear.ear import load_ear
from melnet_music.sound.mel import log_mel

SHOWN_BEFORE_SECONDS = 10.0
DYNAMIC_RANGE_DB = 80.0
_INCHES, _DPI = (11, 5), 80
_COLOURS = 96
"""Half the bytes of a full-coloured picture."""


def picture_take(job: tuple[WorkJob, Path]) -> str:
    """Draw the planned take of a work to a PNG; returns the file's name.

    Left of the line is what was heard: the notes that the ear told above, the sound below.
    """
    from PIL import Image  # comes with matplotlib

    (work_job, path), plots = job, pyplot()
    sound = load_preset(work_job.maker.preset).config.sound
    work = sounding_work(work_job.work, sound)
    join = Join.after(work, work_job.maker.heard_seconds)
    take = make_take(work_job.maker, work, join, planned=True)
    made_s = work_job.maker.seconds
    first_s, last_s = join.second - SHOWN_BEFORE_SECONDS, join.second + made_s
    audio = take.audio[round(first_s * sound.sample_rate_hz) : round(last_s * sound.sample_rate_hz)]
    heard = heard_in(load_ear(work_job.maker.ear), take.audio[: round(join.second * sound.sample_rate_hz)])
    figure, (notes, spectrogram) = plots.subplots(
        2, 1, figsize=_INCHES, sharex=True, layout="constrained", height_ratios=(2, 3)
    )
    for of, colour, label in ((heard, "tab:gray", "heard by the ear"), (take.plan, "tab:blue", "planned")):
        shown = [note for note in of if note.end_s > first_s and note.onset_s < last_s]
        _draw_notes(notes, shown, join.second, colour, label)
    figure.legend(loc="outside upper right", fontsize="small", ncols=2)
    notes.set(ylabel="MIDI pitch", title=f"{work.name}: {join.tempo_bpm:.0f} bpm, seed {work_job.maker.seed}")
    decibels = log_mel(audio, sound).T * 20 / np.log(10)
    top = decibels.max()
    spectrogram.imshow(
        decibels, origin="lower", aspect="auto", cmap="magma", vmin=top - DYNAMIC_RANGE_DB, vmax=top,
        extent=(-SHOWN_BEFORE_SECONDS, made_s, 0, sound.mel_bins),
    )  # fmt: skip
    spectrogram.set(xlabel="seconds", ylabel="mel bin", xlim=(-SHOWN_BEFORE_SECONDS, made_s))
    for axis, colour in ((notes, "black"), (spectrogram, "white")):
        axis.axvline(0.0, color=colour, lw=0.8, ls="--")
    figure.savefig(path, dpi=_DPI)
    plots.close(figure)
    with Image.open(path) as drawn:
        few = drawn.convert("RGB").quantize(_COLOURS)
    few.save(path, optimize=True)
    return path.name


def _draw_notes(axis: Any, notes: Any, join_s: float, colour: str, label: str) -> None:
    from matplotlib.collections import PolyCollection  # a patch a note takes seconds

    corners = [
        [(start_s, low), (end_s, low), (end_s, low + 0.9), (start_s, low + 0.9)]
        for start_s, end_s, low in ((n.onset_s - join_s, n.end_s - join_s, n.pitch - 0.45) for n in notes)
    ]
    axis.add_collection(PolyCollection(corners, facecolors=colour, label=label))
    axis.autoscale_view()
