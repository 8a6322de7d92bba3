"""Voices that say nothing: what speech is to an ear that understands no word.

A source and formants that move from sound to sound, after Klatt's synthesiser (1980): vowels that glide into each
other, hums, hisses, and stops; the voice falls through each phrase, and seldom keeps a pitch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt

Samples = NDArray[np.float64]

_CONTROL_HZ = 100
"""So often the formants are set anew."""
_FORMANTS_HZ = ((270.0, 850.0), (800.0, 2400.0), (2300.0, 3100.0), (3200.0, 4200.0))
_WIDTHS_HZ = (80.0, 110.0, 160.0, 250.0)
_LOWEST_HZ, _HIGHEST_HZ = 75.0, 280.0
"""Of the middle of a voice."""


def babble(samples: int, rate_hz: int, rng: np.random.Generator) -> Samples:
    """One voice ``[n]``, now and then two."""
    voices: Samples = np.sum([_voice(samples, rate_hz, rng) for _ in range(1 + (rng.random() < 0.25))], axis=0)
    return voices


def _voice(samples: int, rate_hz: int, rng: np.random.Generator) -> Samples:
    steps = samples * _CONTROL_HZ // rate_hz + 2
    voiced, hissed, pitch_hz, formants_hz = _controls(steps, rng)
    at, control = np.arange(samples) * (_CONTROL_HZ / rate_hz), np.arange(steps)
    hz = np.interp(at, control, pitch_hz)
    hz *= 1.0 + rng.uniform(0.003, 0.012) * np.repeat(rng.normal(size=samples // 256 + 1), 256)[:samples]
    pulses = np.diff(np.floor(np.cumsum(hz / rate_hz)), prepend=0.0)
    breath = rng.uniform(0.005, 0.06) * rng.normal(size=samples)
    pole = float(np.exp(-2.0 * np.pi * rng.uniform(150.0, 900.0) / rate_hz))
    source = lfilter([1.0 - pole], [1.0, -pole], pulses + breath) * np.interp(at, control, voiced)
    spoken = _through(source, formants_hz, rate_hz)
    corner_hz = float(rng.uniform(2000.0, 5500.0))
    hiss = sosfilt(butter(1, corner_hz, "highpass", fs=rate_hz, output="sos"), rng.normal(size=samples))
    hiss *= np.interp(at, control, hissed)
    # a voice in a room or close to a microphone is strong at its fundamental, and may end at 4 kHz
    chest = sosfilt(butter(2, 1.6 * float(np.median(hz)), fs=rate_hz, output="sos"), source)
    voice = _at_unit(spoken) + rng.uniform(0.0, 3.0) * _at_unit(chest) + rng.uniform(0.1, 0.6) * hiss
    highest_hz = float(np.exp(rng.uniform(np.log(3500.0), np.log(0.45 * rate_hz))))
    heard: Samples = sosfilt(butter(4, highest_hz, fs=rate_hz, output="sos"), voice)
    return heard


def _controls(steps: int, rng: np.random.Generator) -> tuple[Samples, Samples, Samples, Samples]:
    """Voice and hiss, 0 to 1, pitch and formants in Hz, ``[steps]`` each and ``[4, steps]``."""
    voiced, hissed, semitones = np.zeros((3, steps))
    targets_at, targets_hz = [0], [_vowel(rng)]
    centre_hz = float(np.exp(rng.uniform(np.log(_LOWEST_HZ), np.log(_HIGHEST_HZ))))
    liveliness, pace = rng.uniform(0.2, 3.0), rng.uniform(0.7, 1.3)
    now = phrase_end = 0
    while now < steps:
        if now >= phrase_end:
            now += round(_CONTROL_HZ * rng.uniform(0.1, 0.6))
            phrase_end = now + round(_CONTROL_HZ * rng.uniform(0.8, 3.0))
            count = 2 + (phrase_end - now) // 15
            knots = rng.normal(0.0, liveliness, size=count) + np.linspace(2.0, -2.0, 2 + (phrase_end - now) // 15)
            inside = np.arange(now, min(phrase_end, steps))
            semitones[inside] = np.interp(inside, np.linspace(now, phrase_end, len(knots)), knots)
        length = max(3, round(_CONTROL_HZ * pace * rng.uniform(0.06, 0.26)))
        sound, part = rng.random(), slice(now, now + length)
        if sound < 0.55:
            voiced[part] = rng.uniform(0.5, 1.0)
        elif sound < 0.72:
            length = min(length, 9)
            voiced[now : now + length] = rng.uniform(0.1, 0.35)
        elif sound < 0.87:
            hissed[part] = rng.uniform(0.3, 1.0)
        else:
            length = min(length, 8)
            hissed[now + length - 1 : now + length] = 1.0
        targets_at.append(now + length // 2)
        targets_hz.append(_vowel(rng))
        now += length
    control = np.arange(steps)
    formants_hz = np.array([np.interp(control, targets_at, of_one) for of_one in np.array(targets_hz).T], np.float64)
    smooth = np.ones(3) / 3.0
    voice, hiss = (np.convolve(level, smooth, "same").astype(np.float64) for level in (voiced, hissed))
    return voice, hiss, centre_hz * 2.0 ** (semitones / 12.0), formants_hz


def _vowel(rng: np.random.Generator) -> Samples:
    formants_hz: Samples = np.array([rng.uniform(lowest, highest) for lowest, highest in _FORMANTS_HZ])
    return formants_hz


def _at_unit(signal: Samples) -> Samples:
    scaled: Samples = signal / (np.sqrt(np.mean(np.square(signal))) + 1e-12)
    return scaled


def _through(source: Samples, formants_hz: Samples, rate_hz: int) -> Samples:
    """The source through resonators, one after the other, set anew from block to block."""
    block = rate_hz // _CONTROL_HZ
    heard = np.array(source)
    for centres_hz, width_hz in zip(formants_hz, _WIDTHS_HZ, strict=True):
        radius, state = np.exp(-np.pi * width_hz / rate_hz), np.zeros(2)
        for number, start in enumerate(range(0, len(heard), block)):
            centre_hz = float(centres_hz[min(number, len(centres_hz) - 1)])
            a = [1.0, -2.0 * radius * np.cos(2.0 * np.pi * centre_hz / rate_hz), radius**2]
            heard[start : start + block], state = lfilter([sum(a)], a, heard[start : start + block], zi=state)
    return heard
