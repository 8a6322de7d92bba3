"""Audio files: read without loss, written whole or not at all."""

from __future__ import annotations

import io
import logging
import os
import re
import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from melnet_music.sound.resample import resample

log = logging.getLogger(__name__)

Float32Array = NDArray[np.float32]

_CONTAINERS = {
    ".wav": ("WAV", "WAVEX", "RF64"),
    ".flac": ("FLAC",),
    ".ogg": ("OGG",),
    ".mp3": ("MP3",),
    ".aif": ("AIFF",),
    ".aiff": ("AIFF",),
}
"""What a file name's suffix may hold; the first is the default."""

_PCM_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_WIDER_THAN_FLOAT32 = ("PCM_32", "DOUBLE")
_STREAMED_SIZES = (0, 0xFFFFFFFF)
"""Sizes that programs write into a WAV header when they cannot seek back to fill in the true one."""

_SAMPLES_PER_WRITE = 65536

_SLOWEST_HZ, _FASTEST_HZ = 1_000, 1_000_000
"""Beyond these a header is damaged, or there is nothing to hear."""


@dataclass(frozen=True, eq=False)
class AudioClip:
    """Sound as a file holds it, so that it can be written back unchanged."""

    samples: NDArray[Any]
    """float[N, C], full scale 1. float32, or float64 where the file's samples do not fit into float32."""
    sample_rate_hz: int
    subtype: str = "PCM_16"
    """Sample format, in libsndfile's words: PCM_16, PCM_24, FLOAT, VORBIS, ..."""
    container: str = "WAV"
    """File format, in libsndfile's words."""

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate_hz

    @cached_property
    def peak(self) -> float:
        """Largest magnitude, 0 if the clip is silent."""
        return float(np.abs(self.samples).max(initial=0.0))

    def mono_at(self, sample_rate_hz: int) -> Float32Array:
        """Mean of the channels at another rate: float32[round(N * sample_rate_hz / own rate)]."""
        mono = self.samples.mean(axis=1, dtype=np.float64).astype(np.float32)
        return resample(mono, self.sample_rate_hz, sample_rate_hz)


def read_audio(path: Path) -> AudioClip:
    """Read WAV, FLAC, Ogg, MP3, AIFF or whatever else libsndfile reads.

    Silence is no error: see `AudioClip.peak`.

    Raises:
        ValueError: there is no such file, or it is a folder, empty, no audio, cut short, without samples, or
            has samples that are not finite, or a sample rate that no music has.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"no audio file at {path}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, expected an audio file")
    try:
        if path.stat().st_size == 0:
            raise ValueError(f"{path} is empty (0 bytes), expected an audio file")
        with open_sound(path) as file:
            dtype = "float64" if file.subtype in _WIDER_THAN_FLOAT32 else "float32"
            declared, header = file.frames, file.extra_info
            clip = AudioClip(file.read(dtype=dtype, always_2d=True), file.samplerate, file.subtype, file.format)
    except OSError as error:
        raise ValueError(f"{path} cannot be read as audio: {error.strerror}") from None
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{path} cannot be read as audio: {error.error_string}") from None
    if reason := wrong_rate(clip.sample_rate_hz):
        raise ValueError(f"{path} {reason}")
    if len(clip.samples) < declared:
        raise ValueError(f"{path} is cut short: {declared} samples declared, {len(clip.samples)} readable")
    check_declared_size(path, header)
    if len(clip.samples) == 0:
        raise ValueError(f"{path} holds no samples")
    finite = np.isfinite(clip.samples)
    if not finite.all():
        first = int(np.argmin(finite.all(axis=1)))
        raise ValueError(
            f"{path} has {finite.size - np.count_nonzero(finite)} samples that are NaN or infinite, "
            f"the first at {first / clip.sample_rate_hz:.3f} s; export the file again"
        )
    return clip


def write_audio(path: Path, clip: AudioClip) -> None:
    """Write a clip so that ``path`` holds either all of it or what it held before.

    The name's suffix decides the container. The clip's sample format is kept where that container has it
    (then samples as read come back bit for bit, unless it is a lossy one), else the container's default is
    taken. Samples beyond full scale are clipped in integer formats.

    Raises:
        ValueError: the suffix is unknown, the folder does not exist, the samples are not finite or not
            [N, C], the container cannot hold them, or the disk is full.
    """
    path = Path(path)
    container, subtype = _format_for(path, clip)
    if clip.samples.ndim != 2 or not np.isfinite(clip.samples).all():
        raise ValueError(f"samples for {path} must be finite and [samples, channels], got {clip.samples.shape}")
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError(f"cannot write {path}: " + ("is a folder" if path.is_dir() else "no such folder"))
    data = _quantised(clip.samples, subtype, path)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    encoded = io.BytesIO()  # written by libsndfile itself, a full disk would be a failed assertion without a reason
    try:
        with soundfile.SoundFile(
            encoded, "w", clip.sample_rate_hz, clip.channels, subtype=subtype, format=container
        ) as sound:
            # The Vorbis encoder overflows its stack on long writes.
            for first in range(0, len(data), _SAMPLES_PER_WRITE):
                sound.write(data[first : first + _SAMPLES_PER_WRITE])
        with draft.open("xb") as file:
            file.write(encoded.getbuffer())
        os.replace(draft, path)
    except (OSError, soundfile.LibsndfileError) as error:
        raise ValueError(f"cannot write {path}: {error}") from None
    finally:
        draft.unlink(missing_ok=True)


def open_sound(path: Path) -> soundfile.SoundFile:
    """The file open for reading, whatever bytes its name is made of. Raises what `soundfile.SoundFile` raises."""
    return soundfile.SoundFile(os.fsencode(path))


def wrong_rate(sample_rate_hz: int) -> str | None:
    """What is wrong with a file's sample rate, to be said after its name; None if nothing is."""
    if _SLOWEST_HZ <= sample_rate_hz <= _FASTEST_HZ:
        return None
    return f"declares a sample rate of {sample_rate_hz} Hz, expected {_SLOWEST_HZ} to {_FASTEST_HZ} Hz"


def check_declared_size(path: Path, header: str) -> None:
    """See that a WAV or AIFF file is as long as it says; libsndfile reads what there is and only notes it in its log.

    Args:
        header: that log, ``SoundFile.extra_info``.

    Raises:
        ValueError: it is cut short; the message says how many bytes there are.
    """
    wrong = re.search(r"^ ?(?:data|SSND)\s*:\s*(\S+) \(should be (\d+)\)", header, re.MULTILINE)
    if wrong and int(wrong[1], 0) not in _STREAMED_SIZES and int(wrong[1], 0) > int(wrong[2]):
        raise ValueError(f"{path} is cut short: {wrong[1]} bytes declared, {wrong[2]} there")


def _format_for(path: Path, clip: AudioClip) -> tuple[str, str]:
    containers = _CONTAINERS.get(path.suffix.lower())
    if containers is None:
        raise ValueError(f"cannot write {path.name}: unknown suffix, expected one of {', '.join(_CONTAINERS)}")
    container = clip.container if clip.container in containers else containers[0]
    if soundfile.check_format(container, clip.subtype):
        return container, clip.subtype
    return container, soundfile.default_subtype(container)


def _quantised(samples: NDArray[Any], subtype: str, path: Path) -> NDArray[Any]:
    """Integer formats as left-justified int32, rounded where libsndfile truncates; others as they are."""
    bits = _PCM_BITS.get(subtype)
    if bits is None:
        return samples
    scale = 2.0 ** (bits - 1)
    steps = np.rint(samples.astype(np.float64) * scale)
    clipped = np.clip(steps, -scale, scale - 1)
    beyond = np.count_nonzero(steps != clipped)
    if beyond:
        log.warning("%s: %d samples beyond full scale were clipped", path, beyond)
    return (clipped.astype(np.int64) << (32 - bits)).astype(np.int32)
