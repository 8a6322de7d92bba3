"""Whole files through the command line, with the shipped preset or, where it does not matter, a narrow one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from bridge.cli.main import main
from melnet_music.instrument.joins import CROSSFADE_SECONDS
from melnet_music.model.config import read_preset_config
from melnet_music.model.preset import CONFIG_FILE, PHRASE_FILE, find_preset
from melnet_music.notes.midi_file import write_midi_notes
from melnet_music.notes.note_map import Note
from melnet_music.sound.audio_file import read_audio
from melnet_music.sound.resample import resample

Samples = npt.NDArray[np.float64]
CONFIG = read_preset_config(find_preset("piano") / CONFIG_FILE)
RATE_HZ = CONFIG.sound.sample_rate_hz
UNPLANNED = ["--no-plan"]
"""The piano itself plans: of that are other tests."""


@pytest.fixture(scope="module")
def phrase() -> npt.NDArray[np.float32]:
    return read_audio(find_preset("piano") / PHRASE_FILE).mono_at(RATE_HZ)[: 2 * RATE_HZ]


def written(path: Path, phrase: npt.NDArray[np.float32], rate: int, channels: int, subtype: str) -> Path:
    mono = resample(phrase, RATE_HZ, rate)
    gains = np.linspace(1.0, 0.5, channels)
    soundfile.write(path, 0.9 * mono[:, None] * gains, rate, subtype=subtype)
    return path


def samples(path: Path) -> Samples:
    return soundfile.read(path, always_2d=True)[0]  # type: ignore[no-any-return]


def steps_around(audio: Samples, place: int, rate: int) -> float:
    """Largest step from sample to sample within 20 ms of a place."""
    reach = round(0.02 * rate)
    return float(np.abs(np.diff(audio[max(place - reach, 0) : place + reach], axis=0)).max())


FORMATS = [(22050, 1, "PCM_16"), (44100, 2, "PCM_24"), (96000, 1, "FLOAT"), (22050, 1, "PCM_U8")]


@pytest.mark.parametrize(("rate", "channels", "subtype"), FORMATS)
def test_continue_keeps_the_input_and_joins_without_a_click(
    tmp_path: Path, narrow_piano: Path, phrase: npt.NDArray[np.float32], rate: int, channels: int, subtype: str
) -> None:
    source = written(tmp_path / "in.wav", phrase, rate, channels, subtype)
    target = tmp_path / "out.wav"
    preset = "piano" if subtype == "PCM_16" else str(narrow_piano)
    options = ["--preset", preset, "--seconds", "0.4", "--seed", "7", "--json", *UNPLANNED]
    assert main(["continue", str(source), str(target), *options]) == 0
    before, after = samples(source), samples(target)
    assert soundfile.info(target).subtype == subtype
    assert after.shape == (len(before) + round(0.4 * rate), channels)
    kept = len(before) - round(CROSSFADE_SECONDS * rate)
    assert np.array_equal(after[:kept], before[:kept])
    apart = len(before) + round(0.02 * rate)
    # no step at the join is larger than those that either sound has on its own; a little more, as the new sound's
    # first moments lie there too
    largest = 1.2 * max(np.abs(np.diff(sound, axis=0)).max() for sound in (before, after[apart:]))
    if subtype != "PCM_U8":  # the noise of 8 bits may end with a tick: docs/measured.md
        assert steps_around(after, len(before), rate) <= largest
    assert steps_around(after, kept, rate) <= largest


def test_the_same_seed_writes_the_same_bytes(
    tmp_path: Path, narrow_piano: Path, phrase: npt.NDArray[np.float32]
) -> None:
    source = written(tmp_path / "in.wav", phrase, 22050, 1, "PCM_16")
    written_bytes = {}
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        target = tmp_path / f"{name}.wav"
        arguments = ["--preset", str(narrow_piano), "--seconds", "0.3", "--seed", str(seed), "--json"]
        assert main(["continue", str(source), str(target), *arguments]) == 0
        written_bytes[name] = target.read_bytes()
    assert written_bytes["a"] == written_bytes["b"]
    assert written_bytes["a"] != written_bytes["c"]


@pytest.mark.parametrize(("rate", "channels", "subtype"), FORMATS[:2])
def test_inpaint_touches_only_the_part_and_its_crossfades(
    tmp_path: Path, narrow_piano: Path, phrase: npt.NDArray[np.float32], rate: int, channels: int, subtype: str
) -> None:
    source = written(tmp_path / "in.wav", phrase, rate, channels, subtype)
    target = tmp_path / "out.wav"
    preset = "piano" if subtype == "PCM_16" else str(narrow_piano)
    options = ["--preset", preset, "--start", "1", "--stop", "1.5", "--seed", "7", "--json", *UNPLANNED]
    assert main(["inpaint", str(source), str(target), *options]) == 0
    before, after = samples(source), samples(target)
    start, stop, fade = rate, round(1.5 * rate), round(CROSSFADE_SECONDS * rate)
    assert after.shape == before.shape
    assert np.array_equal(after[: start - fade], before[: start - fade])
    assert np.array_equal(after[stop + fade :], before[stop + fade :])
    assert not np.array_equal(after[start:stop], before[start:stop])
    largest = np.abs(np.diff(before, axis=0)).max()
    assert steps_around(after, start, rate) <= largest
    assert steps_around(after, stop, rate) <= largest


def test_generate_writes_as_much_as_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.flac"
    assert main(["generate", str(target), "--seconds", "0.3", "--seed", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["seed"], told["preset"], told["seconds"]) == (3, "piano", pytest.approx(0.3, abs=1e-4))
    assert len(samples(target)) == round(0.3 * RATE_HZ)


def test_names_need_not_be_utf8(tmp_path: Path, narrow_piano: Path, phrase: npt.NDArray[np.float32]) -> None:
    """Nor must what the terminal shows be: a name comes out as the bytes that it is."""
    source = written(tmp_path / "in.wav", phrase, 22050, 1, "PCM_16")
    folder = tmp_path / os.fsdecode(b"na\xefve")
    folder.mkdir()
    source = source.rename(folder / os.fsdecode(b"caf\xe9.wav"))
    targets = [folder / os.fsdecode(b"\xff%d.flac" % number) for number in range(3)]
    commands = (
        ("continue", source, targets[0], "--seconds", "0.3"),
        ("inpaint", source, targets[1], "--start", "1", "--stop", "1.2"),
        ("generate", targets[2], "--seconds", "0.3"),
    )
    one_by_one = "import json, sys; from bridge.cli.main import main; sys.exit(any(map(main, json.loads(sys.argv[1]))))"
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            one_by_one,
            json.dumps([[*map(str, c), "--preset", str(narrow_piano)] for c in commands]),
        ],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        check=True,
    )
    for target, told in zip(targets, result.stdout.splitlines(), strict=True):
        assert told.startswith(os.fsencode(target) + b": ")
        assert len(read_audio(target).samples) > 0


BAD_INPUTS = {
    "missing.wav": (None, "no audio file at"),
    "empty.wav": (b"", "is empty"),
    "text.wav": (b"hello " * 200, "cannot be read as audio"),
    "slow.wav": (100, "declares a sample rate of 100 Hz, expected 1000 to 1000000 Hz"),
    "short.wav": (np.full(2000, 0.1), "has 0.091 s, want 0.5 s or more"),
    "silent.wav": (np.zeros(30000), "is silent"),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
@pytest.mark.parametrize("command", ["continue", "inpaint"])
def test_a_bad_input_is_one_clear_line(
    tmp_path: Path, narrow_piano: Path, name: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content, message = BAD_INPUTS[name]
    path, target = tmp_path / name, tmp_path / "out.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, int):
        soundfile.write(path, np.full(30000, 0.1), content)
    elif content is not None:
        soundfile.write(path, content, 22050)
    more = ["--start", "0.01", "--stop", "0.02"] if command == "inpaint" else []
    assert main([command, str(path), str(target), "--preset", str(narrow_piano), *more]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1]
    assert not any("Traceback" in line for line in said)
    assert not target.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seconds", "0"], "seconds is 0"),
        (["--seed", "-1"], "seed is -1"),
        (["--preset", "pianoo"], "one of music, paper-maestro, piano"),
        (["--preset", "paper-maestro"], "train it first"),
        (["--engine", "warp"], "there are: cpu, cpu-bf16, reference"),
        (["--chunk-frames", "5"], f"multiple of {2 ** CONFIG.model.splits.count('time')}"),
    ],
)
def test_a_bad_argument_is_one_clear_line(
    tmp_path: Path,
    narrow_piano: Path,
    phrase: npt.NDArray[np.float32],
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = written(tmp_path / "in.wav", phrase, 22050, 1, "PCM_16")
    preset = ["--preset", str(narrow_piano)]
    assert main(["continue", str(source), str(tmp_path / "out.wav"), *preset, *arguments]) == 2
    assert message in capsys.readouterr().err


SONG = (Note(0.1, 0.5, 60, 90), Note(0.3, 0.7, 67, 80))


def test_a_midi_file_is_played(tmp_path: Path, narrow_piano: Path, capsys: pytest.CaptureFixture[str]) -> None:
    song, target = tmp_path / "song.mid", tmp_path / "out.wav"
    write_midi_notes(song, SONG)
    takes = []
    for more in (["--notes", str(song)], ["--seconds", "0.7"]):
        assert main(["generate", str(target), "--preset", str(narrow_piano), "--seed", "3", "--json", *more]) == 0
        assert json.loads(capsys.readouterr().out)["seconds"] == pytest.approx(0.7, abs=1e-3)  # the song's length
        takes.append(target.read_bytes())
    assert takes[0] != takes[1]
    more = ["--preset", str(narrow_piano), "--seconds", "0.4", "--notes", str(song), "--json"]
    assert main(["generate", str(target), *more]) == 0
    assert json.loads(capsys.readouterr().out)["seconds"] == pytest.approx(0.4, abs=1e-3)


def test_a_midi_phrase_is_voiced_and_continued(
    tmp_path: Path, narrow_piano: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phrase, target = tmp_path / "phrase.mid", tmp_path / "out.wav"
    write_midi_notes(phrase, SONG)
    lengths = {"a": ["--seconds", "0.4"], "b": ["--seconds", "0.8"], "c": ["--notes", str(phrase)]}
    takes = {}
    for name, more in lengths.items():
        preset = ["--preset", str(narrow_piano), "--seed", "3", "--json"]
        assert main(["continue", str(phrase), str(target), *preset, *more]) == 0
        assert json.loads(capsys.readouterr().out)["joins_s"] == [pytest.approx(0.7, abs=1e-3)]
        takes[name] = samples(target)
    assert [round(len(take) / RATE_HZ, 3) for take in takes.values()] == [1.1, 1.5, 1.4]
    phrase = round(0.6 * RATE_HZ)
    assert np.abs(takes["a"][:phrase]).max() > 1e-3
    assert np.array_equal(takes["a"][:phrase], takes["b"][:phrase])
    assert not np.array_equal(takes["a"][-4000:], takes["c"][len(takes["a"]) - 4000 : len(takes["a"])])


@pytest.mark.parametrize("content", [None, b"", b"no music", "drums"], ids=["missing", "empty", "text", "drums"])
def test_a_midi_file_without_notes_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | str | None
) -> None:
    song, target = tmp_path / "song.mid", tmp_path / "out.wav"
    if content == "drums":
        write_midi_notes(song, SONG)
        song.write_bytes(song.read_bytes().replace(b"\x90", b"\x99"))
    elif isinstance(content, bytes):
        song.write_bytes(content)
    for arguments in (["generate", str(target), "--notes", str(song)], ["continue", str(song), str(target)]):
        assert main(arguments) == 2
        said = capsys.readouterr().err
        assert "song.mid" in said
        assert "Traceback" not in said
        assert not target.exists()
