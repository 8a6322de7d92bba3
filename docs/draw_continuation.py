"""Draw the mel spectrogram of a continued recording, with the join marked: the picture in the README.

    melnet-music continue presets/piano/phrase.flac continued.wav --seconds 8 --seed 1
    python docs/draw_continuation.py presets/piano/phrase.flac continued.wav docs/continuation.png

The preset's front end gives the frames and the frequencies of the bins. Needs matplotlib (the extra ``data``).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from melnet_music.evaluation.report.drawing import pyplot
from melnet_music.model.preset import load_preset
from melnet_music.sound.audio_file import read_audio
from melnet_music.sound.mel import log_mel
from melnet_music.sound.mel_scale import mel_frequencies

DYNAMIC_RANGE_DB = 80.0
NATS_TO_DB = 20 / np.log(10)
TICKS_HZ = (100, 500, 1000, 2000, 5000, 10000)
SHOWN_SECONDS = 8.0
"""Of the prompt, at most."""


def draw(prompt: Path, continued: Path, picture: Path, preset: str) -> None:
    """Write ``picture``: the last seconds of ``prompt`` and all that follows it in ``continued``, in dB."""
    sound = load_preset(preset).config.sound
    join_s = read_audio(prompt).seconds
    first_s = max(0.0, join_s - SHOWN_SECONDS)
    audio = read_audio(continued).mono_at(sound.sample_rate_hz)[round(first_s * sound.sample_rate_hz) :]
    decibels = log_mel(audio, sound).T * NATS_TO_DB
    centres_hz = mel_frequencies(sound)[1:-1]
    ticks = np.interp(TICKS_HZ, centres_hz, np.arange(sound.mel_bins) + 0.5)

    plots = pyplot()
    figure, axis = plots.subplots(figsize=(12, 3.6), layout="constrained")
    seconds = len(audio) / sound.sample_rate_hz
    image = axis.imshow(
        decibels, origin="lower", aspect="auto", cmap="magma", extent=(0, seconds, 0, sound.mel_bins),
        vmin=decibels.max() - DYNAMIC_RANGE_DB, vmax=decibels.max(),
    )  # fmt: skip
    join = join_s - first_s
    axis.axvline(join, color="white", lw=1.2, ls="--")
    for x, text, side in ((join - 0.1, "played", "right"), (join + 0.1, "continued by the model", "left")):
        axis.text(x, 0.96 * sound.mel_bins, text, color="white", ha=side, va="top")
    axis.set(xlabel="seconds", ylabel="Hz", yticks=ticks, yticklabels=TICKS_HZ)
    figure.colorbar(image, ax=axis, label="dB", pad=0.01)
    figure.savefig(picture, dpi=80)
    plots.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompt", type=Path, help="the recording that was continued")
    parser.add_argument("continued", type=Path, help="what `melnet-music continue` wrote")
    parser.add_argument("picture", type=Path, help="PNG file to write")
    parser.add_argument("--preset", default="piano", help="whose front end is used (%(default)s)")
    arguments = parser.parse_args()
    draw(arguments.prompt, arguments.continued, arguments.picture, arguments.preset)


if __name__ == "__main__":
    main()
