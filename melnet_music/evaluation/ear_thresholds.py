"""Chooses when the ear believes that a note begins and ends: what finds most of a held-out set, and least else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from melnet_music.evaluation.hearing import end_hits, true_rows
from melnet_music.evaluation.measures.detection import Hits
from melnet_music.evaluation.measures.note_pairs import note_pairs, note_rows
from melnet_music.notes.ear.config import EarConfig, ThresholdConfig
from melnet_music.notes.ear.ear import as_notes, believed_notes
from melnet_music.notes.ear.network import EarNetwork, Float32Array
from melnet_music.notes.ear.tracker import HeardNote, let_go, start_tracking, track
from melnet_music.notes.ear.weights import Weights
from melnet_music.training.ear.works import EarWork

_ONSETS = (0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
_SOUNDING = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def choose_thresholds(
    config: EarConfig, weights: Weights, kinds: Sequence[Sequence[EarWork]]
) -> tuple[ThresholdConfig, dict[float, float]]:
    """The thresholds of the best F1, the mean over kinds of music; and that F1 by threshold of onsets.

    First that of the onsets, by notes whose pitch and onset are right, then that of the ends, by those whose end is
    right too.
    """
    network, sound = EarNetwork(config, weights), config.sound
    outputs = [[_outputs(network, work) for work in works] for works in kinds]

    def mean_f1(thresholds: ThresholdConfig, *, ends: bool) -> float:
        scores = []
        for works, of_works in zip(kinds, outputs, strict=True):
            hits = Hits(0, 0, 0)
            for work, frames in zip(works, of_works, strict=True):
                found = note_rows(as_notes(_tracked(frames, thresholds, sound.frames_per_second)))
                true = true_rows(work)
                pairs = note_pairs(found, true)
                hits += Hits(end_hits(found, true, pairs) if ends else len(pairs), len(found), len(true))
            scores.append(hits.f1)
        return float(np.mean(scores))

    by_onset = {onset: mean_f1(config.thresholds.model_copy(update={"onset": onset}), ends=False) for onset in _ONSETS}
    chosen = config.thresholds.model_copy(update={"onset": max(by_onset, key=by_onset.__getitem__)})
    by_sounding = {
        sounding: mean_f1(chosen.model_copy(update={"sounding": sounding}), ends=True) for sounding in _SOUNDING
    }
    return chosen.model_copy(update={"sounding": max(by_sounding, key=by_sounding.__getitem__)}), by_onset


def _outputs(network: EarNetwork, work: EarWork) -> list[Float32Array]:
    state, found = network.start(), list[Float32Array]()
    for frame in work.log_mel.astype(np.float32):
        outputs, state = network.step(state, frame)
        if outputs is not None:
            found.append(outputs)
    return found


def _tracked(outputs: Sequence[Float32Array], thresholds: ThresholdConfig, frames_per_second: float) -> list[HeardNote]:
    state, told = start_tracking(), list[HeardNote]()
    for frame in outputs:
        now, state = track(state, frame, thresholds, frames_per_second)
        told += now
    told += let_go(state, thresholds, frames_per_second)
    return believed_notes(told, thresholds.onset)
