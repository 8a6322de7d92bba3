from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from chords import chords
from numpy.typing import NDArray

from melnet_music.sound.audio_file import AudioClip, read_audio, write_audio


def noise(channels: int = 2, samples: int = 3000) -> NDArray[np.float64]:
    return np.random.default_rng(0).uniform(-1, 0.999, (samples, channels))


def clip(samples: NDArray[np.float32] | None = None) -> AudioClip:
    return AudioClip(noise(1).astype(np.float32) if samples is None else samples, 22050)


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [
        ("wav", "PCM_U8"),
        ("wav", "PCM_16"),
        ("wav", "PCM_24"),
        ("wav", "PCM_32"),
        ("wav", "FLOAT"),
        ("wav", "DOUBLE"),
        ("wav", "ULAW"),
        ("flac", "PCM_16"),
        ("flac", "PCM_24"),
        ("aiff", "PCM_S8"),
        ("aiff", "PCM_24"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_written_back_it_is_the_same(tmp_path: Path, suffix: str, subtype: str, channels: int) -> None:
    first, second = tmp_path / f"first.{suffix}", tmp_path / f"second.{suffix}"
    soundfile.write(first, noise(channels), 44100, subtype=subtype)
    read = read_audio(first)
    write_audio(second, read)
    assert (read.sample_rate_hz, read.channels, read.subtype) == (44100, channels, subtype)
    again = soundfile.info(second)
    assert (again.samplerate, again.channels, again.subtype) == (44100, channels, subtype)
    np.testing.assert_array_equal(soundfile.read(second, dtype="float64")[0], soundfile.read(first, dtype="float64")[0])


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_lossy_files_are_read_and_written(tmp_path: Path, suffix: str) -> None:
    music = chords(1.0, 44100)
    write_audio(tmp_path / f"a.{suffix}", AudioClip(music[:, None], 44100))
    read = read_audio(tmp_path / f"a.{suffix}").samples[:, 0]
    # Measured: 0.048 of the music's RMS for Vorbis, 0.031 for MP3.
    assert np.sqrt(np.mean((read - music) ** 2)) < 0.1 * np.sqrt(np.mean(music**2))


def test_the_suffix_decides_and_an_unfit_sample_format_is_replaced(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.FLAC", replace(clip(), subtype="FLOAT"))
    assert soundfile.info(tmp_path / "a.FLAC").subtype == "PCM_16"


def test_samples_are_rounded_to_the_nearest_step(tmp_path: Path) -> None:
    steps = np.array([[0.4], [0.6], [-0.4], [-0.6], [100.49]]) / 32768
    write_audio(tmp_path / "a.wav", AudioClip(steps, 22050, "PCM_16"))
    written = soundfile.read(tmp_path / "a.wav", dtype="int16")[0]
    np.testing.assert_array_equal(written, [0, 1, 0, -1, 100])


def test_too_loud_is_clipped_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        write_audio(tmp_path / "a.wav", clip(np.array([[2.0], [-2.0], [0.5]], np.float32)))
    written = soundfile.read(tmp_path / "a.wav", dtype="int16")[0]
    np.testing.assert_array_equal(written, [32767, -32768, 16384])
    assert "2 samples beyond full scale" in caplog.text


def test_mono_at_another_rate(tmp_path: Path) -> None:
    music = chords(1.0, 44100)
    stereo = AudioClip(np.stack([music * 1.5, music * 0.5], axis=1), 44100)
    mono = stereo.mono_at(22050)
    assert (mono.dtype, mono.shape) == (np.float32, (22050,))
    np.testing.assert_allclose(mono[1000:-1000], music[2000:-2000:2], atol=2e-3)  # measured: 3.6e-4


def test_a_name_need_not_be_utf8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"na\xefve")
    folder.mkdir()
    for suffix in ("wav", "flac", "ogg", "mp3", "aiff"):
        path = folder / os.fsdecode(f"caf\xe9.{suffix}".encode("latin-1"))
        write_audio(path, clip())
        assert read_audio(path).sample_rate_hz == 22050
        path.write_bytes(b"no music")
        with pytest.raises(ValueError, match=rf"\.{suffix} cannot be read as audio: "):
            read_audio(path)


def test_peak_tells_silence() -> None:
    assert clip(np.zeros((10, 1), np.float32)).peak == 0
    assert clip(np.array([[0.25], [-0.5]], np.float32)).peak == 0.5


def bad_files(folder: Path) -> dict[str, Path]:
    good = folder / "good.wav"
    soundfile.write(good, noise(), 44100)
    files = {
        name: folder / name
        for name in ("missing.wav", "folder.wav", "empty.wav", "text.wav", "cut.wav", "cut.flac", "cut.aiff")
    }
    files |= {
        name: folder / name for name in ("cut.mp3", "no_samples.wav", "nan.wav", "inf.wav", "header.wav", "slow.wav")
    }
    files["folder.wav"].mkdir()
    files["empty.wav"].touch()
    files["text.wav"].write_text("these are no samples\n" * 50)
    for name in ("cut.wav", "cut.flac", "cut.aiff", "cut.mp3"):
        soundfile.write(files[name], noise(samples=30000), 44100)
        files[name].write_bytes(files[name].read_bytes()[: files[name].stat().st_size // 2])
    soundfile.write(files["no_samples.wav"], np.zeros((0, 1)), 44100)
    for name, value in (("nan.wav", np.nan), ("inf.wav", np.inf)):
        samples = noise()
        samples[441, 1] = value
        soundfile.write(files[name], samples, 44100, subtype="FLOAT")
    files["header.wav"].write_bytes(good.read_bytes()[:30])
    soundfile.write(files["slow.wav"], noise(), 100)
    return files


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.wav", "no audio file"),
        ("folder.wav", "is a folder"),
        ("empty.wav", "is empty"),
        ("text.wav", "cannot be read"),
        ("cut.wav", "cut short"),
        ("cut.flac", "cannot be read"),
        ("cut.aiff", "cut short"),
        ("cut.mp3", "cut short"),
        ("no_samples.wav", "holds no samples"),
        ("nan.wav", "NaN or infinite, the first at 0.010 s"),
        ("inf.wav", "NaN or infinite"),
        ("header.wav", "cannot be read"),
        ("slow.wav", "sample rate of 100 Hz, expected 1000 to 1000000 Hz"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, name: str, message: str) -> None:
    path = bad_files(tmp_path)[name]
    with pytest.raises(ValueError, match=message) as error:
        read_audio(path)
    assert name in str(error.value)


def test_a_streamed_wav_of_unknown_length_is_read(tmp_path: Path) -> None:
    path = tmp_path / "piped.wav"
    soundfile.write(path, noise(), 44100, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    size = data.index(b"data") + 4
    data[4:8] = data[size : size + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert len(read_audio(path).samples) == 3000


@pytest.mark.parametrize(
    ("name", "samples", "message"),
    [
        ("a.xyz", None, "unknown suffix"),
        ("nowhere/a.wav", None, "no such folder"),
        ("a.wav", np.full((3, 1), np.nan, np.float32), "must be finite"),
        ("a.wav", np.zeros(3, np.float32), "must be finite and"),
        ("a.flac", np.zeros((3, 20), np.float32), "cannot write"),
    ],
)
def test_bad_writes_are_refused_and_leave_nothing(
    tmp_path: Path, name: str, samples: NDArray[np.float32] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_audio(tmp_path / name, clip(samples))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_what_was_there(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.flac", clip())
    before = (tmp_path / "a.flac").read_bytes()
    with pytest.raises(ValueError, match="cannot write"):
        write_audio(tmp_path / "a.flac", clip(np.zeros((3, 20), np.float32)))
    assert (tmp_path / "a.flac").read_bytes() == before
