"""Measures how far the audible onsets of a recording lie from its labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from melnet_music.composing.perform import PerformedNote
from melnet_music.composing.rendering.render import DRUM_CHANNEL

_QUIET_BEFORE_SECONDS = 0.08
_QUIET_AFTER_SECONDS = 0.04
_EARLIEST_SECONDS = 0.025
_CONTEXT_SECONDS = 0.2
_WINDOW_SECONDS = 0.002
_AUDIBLE_RATIO = 0.03
"""A note is audible from where its envelope passes this share of its peak (-30 dB) ..."""
_RISE_RATIO = 2.0
"""... and this multiple of the loudest that was heard just before."""
_CLEAR_RATIO = 5.0
"""Notes whose peak is less than this multiple of what was heard before are no measure of anything."""


@dataclass(frozen=True)
class Alignment:
    """Audible onset less label, over the notes that were measured. The percentiles are of the absolute errors."""

    notes: int
    mean_ms: float
    median_ms: float
    percentile_95_ms: float


def alignment_of(errors_s: Sequence[float]) -> Alignment:
    """The summary of onset errors in seconds; zeros where nothing was measured."""
    if not errors_s:
        return Alignment(0, 0.0, 0.0, 0.0)
    errors_ms = 1000.0 * np.asarray(errors_s)
    median, percentile_95 = np.percentile(np.abs(errors_ms), (50, 95))
    return Alignment(
        len(errors_s), round(float(errors_ms.mean()), 2), round(float(median), 2), round(float(percentile_95), 2)
    )


def onset_errors_s(notes: Sequence[PerformedNote], audio: NDArray[np.float32], rate_hz: int) -> list[float]:
    """Audible onset less labelled onset, in seconds, of every note that stands clear in ``audio`` [n].

    Clear is a note with no other onset 80 ms before and 40 ms after, that rises 14 dB above what was heard before it in
    its band (from an octave below its fundamental up to its eighth partial). All other notes are left out.
    """
    onsets_s = np.sort([note.onset_s for note in notes])
    errors: list[float] = []
    for note in notes:
        first, last = np.searchsorted(
            onsets_s, (note.onset_s - _QUIET_BEFORE_SECONDS, note.onset_s + _QUIET_AFTER_SECONDS)
        )
        if note.channel == DRUM_CHANNEL or last - first > 1 or note.onset_s < _QUIET_BEFORE_SECONDS:
            continue
        error = _onset_error_s(note, audio, rate_hz)
        if error is not None:
            errors.append(error)
    return errors


def _onset_error_s(note: PerformedNote, audio: NDArray[np.float32], rate_hz: int) -> float | None:
    start = round((note.onset_s - _QUIET_BEFORE_SECONDS) * rate_hz)
    stop = round((note.onset_s + _CONTEXT_SECONDS) * rate_hz)
    fundamental_hz = 440.0 * 2.0 ** ((note.pitch - 69) / 12)
    band_hz = (0.5 * fundamental_hz, min(8.5 * fundamental_hz, 0.45 * rate_hz))
    sections = butter(1, band_hz, "bandpass", fs=rate_hz, output="sos")
    banded = sosfiltfilt(sections, audio[start:stop].astype(np.float64))
    window = max(1, round(_WINDOW_SECONDS * rate_hz))
    envelope = np.sqrt(np.convolve(np.square(banded), np.ones(window) / window))[: len(banded)]
    label = round(note.onset_s * rate_hz) - start
    early = label - round(_EARLIEST_SECONDS * rate_hz)
    before = float(envelope[window:early].max())
    heard = envelope[early : label + round(_QUIET_AFTER_SECONDS * rate_hz)]
    peak = float(heard.max())
    if peak < _CLEAR_RATIO * before:
        return None
    crossing = early + int(np.argmax(heard > max(_AUDIBLE_RATIO * peak, _RISE_RATIO * before)))
    return (crossing - label) / rate_hz
