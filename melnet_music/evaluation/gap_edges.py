"""The edges of repainted gaps, against what real recordings do at any place.

Every measure is a percentile among the same measure at random places of untouched recordings: edges that nobody can
tell lie evenly from 0 to 100. For comparison, the same at hard cuts into other music.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import librosa
import numpy as np
import numpy.typing as npt

from melnet_music.evaluation.places import spread_places
from melnet_music.evaluation.sounds import PROMPT_SECONDS, TakeSource
from melnet_music.evaluation.workers import NamedProgress, Workers, make_take, naming
from melnet_music.training.data.features import Work

Samples = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

GAP_SECONDS, AFTER_SECONDS = 1.5, 5.0
AROUND_SECONDS = 0.05
"""On either side of an edge."""
MEASURES = {
    "step": "largest step from sample to sample, over the effective value around it",
    "flux": "largest mean rise of 40 mel bands from frame to frame, dB, frames of 23 ms every 6 ms",
    "spectral_step": "root mean square difference of 40 mel bands, 50 ms before and after, dB",
    "level_step": "difference in level, 50 ms before and after, dB",
}
_NATURAL_PER_GAP = 10
_FRAME_SECONDS, _FRAME_HOPS, _BANDS = 512 / 22050, 4, 40
_PADDED_FRAMES = 4
_HIGHEST_HZ = 11025.0
"""Of the bands, whatever the rate: models of different rates are measured alike."""


@dataclass(frozen=True)
class Ranks:
    """Where one measure's values lie among those of untouched recordings."""

    percentiles: list[float]
    """5th, 25th, 50th, 75th, 95th of the ranks, 0 to 100; natural: 5 25 50 75 95."""
    above_95: float
    """Share of edges beyond the natural 95th percentile; natural: 0.05."""
    above_99: float


@dataclass(frozen=True)
class EdgeMeasure:
    """One measure."""

    what: str
    natural_percentiles: list[float]
    """5th, 50th, 95th and 99th of the values."""
    entering: Ranks
    """Where a gap begins."""
    leaving: Ranks
    """Where it ends."""
    hard_cut: Ranks
    """Cuts into other music."""


@dataclass(frozen=True)
class GapEdges:
    """Edges of repainted gaps."""

    gaps: int
    gap_seconds: float
    natural_places: int
    measures: dict[str, EdgeMeasure]


def measure_gap_edges(
    source: TakeSource,
    held_out: list[Work],
    *,
    count: int,
    seed: int,
    workers: Workers,
    progress: NamedProgress,
) -> GapEdges:
    """Repaint ``count`` gaps of 1.5 s in real recordings and look at their edges."""
    sound, random = source.sound, np.random.default_rng([seed, 3])
    rate = sound.sample_rate_hz
    gap = PROMPT_SECONDS, PROMPT_SECONDS + GAP_SECONDS
    length = gap[1] + AFTER_SECONDS
    places = spread_places(held_out, sound, length, count, random)
    jobs = [source.inpainting(place, gap, length, seed + n) for n, place in enumerate(places)]
    painted = workers.work_off(make_take, jobs, naming(progress, "repainted gaps"))
    real = [job.heard for job in jobs]
    edges = [round(at * rate) for at in gap]
    entering, leaving = ([edge_measures(audio, edge, rate) for audio in painted] for edge in edges)
    span = round(AROUND_SECONDS * rate) + _frame_and_hop(rate)[0]
    natural = [
        edge_measures(audio, int(at), rate)
        for audio in real
        for at in random.integers(span, len(audio) - span, _NATURAL_PER_GAP)
    ]
    half = len(real) // 2
    cuts = [
        edge_measures(np.concatenate([one[: edges[0]], other[edges[0] :]]), edges[0], rate)
        for one, other in zip(real, real[half:] + real[:half], strict=True)
    ]
    measures = {}
    for n, (name, what) in enumerate(MEASURES.items()):
        values = np.array(natural)[:, n]
        measures[name] = EdgeMeasure(
            what,
            [float(value) for value in np.percentile(values, [5, 50, 95, 99])],
            *(ranks(np.array(found)[:, n], values) for found in (entering, leaving, cuts)),
        )
    return GapEdges(count, GAP_SECONDS, len(natural), measures)


def edge_measures(audio: Samples, edge: int, rate_hz: int) -> list[float]:
    """`MEASURES` at one sample of float32[n]."""
    around = round(AROUND_SECONDS * rate_hz)
    before, after = audio[edge - around : edge].astype(np.float64), audio[edge : edge + around].astype(np.float64)
    near = np.concatenate([before, after])
    step = np.abs(np.diff(near)).max() / (np.sqrt((near**2).mean()) + 1e-4)
    frame, hop = _frame_and_hop(rate_hz)
    bands = _bands_db(audio[edge - around - frame : edge + around + frame], rate_hz)
    flux = np.maximum(np.diff(bands, axis=0), 0).mean(1).max()
    middle = len(bands) // 2
    frames = max(round(AROUND_SECONDS * rate_hz / hop), 1)
    earlier, later = bands[max(middle - frames, 0) : middle].mean(0), bands[middle : middle + frames].mean(0)
    levels = [10 * np.log10((part**2).mean() + 1e-9) for part in (before, after)]
    return [
        float(step),
        float(flux),
        float(np.sqrt(((later - earlier) ** 2).mean())),
        float(abs(levels[1] - levels[0])),
    ]


def ranks(values: Array, natural: Array) -> Ranks:
    """Where values lie among natural ones."""
    ordered = np.sort(natural)
    middle = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2
    placed = 100 * middle / len(ordered)
    return Ranks(
        [float(value) for value in np.percentile(placed, [5, 25, 50, 75, 95])],
        _share_above(values, float(np.percentile(natural, 95))),
        _share_above(values, float(np.percentile(natural, 99))),
    )


def _share_above(values: Sequence[float] | Array, limit: float) -> float:
    return float((np.asarray(values) > limit).mean())


def _frame_and_hop(rate_hz: int) -> tuple[int, int]:
    """Samples of a frame, and from frame to frame."""
    frame = round(_FRAME_SECONDS * rate_hz)
    return frame, max(frame // _FRAME_HOPS, 1)


def _bands_db(audio: Samples, rate_hz: int) -> Array:
    """Mel bands of short frames, ``[T, 40]``, as strong as at 22,050 Hz."""
    frame, hop = _frame_and_hop(rate_hz)
    padded = _PADDED_FRAMES * frame
    frames = np.lib.stride_tricks.sliding_window_view(audio, frame)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(frame), n=padded, axis=1)) ** 2
    power *= (_FRAME_SECONDS * 22050 / frame) ** 2
    highest_hz = min(_HIGHEST_HZ, rate_hz / 2)
    filters = librosa.filters.mel(sr=rate_hz, n_fft=padded, n_mels=_BANDS, fmin=30.0, fmax=highest_hz)
    bands: Array = 10 * np.log10(power @ filters.T.astype(np.float64) + 1e-6)
    return bands
