"""Renders performances from one-shots on a torch device, a GPU above all: hours of music in seconds.

In place of a soundfont, each note reads its one-shot between the samples, at the ratio of the pitches; equaliser and
room are those of `render`, both at once by one FFT. The same notes, sound and one-shots give the same audio, on a GPU
too: notes are added up in whole numbers, whose sum does not depend on their order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from torch import Tensor

from melnet_music.composing.perform import PerformedNote
from melnet_music.composing.rendering.equaliser import Band, section_of
from melnet_music.composing.rendering.mixing import BLOCK_SECONDS, GATE_DB, HEAD, low_cut
from melnet_music.composing.rendering.one_shots import Instrument, Sounds
from melnet_music.composing.rendering.render import DRUM_CHANNEL, FADE_SECONDS, PEAK_LIMIT, SAMPLE_RATE_HZ, TAIL_SECONDS
from melnet_music.composing.rendering.room import impulse_response
from melnet_music.composing.rendering.sound import PLAIN, Sound

_DAMPED_SECONDS, _UNDAMPED_SECONDS = 0.08, 0.5
"""In which a note falls to 1/e after its end."""
_HIGHEST_DAMPED = 88
"""Piano strings above have no dampers, and ring on."""
_DECAYS_HEARD = 5.0
_SAMPLES_AT_ONCE = 4_000_000
_ONE = 2.0**24
"""Of the whole numbers that notes are added up in: 144 dB under full scale, and 42 dB above it."""
_RINGING_SECONDS = 0.5
"""Silence after the audio, in which the equaliser dies away."""


@dataclass(frozen=True, eq=False)
class _Bank:
    """An instrument's one-shots on a device."""

    instrument: Instrument
    samples: Tensor
    """``[S]``."""


class DeviceRenderer:
    """Renders works from one-shots on one device."""

    def __init__(self, sounds: Sounds, device: torch.device) -> None:
        self._sounds, self._device, self._banks = sounds, device, dict[str, _Bank]()

    def render(
        self, notes: Sequence[PerformedNote], sound: Sound = PLAIN, levels_db: Mapping[int, float] | None = None
    ) -> Tensor:
        """Mono float32 ``[n]`` at 44,100 Hz in the given sound, on the device; the label times start at sample 0.

        As of `render.Renderer`. ``sound.soundfont`` names the piano, or says that all voices may play. With
        ``levels_db`` (MIDI channel -> dB) each channel is set to its level.

        Raises:
            ValueError: there are no one-shots of an instrument.
        """
        samples = round((max(note.sounding_end_s for note in notes) + TAIL_SECONDS) * SAMPLE_RATE_HZ)
        audio = torch.zeros(samples, device=self._device)
        for channel in sorted({note.channel for note in notes}):
            own = [note for note in notes if note.channel == channel]
            bank = self._bank(self._sounds.name_for(own[0], sound.soundfont))
            alone = play(bank.instrument, bank.samples, own, sound.tuning_hz, samples)
            audio += alone if levels_db is None else at_level(alone, levels_db[channel])
        audio = _normalised(_coloured(audio, sound), sound.level_dbfs)
        fade = min(samples, round(FADE_SECONDS * SAMPLE_RATE_HZ))
        audio[samples - fade :] *= torch.linspace(1.0, 0.0, fade, device=self._device)
        generator = torch.Generator(self._device).manual_seed(sound.noise_seed)
        noise = torch.randn(samples, device=self._device, generator=generator)
        return audio.add_(noise, alpha=10.0 ** (sound.noise_dbfs / 20.0))

    def _bank(self, name: str) -> _Bank:
        if name not in self._banks:
            instrument = self._sounds.instruments[name]
            self._banks[name] = _Bank(instrument, torch.from_numpy(instrument.samples).to(self._device))
        return self._banks[name]


def play(
    instrument: Instrument, samples: Tensor, notes: Sequence[PerformedNote], tuning_hz: float, length: int
) -> Tensor:
    """The notes of one channel, dry: float32 ``[length]`` at 44,100 Hz on the device of ``samples``.

    Each sounds from its onset, and falls off from ``sounding_end_s`` on; drums ring as long as they do.

    Args:
        samples: the instrument's, there.
        tuning_hz: the A above middle C; drums are not tuned.
    """
    device, drums = samples.device, notes[0].channel == DRUM_CHANNEL
    pitch = np.array([note.pitch for note in notes])
    velocity = np.array([note.velocity for note in notes])
    onset = np.array([note.onset_s for note in notes]) * SAMPLE_RATE_HZ
    end = np.array([note.sounding_end_s for note in notes]) * SAMPLE_RATE_HZ
    undamped = (pitch > _HIGHEST_DAMPED) & (notes[0].program < 8)
    decay = np.where(undamped, _UNDAMPED_SECONDS, _DAMPED_SECONDS) * SAMPLE_RATE_HZ
    shot = instrument.shot[pitch, velocity]
    ratio = 2.0 ** (instrument.semitones[pitch] / 12.0) * (1.0 if drums else tuning_hz / 440.0)
    first = np.ceil(onset)
    rings = instrument.lengths[shot] / ratio
    held = rings if drums else end - first
    span = np.ceil(np.minimum(held + _DECAYS_HEARD * decay, rings)).astype(np.int64)
    span = np.minimum(span, length - first.astype(np.int64))
    order = np.argsort(span, kind="stable")
    order = order[span[order] > 0]

    def put(values: NDArray[np.float64] | NDArray[np.int64], kind: torch.dtype = torch.float32) -> Tensor:
        return torch.from_numpy(values[order]).to(device, kind).unsqueeze(1)

    at, shift, place = put(first, torch.int64), put((first - onset) * ratio), put(instrument.starts[shot], torch.int64)
    # a one-shot is read at t + t (ratio - 1): of the product alone a float32 holds the fraction well enough
    faster, until, fall = put(ratio - 1.0), put(held), put(-1.0 / decay)
    last, gain = put(instrument.lengths[shot], torch.int64), put(instrument.gain[pitch, velocity] * _ONE)
    spans, of_note = span[order], put(span, torch.int64)
    total = torch.zeros(length, dtype=torch.int32, device=device)
    start = 0
    while start < len(spans):
        # notes of about one length side by side
        stop = start + 1
        while stop < len(spans) and (stop + 1 - start) * int(spans[stop]) <= _SAMPLES_AT_ONCE:
            stop += 1
        part = slice(start, stop)
        t = torch.arange(int(spans[stop - 1]), device=device)
        ahead = t * faster[part] + shift[part]
        whole = ahead.floor()
        index = torch.minimum(t + whole.long(), last[part]).add_(place[part])
        value = torch.lerp(samples[index], samples[index + 1], ahead - whole)
        value *= torch.exp((t - until[part]).clamp_(min=0.0) * fall[part]) * gain[part]
        value *= t < of_note[part]
        index = torch.minimum(t + at[part], torch.tensor(length - 1, device=device))
        total.scatter_add_(0, index.reshape(-1), value.round_().to(torch.int32).reshape(-1))
        start = stop
    return total.float() / _ONE


def at_level(audio: Tensor, level_db: float) -> Tensor:
    """The audio ``[n]`` at a loudness, as `mixing.at_level`; silence stays what it is."""
    now_db = loudness_db(audio)
    return audio if math.isinf(now_db) else audio * 10.0 ** ((level_db - now_db) / 20.0)


def loudness_db(audio: Tensor) -> float:
    """Loudness of the audio ``[n]`` at 44,100 Hz where it plays, in dB: the measure of `mixing.loudness_db`."""
    size = _fft_size(len(audio))
    weight = _response(HEAD, size, audio.device) * _sections_response(low_cut(SAMPLE_RATE_HZ), size, audio.device)
    weighted = torch.fft.irfft(torch.fft.rfft(audio, size) * weight, size)[: len(audio)]
    block = round(BLOCK_SECONDS * SAMPLE_RATE_HZ)
    energy = weighted[: len(weighted) // block * block].reshape(-1, block).square().mean(1)
    if not len(energy) or not float(energy.max()):
        return -math.inf
    loud = energy[energy > energy.max() * 10.0 ** (GATE_DB / 10.0)]
    return float(10.0 * torch.log10(loud.double().mean()))


def resampled(audio: Tensor, rate_hz: int, wanted_hz: int) -> Tensor:
    """The audio ``[n]`` at another rate, ``[ceil(n wanted / rate)]``, by leaving out or adding frequencies."""
    common = math.gcd(rate_hz, wanted_hz)
    if rate_hz == wanted_hz:
        return audio
    blocks = next_fast_len(-(-(len(audio) + SAMPLE_RATE_HZ // 20) // (rate_hz // common)), real=True)
    size, wanted = blocks * (rate_hz // common), blocks * (wanted_hz // common)
    spectrum = torch.fft.rfft(audio, size)[: wanted // 2 + 1]
    moved: Tensor = torch.fft.irfft(spectrum, wanted) * (wanted / size)
    return moved[: -(-len(audio) * wanted_hz // rate_hz)]


def _coloured(audio: Tensor, sound: Sound) -> Tensor:
    """Through equaliser and room, as long as it was."""
    response = np.ones(1) if sound.room.is_dry else impulse_response(sound.room, SAMPLE_RATE_HZ)
    size = _fft_size(len(audio) + len(response))
    spectrum = torch.fft.rfft(audio, size) * _response(sound.bands, size, audio.device)
    if not sound.room.is_dry:
        spectrum *= torch.fft.rfft(torch.from_numpy(response).to(audio.device, torch.float32), size)
    coloured: Tensor = torch.fft.irfft(spectrum, size)
    return coloured[: len(audio)]


def _normalised(audio: Tensor, level_dbfs: float) -> Tensor:
    """At an RMS level, or as loud as its peak allows."""
    rms, peak = audio.square().mean().sqrt(), audio.abs().max()
    return audio * torch.minimum(10.0 ** (level_dbfs / 20.0) / rms, PEAK_LIMIT / peak)


def _fft_size(samples: int) -> int:
    return int(next_fast_len(samples + round(_RINGING_SECONDS * SAMPLE_RATE_HZ), real=True))


def _response(bands: Sequence[Band], size: int, device: torch.device) -> Tensor:
    """The equaliser's response ``[size // 2 + 1]``, complex."""
    sections = np.array([section_of(band, SAMPLE_RATE_HZ) for band in bands]).reshape(-1, 6)
    return _sections_response(sections, size, device)


def _sections_response(sections: NDArray[np.float64], size: int, device: torch.device) -> Tensor:
    """That of second-order sections ``[K, 6]``, one after the other."""
    z = _unit_circle(size, device)
    response = torch.ones_like(z)
    for b0, b1, b2, a0, a1, a2 in sections.tolist():
        response *= (b0 + z * (b1 + b2 * z)) / (a0 + z * (a1 + a2 * z))
    return response


@lru_cache(maxsize=2)
def _unit_circle(size: int, device: torch.device) -> Tensor:
    """``exp(-i w)`` at the frequencies of an FFT, ``[size // 2 + 1]``."""
    angle = torch.arange(size // 2 + 1, dtype=torch.float64, device=device) * (-2.0 * math.pi / size)
    return torch.polar(torch.ones_like(angle), angle).to(torch.complex64)
