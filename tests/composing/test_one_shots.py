"""Folders of one-shots: cut from soundfonts and recordings, and read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_sounds import PITCHES, RATE_HZ, VELOCITIES, sine, write_one_shots, write_sounds

from bridge.cli.main import main
from melnet_music.composing import make_sounds as cutting
from melnet_music.composing.make_sounds import cut_out, make_sounds
from melnet_music.composing.rendering.one_shots import read_instrument, read_sounds
from melnet_music.composing.rendering.render import find_soundfonts


def test_the_nearest_one_shot_plays_a_note(tmp_path: Path) -> None:
    instrument = read_instrument(write_one_shots(tmp_path / "piano"))
    assert len(instrument.lengths) == len(PITCHES) * len(VELOCITIES)
    for pitch, velocity, nearest in ((48, 40, 0), (20, 1, 0), (53, 90, 1), (61, 60, 2), (127, 127, 5)):
        number = instrument.shot[pitch, velocity]
        assert number == nearest
        assert instrument.semitones[pitch] == pitch - PITCHES[nearest // 2]
        own = instrument.samples[instrument.starts[number] :][: instrument.lengths[number]]
        recorded = sine(PITCHES[nearest // 2], VELOCITIES[nearest % 2])
        assert np.allclose(own / own[0], recorded / recorded[0], atol=1e-4)
    assert instrument.gain[60, VELOCITIES[1]] == 1.0


def test_one_shots_at_another_rate_are_resampled(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "60_100.wav", np.stack([sine(60, 100)] * 2, 1)[::2], RATE_HZ // 2)
    assert read_instrument(tmp_path).lengths[0] == pytest.approx(len(sine(60, 100)), abs=2)


def test_what_is_no_folder_of_sounds_is_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no folder .*nowhere: give one that make-sounds has made"):
        read_sounds(tmp_path / "nowhere", "piano")
    with pytest.raises(ValueError, match=r"no one-shots in .*: looked for pianos/\*/.*make-sounds .* --kind piano"):
        read_sounds(tmp_path, "piano")
    (tmp_path / "pianos/empty").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"no one-shots in .*empty: looked for <pitch>_<velocity>"):
        read_sounds(tmp_path, "piano")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "60_100.ogg",
            b"OggS, and then nothing of the kind",
            r"60_100\.ogg cannot be read .*: have make-sounds cut it",
        ),
        ("C4_100.ogg", b"", r"C4_100\.ogg is no one-shot: expected <pitch>_<velocity>, 0_1 to 127_127"),
        ("60_200.ogg", b"", r"60_200\.ogg is no one-shot"),
    ],
)
def test_a_damaged_or_misnamed_one_shot_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_instrument(tmp_path)


def test_a_changed_one_shot_changes_the_digest(tmp_path: Path) -> None:
    write_sounds(tmp_path)
    before = read_sounds(tmp_path, "piano")
    assert before.names == ("bright", "dark")
    soundfile.write(tmp_path / "pianos/dark/60_40.flac", sine(60, 41), RATE_HZ)
    after = read_sounds(tmp_path, "piano")
    assert after.digests["bright"] == before.digests["bright"]
    assert after.digests["dark"] != before.digests["dark"]


# ---- cutting ----


def test_a_one_shot_begins_at_its_onset_and_ends_in_silence() -> None:
    shot = sine(60, 100)
    cut = cut_out(np.concatenate([np.zeros(3000, np.float32), shot, np.zeros(5000, np.float32)]))
    onset = int(np.argmax(np.abs(cut) > 0.5 * shot[0]))
    assert onset == round(0.001 * RATE_HZ)
    assert len(cut) == pytest.approx(len(shot) + onset, abs=60)
    assert np.allclose(cut[onset : onset + 10000], shot[:10000])
    assert abs(cut[-1]) < 1e-6
    assert len(cut_out(np.zeros(1000, np.float32))) == 0


def test_pianos_are_cut_from_soundfonts_and_from_the_salamander(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cutting, "_PIANO_PITCHES", (45, 69))
    monkeypatch.setattr(cutting, "_PIANO_VELOCITIES", (80,))
    monkeypatch.setattr(cutting, "_PIANO_SECONDS", 0.5)
    salamander, out = tmp_path / "recorded", tmp_path / "sounds"
    salamander.mkdir()
    stereo = np.stack([sine(63, 90)] * 2, 1)
    soundfile.write(salamander / "D#4v12.ogg", stereo, RATE_HZ, format="OGG", subtype="VORBIS")
    (salamander / "harmLA0.ogg").write_bytes(b"another noise of the piano")
    font = find_soundfonts()[1]
    arguments = ["make-sounds", str(out), "--soundfont", str(font), "--salamander", str(salamander)]
    assert main(arguments) == 0
    assert "5 one-shots of 3 instruments" in capsys.readouterr().out
    assert "Alexander Holm, licence CC BY 3.0" in (out / "pianos/salamander/source.txt").read_text()
    assert "licence MIT" in (out / "pianos/FluidR3Mono_GM-grand/source.txt").read_text()
    found = read_sounds(out, "piano")
    assert found.names == ("FluidR3Mono_GM-bright", "FluidR3Mono_GM-grand", "salamander")
    assert [path.stem for path in (out / "pianos/salamander").glob("*.ogg")] == ["63_92"]
    grand = found.instruments["FluidR3Mono_GM-grand"]
    second = grand.samples[grand.starts[1] :][: RATE_HZ // 4]
    heard_hz = np.argmax(np.abs(np.fft.rfft(second * np.hanning(len(second)), RATE_HZ)))
    assert heard_hz == pytest.approx(440, abs=3)


def test_every_voice_and_drum_of_the_ensembles_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voices = {name: cutting.VOICES[name] for name in ("violin", "jazz kit")}
    monkeypatch.setattr(cutting, "VOICES", voices)
    monkeypatch.setattr(cutting, "_VOICE_SECONDS", 0.2)
    monkeypatch.setattr(cutting, "_DRUM_SECONDS", 0.2)
    make_sounds(tmp_path, kind="music", soundfonts=[find_soundfonts()[1]])
    found = read_sounds(tmp_path, "music")
    assert set(found.instruments) == {"40", "160"}
    assert {int(path.stem.split("_")[0]) for path in (tmp_path / "voices/160").glob("*.ogg")} == set(cutting.KEYS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kind", "banjo"], "unknown kind of music 'banjo': expected one of piano, music"),
        (["--salamander", "nowhere"], "no folder nowhere: give one with the Ogg files of the Salamander Grand Piano"),
        (["--salamander", "empty"], "no one-shots in empty: looked for names of note and layer, such as D#4v12.ogg"),
        (["--salamander", "damaged"], "damaged/A0v1.ogg cannot be read"),
        (["--soundfont", "missing.sf3"], "no soundfont at missing.sf3"),
        (["--kind", "music", "--salamander", "empty"], "the Salamander piano is for --kind piano"),
    ],
)
def test_what_cannot_be_cut_is_told_in_a_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("damaged").mkdir()
    Path("damaged/A0v1.ogg").write_bytes(b"nothing of the kind")
    assert main(["make-sounds", "out", *arguments]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("melnet-music")]
    assert len(errors) == 1
    assert errors[0].startswith(f"melnet-music make-sounds: {message}")
