"""The phase vocoder: phases for mel spectrograms, found in a stream and in step with real sound.

RTISI-LA (Zhu, Beauregard and Wyse 2007, "Real-time signal estimation from modified short-time Fourier transform
magnitude spectra"): a frame's first phases are those of the sound made so far, seen through the frame's window;
then the newest few frames are refined together by Griffin-Lim sweeps, and the oldest of them is let go.

Real sound on either side enters as samples that are known: wherever a window reaches over them, they stand in
for the estimate. So the frames next to real sound take its phases, without any search for a good offset. What comes
after fades in over an eighth of a hop: if it began at once, the step from the estimate would be heard as a tick;
over half a hop or more, the frames next to it are less in its phase.

Phases from RTPGHI (Prusa and Sondergaard 2016) as the start of the sweeps were measured and left out: they
change nothing after four sweeps (0.87 for 0.88 dB at 2048/512/192, 0.75 for 0.76 dB at 1536/384/256).
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melnet_music.kernel_cache import njit
from melnet_music.model.config import SoundConfig
from melnet_music.sound.crossfade import fade_in
from melnet_music.sound.mel import analysis_window
from melnet_music.sound.vocoders.mel_inversion import MelInversion
from melnet_music.sound.vocoders.vector_fft import fits, make_plan, project_frame, work_floats

Float32Array = NDArray[np.float32]
Complex64Array = NDArray[np.complex64]

FOURIERS = ("vectors", "numpy")
"""What transforms the frames: `vector_fft`, which is quicker, or numpy. They differ by rounding."""
_ENTRIES_A_HOP = 8
"""So short a part of a hop is what real sound fades in over, where it comes after."""


@dataclass
class PhaseVocoderState:
    """Where a stream stands."""

    frame: int
    """Oldest frame that may still change."""
    past: Float32Array
    """The last two windows' length of real sound before the generated frames."""
    past_stop: int
    """Position after the last sample of ``past``."""
    future: Float32Array
    """The first two windows' length of real sound after the generated frames."""
    future_start: int | None
    """Position of the first sample of ``future``; None if what follows is open."""
    overlap: Float32Array
    """Sum of all frames, from the start of the oldest open frame's window."""
    spectra: list[Float32Array]
    """Magnitudes of the open frames, float32[K] each."""
    waves: list[Float32Array]
    """The open frames' part in ``overlap``, float32[window_samples] each."""


class PhaseVocoder:
    """Log-mel frames to mono float32, streaming; see `melnet_music.sound.vocoders.vocoder.Vocoder`.

    Starts at frame 0 and sample 0, with silence before; `prime` starts it elsewhere. T frames from a cold start
    make ``T * hop_samples`` samples.

    Args:
        phase_lookahead_frames: frames after a frame that are refined with it before it is let go. 3 is for live
            use; repainting, where nobody waits, gains from more.
        sweeps: Griffin-Lim sweeps over the open frames at each new frame.
        fourier: one of `FOURIERS`; lengths that the first cannot do are numpy's.

    Raises:
        ValueError: the numbers are out of range, or the window does not overlap enough to add up evenly.
    """

    def __init__(
        self, sound: SoundConfig, *, phase_lookahead_frames: int = 3, sweeps: int = 4, fourier: str = FOURIERS[0]
    ) -> None:
        if fourier not in FOURIERS:
            raise ValueError(f"fourier is {fourier!r}, expected one of {', '.join(FOURIERS)}")
        if phase_lookahead_frames < 0 or sweeps < 1:
            raise ValueError(
                f"want phase_lookahead_frames >= 0 and sweeps >= 1, got {phase_lookahead_frames} and {sweeps}"
            )
        if sound.window_samples < 3 * sound.hop_samples:
            raise ValueError(
                f"the phase vocoder needs hop_samples <= window_samples / 3, "
                f"got {sound.hop_samples} for a window of {sound.window_samples}"
            )
        self.sound = sound
        self._phase_lookahead_frames = phase_lookahead_frames
        self._sweeps = sweeps
        self._inversion = MelInversion(sound)
        self._window = analysis_window(sound.window_samples)
        # Squared Hann windows a third of a window or less apart add up to a constant.
        self._synthesis = self._window * np.float32(sound.hop_samples / np.sum(self._window.astype(float) ** 2))
        self._left = sound.window_samples // 2
        quick = fourier == "vectors" and fits(sound.n_fft) and sound.window_samples % 2 == 0
        self._plan = make_plan(sound.n_fft) if quick else None
        self._work = np.zeros(work_floats(sound.n_fft) if quick else 0, np.float32)
        entry = sound.hop_samples // _ENTRIES_A_HOP
        self._entry = fade_in(np.ones(entry, np.float32), entry)
        self._right = sound.window_samples - self._left
        self.prime(np.zeros(0, np.float32))

    @property
    def lookahead_frames(self) -> int:
        return self._phase_lookahead_frames + math.ceil(self._left / self.sound.hop_samples) - 1

    @property
    def next_frame(self) -> int:
        return self._state.frame + len(self._state.waves)

    @property
    def next_sample(self) -> int:
        return max(0, self._open_from)

    @property
    def frames_wanted(self) -> int | None:
        """Frames still missing before the known future; None if there is no known future."""
        state = self._state
        if state.future_start is None:
            return None
        return math.ceil((state.future_start + self._left) / self.sound.hop_samples) - self.next_frame

    def prime(self, past: Float32Array, future: Float32Array | None = None, gap_samples: int = 0) -> None:
        """Start where real sound ends, in its phase.

        `next_frame` becomes the first frame whose window reaches past the end of ``past``. The samples that are
        returned start at `next_sample`, which lies up to a window before that end: there they pass gradually
        from the real sound to the generated, for a crossfade with ``past`` itself.

        With a ``future``, exactly `frames_wanted` frames are pushed, and the samples after `flush` reach into it
        by up to a window.

        Args:
            past: float32[N], the timeline from sample 0.
            future: float32[n], the timeline from sample ``N + gap_samples``, then silence. None: nothing known.

        Raises:
            ValueError: a signal is not mono, or the gap is negative.
        """
        past = _mono(past)
        if gap_samples < 0:
            raise ValueError(f"gap_samples is {gap_samples}, expected the gap's length, 0 or more")
        hop, window = self.sound.hop_samples, self.sound.window_samples
        ahead = np.zeros(0, np.float32) if future is None else _mono(future)[: 2 * window]
        frame = max(0, (len(past) - self._right) // hop + 1)
        self._state = PhaseVocoderState(
            frame=frame,
            past=np.pad(past[-2 * window :], (2 * window, 0))[-2 * window :],
            past_stop=len(past),
            future=np.pad(ahead, (0, 2 * window - len(ahead))),
            future_start=None if future is None else len(past) + gap_samples,
            overlap=np.zeros(window + self._phase_lookahead_frames * hop, np.float32),
            spectra=[],
            waves=[],
        )
        for real in range(1 - window // hop, 0):
            if (frame + real) * hop + self._right <= len(past):
                wave = self._real_wave(frame + real)
                self._state.overlap[: real * hop + window] += wave[-real * hop :]

    def push(self, log_mel: Float32Array) -> Float32Array:
        """Take frames, float32[t, M], and return the samples that became final, float32[n].

        Raises:
            ValueError: the shape is wrong, values are not finite, or the frames reach further than the known
                future. The stream then stands where it stood.
        """
        log_mel = np.asarray(log_mel, dtype=np.float32)
        if log_mel.ndim != 2 or log_mel.shape[1] != self.sound.mel_bins:
            raise ValueError(f"log_mel has shape {log_mel.shape}, expected [frames, {self.sound.mel_bins}]")
        if not np.isfinite(log_mel).all():
            raise ValueError("log_mel has values that are not finite; they would spoil all sound after them")
        if self.frames_wanted is not None and len(log_mel) > self.frames_wanted:
            raise ValueError(f"{len(log_mel)} frames pushed, but the gap wants only {self.frames_wanted} more")
        begin = self._open_from
        pieces = [np.zeros(0, np.float32)]
        for frame in log_mel:
            self._open(self._inversion(frame))
            if len(self._state.waves) > self._phase_lookahead_frames:
                pieces.append(self._close())
        return _from_zero(np.concatenate(pieces), begin)

    def flush(self) -> Float32Array:
        """Return the rest and start anew at frame 0.

        Without a future the samples end at ``next_frame * hop_samples``, with the last hop partly faded. With
        one, they end with the last window of the gap.

        Raises:
            ValueError: frames before the known future are still missing.
        """
        if self.frames_wanted:
            raise ValueError(f"{self.frames_wanted} frames are missing before the known future; push them first")
        begin = self._open_from
        pieces = [self._close() for _ in range(len(self._state.waves))]
        hop, window = self.sound.hop_samples, self.sound.window_samples
        state = self._state
        rest = state.overlap[: self._left]
        if state.future_start is not None:
            rest = state.overlap[: window - hop]
            for real in range(window // hop - 1):
                rest[real * hop :] += self._real_wave(state.frame + real)[: len(rest) - real * hop]
        self.prime(np.zeros(0, np.float32))
        return _from_zero(np.concatenate([*pieces, rest]), begin)

    def state(self) -> PhaseVocoderState:
        """Where the stream stands, for `restore`; a value that later pushes do not change."""
        return copy.deepcopy(self._state)

    def restore(self, state: PhaseVocoderState) -> None:
        """Go on from a state that a vocoder with the same settings returned."""
        self._state = copy.deepcopy(state)

    @property
    def _open_from(self) -> int:
        return self._state.frame * self.sound.hop_samples - self._left

    def _open(self, magnitude: Float32Array) -> None:
        self._state.spectra.append(magnitude)
        self._state.waves.append(np.zeros(self.sound.window_samples, np.float32))
        self._refine(len(self._state.waves) - 1)

    def _close(self) -> Float32Array:
        """Refine the open frames together, let the oldest go and return the hop that it completes."""
        state, hop = self._state, self.sound.hop_samples
        for _ in range(self._sweeps):
            for index in reversed(range(len(state.waves))):
                self._refine(index)
        complete = state.overlap[:hop].copy()
        state.overlap[:-hop] = state.overlap[hop:]
        state.overlap[-hop:] = 0
        state.frame += 1
        del state.spectra[0], state.waves[0]
        return complete

    def _refine(self, index: int) -> None:
        """Give an open frame the phases of the sound as it stands: the Griffin-Lim projection of one frame."""
        state, window = self._state, self.sound.window_samples
        here = state.overlap[index * self.sound.hop_samples :][:window]
        sound = here.copy()
        self._lay_real(sound, self._open_from + index * self.sound.hop_samples, self._entry)
        magnitude, old = state.spectra[index], state.waves[index]
        if self._plan:
            project_frame(self._plan, self._work, sound, self._window, magnitude, self._synthesis, here, old)
            return
        spectrum = np.fft.rfft(sound * self._window, self.sound.n_fft)
        _impose_magnitude(spectrum, magnitude)
        wave = np.fft.irfft(spectrum, self.sound.n_fft)[:window] * self._synthesis
        here += wave - old
        state.waves[index] = wave

    def _real_wave(self, frame: int) -> Float32Array:
        """A frame of real sound as it enters the overlapping sum."""
        sound = np.zeros(self.sound.window_samples, np.float32)
        self._lay_real(sound, frame * self.sound.hop_samples - self._left, self._entry[:0])
        return sound * self._window * self._synthesis

    def _lay_real(self, sound: Float32Array, start: int, entry: Float32Array) -> None:
        """Overwrite a stretch from position ``start`` with what is known of it; the future comes in by ``entry``."""
        state = self._state
        known = min(max(state.past_stop - start, 0), len(sound))
        sound[:known] = state.past[len(state.past) - (state.past_stop - start) :][:known]
        if state.future_start is not None:
            offset = max(state.future_start - start, 0)
            known = max(len(sound) - offset, 0)
            into = max(start - state.future_start, 0)
            real, rising = state.future[into:][:known], entry[into:][:known]
            met = slice(offset, offset + len(rising))
            sound[met] += rising * (real[: len(rising)] - sound[met])
            sound[met.stop :] = real[len(rising) :]


def _mono(audio: Float32Array) -> Float32Array:
    audio = np.asarray(audio, dtype=np.float32)
    if audio.ndim != 1:
        raise ValueError(f"audio has shape {audio.shape}, expected mono [samples]; mix it down first")
    return audio


def _from_zero(samples: Float32Array, begin: int) -> Float32Array:
    """Samples that begin at position ``begin``, without those before position 0."""
    return samples[max(0, -begin) :]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _impose_magnitude(spectrum: Complex64Array, magnitude: Float32Array) -> None:
    for k in range(len(spectrum)):
        re, im = spectrum[k].real, spectrum[k].imag
        size = math.sqrt(re * re + im * im)
        if size > 0:
            spectrum[k] *= magnitude[k] / size
        else:
            spectrum[k] = magnitude[k]
