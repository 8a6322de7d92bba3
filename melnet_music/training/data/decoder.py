"""Decodes audio files that may be damaged, as far as it goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from melnet_music.sound.audio_file import check_declared_size, open_sound, wrong_rate
from melnet_music.training.data.quiet_stderr import quiet_stderr

Float32Array = NDArray[np.float32]

_BLOCK_SAMPLES = 16384
"""What comes before the damage in a block is lost with it: short enough not to mind."""
_UNKNOWN_SAMPLES = 2**48
"""Streams that declare no length declare a huge one."""
_MISSED_SECONDS = 0.1
"""Less than this at the end is no damage: encoders round."""
_LONGEST_OGG_PAGE_BYTES = 65307
_OGG_FLAGS_AT, _OGG_END = 5, 4


class Decoder:
    """An open audio file as mono blocks at its own rate, the mean of its channels.

    Where a file is cut short, libsndfile 1.2.2 was seen to read what comes before, and then: FLAC fails; WAV, AIFF and
    Ogg end, and declare what is left as their length, WAV and AIFF with a note in libsndfile's log; MP3 ends, and
    declares its whole length. All of them seek to the sample, also when they are cut.
    """

    def __init__(self, path: Path, file: soundfile.SoundFile) -> None:
        self.path = path
        self.sample_rate_hz: int = file.samplerate
        self._file = file
        self._read, self._error = 0, ""

    def seek(self, sample: int) -> None:
        """Have `blocks` go on from this sample of the file, counted at the file's own rate."""
        with _quiet(self.path):
            self._file.seek(sample)

    def blocks(self, samples: int | None = None) -> Iterator[Float32Array]:
        """float32[n] each: so many samples from here, or all; fewer where the file ends or is damaged."""
        while samples is None or samples > 0:
            wanted = _BLOCK_SAMPLES if samples is None else min(samples, _BLOCK_SAMPLES)
            try:
                with _quiet(self.path):
                    block = self._file.read(wanted, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                self._error = str(error)
                return
            if len(block) == 0:
                return
            self._read += len(block)
            samples = None if samples is None else samples - len(block)
            yield block.mean(axis=1, dtype=np.float64).astype(np.float32)

    def damage(self) -> str | None:
        """After all blocks from the start: what is missing, None if nothing is known to be."""
        read_s, declared_s = self._read / self.sample_rate_hz, self._file.frames / self.sample_rate_hz
        if self._file.frames < _UNKNOWN_SAMPLES and declared_s - read_s > _MISSED_SECONDS:
            return f"is damaged or cut short: {read_s:.1f} s of {declared_s:.1f} s can be read"
        reason = self._error or self._missing_end()
        return f"is damaged or cut short: {read_s:.1f} s can be read ({reason})" if reason else None

    def _missing_end(self) -> str:
        try:
            check_declared_size(self.path, self._file.extra_info)
        except ValueError:
            return "its header declares more"
        return "its end is missing" if self._file.format == "OGG" and not _ogg_ends(self.path) else ""


@contextmanager
def open_decoder(path: Path) -> Iterator[Decoder]:
    """A decoder of a file. Raises ValueError where nothing can be read; the message does not name the file."""
    try:
        if path.stat().st_size == 0:
            raise ValueError("is empty (0 bytes)")
        with _quiet(path):
            file = open_sound(path)
    except OSError as error:
        raise ValueError(f"cannot be read as audio: {error.strerror}") from None
    except soundfile.LibsndfileError as error:
        raise ValueError(f"cannot be read as audio: {error.error_string}") from None
    with file:
        if reason := wrong_rate(file.samplerate):
            raise ValueError(reason)
        yield Decoder(path, file)


def _quiet(path: Path) -> AbstractContextManager[None]:
    return quiet_stderr() if path.suffix.lower() == ".mp3" else nullcontext()


def _ogg_ends(path: Path) -> bool:
    """Whether the last Ogg page is marked as the stream's last (RFC 3533, section 6)."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LONGEST_OGG_PAGE_BYTES))
        tail = file.read()
    flags = tail[tail.rfind(b"OggS") + _OGG_FLAGS_AT :][:1]
    return bool(flags and flags[0] & _OGG_END)
