"""Rendering: labels that fit the audio, levels, rooms and equalisers that move no onset, soundfonts that are found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from melnet_music.composing.alignment import alignment_of, onset_errors_s
from melnet_music.composing.perform import PerformedNote
from melnet_music.composing.rendering import render
from melnet_music.composing.rendering.equaliser import Band, equalise
from melnet_music.composing.rendering.mixing import at_level, loudness_db
from melnet_music.composing.rendering.render import SAMPLE_RATE_HZ, Renderer, find_soundfonts, normalise
from melnet_music.composing.rendering.room import ROOM_KINDS, draw_room, impulse_response, reverberate
from melnet_music.composing.rendering.sound import PLAIN, draw_sound
from melnet_music.composing.score.ensembles import VOICES

ONSET_TOLERANCE_SECONDS = 0.010


def played(
    onset_s: float, end_s: float, pitch: int, velocity: int, channel: int = 0, program: int = 0
) -> PerformedNote:
    return PerformedNote(onset_s, end_s, end_s, pitch, velocity, channel, program)


@pytest.fixture(scope="module", params=[0, 1], ids=["MuseScore_General_Lite", "FluidR3Mono_GM"])
def renderer(request: pytest.FixtureRequest) -> Iterator[Renderer]:
    instruments = Renderer(find_soundfonts()[request.param])
    yield instruments
    instruments.close()


def isolated_notes(program: int, lowest: int, highest: int, step: int) -> list[PerformedNote]:
    return [
        played(onset := round(0.5 + 0.8013 * k, 4), onset + 0.3, pitch, (40, 70, 100)[k % 3], 0, program)
        for k, pitch in enumerate(range(lowest, highest + 1, step))
    ]


def test_piano_notes_start_where_their_labels_say(renderer: Renderer) -> None:
    notes = isolated_notes(0, 24, 100, 4)
    errors_s = onset_errors_s(notes, renderer.render(notes), SAMPLE_RATE_HZ)
    assert len(errors_s) >= 0.9 * len(notes)
    assert alignment_of(errors_s).percentile_95_ms < 1000 * ONSET_TOLERANCE_SECONDS
    assert np.abs(errors_s).max() < 1.5 * ONSET_TOLERANCE_SECONDS


def test_slow_instruments_are_struck_early_enough_to_be_on_time(renderer: Renderer) -> None:
    """What has no clear onset at all (pads, string sections) is left out; see the alignment of a whole set."""
    errors_s: list[float] = []
    for name in ("violin", "cello", "flute", "trumpet", "trombone", "alto sax", "nylon guitar", "recorder"):
        voice = VOICES[name]
        notes = isolated_notes(voice.program, voice.lowest, voice.highest, 9)
        errors_s += onset_errors_s(notes, renderer.render(notes, levels_db={0: 0.0}), SAMPLE_RATE_HZ)
    measured = alignment_of(errors_s)
    assert measured.notes >= 25
    assert measured.median_ms < 4.0
    assert measured.percentile_95_ms < 1000 * ONSET_TOLERANCE_SECONDS


def test_a_slow_instrument_sounds_each_time_it_repeats_a_note(renderer: Renderer) -> None:
    """It is struck earlier than written: before the note before was to end."""
    voice = VOICES["trombone"]
    notes = [played(0.5 + 0.3 * k, 0.799 + 0.3 * k, 48, 70, 0, voice.program) for k in range(6)]
    audio = renderer.render(notes, levels_db={0: 0.0})
    late_halves = [
        audio[round((n.onset_s + 0.15) * SAMPLE_RATE_HZ) : round(n.sounding_end_s * SAMPLE_RATE_HZ)] for n in notes
    ]
    energies = [float(np.mean(np.square(half))) for half in late_halves]
    assert min(energies) > 0.5 * max(energies)


def test_every_instrument_has_its_program(renderer: Renderer) -> None:
    for name, voice in VOICES.items():
        channel = 9 if name.endswith("kit") else 0
        pitch = 38 if channel == 9 else (voice.lowest + voice.highest) // 2
        audio = renderer.render([played(0.1, 0.4, pitch, 90, channel, voice.program)])
        assert np.abs(audio).max() > 0.01, name


def test_a_performance_sounds_the_same_whatever_was_rendered_before(renderer: Renderer) -> None:
    first, second = ([played(0.1, 0.9, 60, 80, 0, program)] for program in (0, 40))
    alone = renderer.render(first, levels_db={0: 0.0})
    renderer.render(second, levels_db={0: 0.0})
    np.testing.assert_array_equal(renderer.render(first, levels_db={0: 0.0}), alone)


def test_levels_balance_instruments_of_unequal_loudness(renderer: Renderer) -> None:
    """The part set 12 dB lower is measured so, whichever of the two it is."""
    notes = [played(0.1, 2.0, 45, 100, 0, 33), played(2.5, 4.5, 76, 30, 1, 73)]
    halves = slice(0, round(2.2 * SAMPLE_RATE_HZ)), slice(round(2.45 * SAMPLE_RATE_HZ), None)
    for wished in ({0: 0.0, 1: -12.0}, {0: -12.0, 1: 0.0}):
        audio = renderer.render(notes, levels_db=wished)
        first, second = (loudness_db(audio[half], SAMPLE_RATE_HZ) for half in halves)
        assert first - second == pytest.approx(wished[0] - wished[1], abs=1.5)


def test_a_work_is_as_loud_as_its_sound_says_and_never_clips(renderer: Renderer) -> None:
    for pitch, velocity in ((30, 20), (60, 120), (90, 60)):
        audio = renderer.render([played(0.1, 2.0, pitch, velocity)])
        level_db = 10 * np.log10(np.mean(np.square(audio, dtype=np.float64)))
        assert level_db <= PLAIN.level_dbfs + 0.01
        assert np.abs(audio).max() <= 0.95 + 1e-6
        assert level_db > PLAIN.level_dbfs - 0.1 or np.abs(audio).max() > 0.949


def test_tuning_moves_the_pitch(renderer: Renderer) -> None:
    def strongest_hz(tuning_hz: float) -> float:
        audio = renderer.render([played(0.0, 4.0, 69, 90)], replace(PLAIN, tuning_hz=tuning_hz))[: 4 * SAMPLE_RATE_HZ]
        spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
        near = slice(4 * 420, 4 * 460)
        return (near.start + int(np.argmax(spectrum[near]))) / 4

    assert strongest_hz(446.0) - strongest_hz(436.0) == pytest.approx(10.0, abs=1.0)


@pytest.mark.parametrize("kind", ROOM_KINDS)
def test_a_room_begins_with_the_direct_sound(kind: str) -> None:
    room = draw_room(np.random.default_rng(3), {kind: 1.0})
    pulse = np.zeros(4 * SAMPLE_RATE_HZ, dtype=np.float32)
    pulse[100] = 1.0
    heard = reverberate(pulse, room, SAMPLE_RATE_HZ)
    assert len(heard) == len(pulse)
    assert np.abs(heard[:100]).max() < 1e-6
    assert int(np.argmax(np.abs(heard))) == 100
    if not room.is_dry:
        response = impulse_response(room, SAMPLE_RATE_HZ)
        wet_db = 10 * np.log10(np.sum(np.square(response[1:])))
        assert wet_db == pytest.approx(room.wet_db, abs=0.2)
        half = len(response) // 2
        assert np.sum(np.square(response[half:])) < 0.05 * np.sum(np.square(response[1:half]))


@pytest.mark.parametrize("shape", ["low shelf", "peak", "high shelf"])
def test_a_band_has_its_gain_where_it_should_and_moves_nothing(shape: str) -> None:
    """A peak has it at its centre; a shelf has it at its end of the spectrum, half of it (in dB) at its corner."""
    pulse = np.zeros(SAMPLE_RATE_HZ, dtype=np.float32)
    pulse[50] = 1.0
    heard = equalise(pulse, [Band(shape, 1000.0, 4.0)], SAMPLE_RATE_HZ)  # type: ignore[arg-type]
    gain_db = 20 * np.log10(np.abs(np.fft.rfft(heard)))
    at_hz = {"low shelf": (20, 10000), "peak": (1000, 20), "high shelf": (10900, 20)}[shape]
    assert gain_db[at_hz[0]] == pytest.approx(4.0, abs=0.1)
    assert gain_db[at_hz[1]] == pytest.approx(0.0, abs=0.1)
    assert gain_db[1000] == pytest.approx(4.0 if shape == "peak" else 2.0, abs=0.1)
    assert np.abs(heard[:50]).max() == 0.0
    assert int(np.argmax(np.abs(heard))) == 50


def test_silence_stays_silence_at_any_level() -> None:
    silence = np.zeros(SAMPLE_RATE_HZ, dtype=np.float32)
    assert not at_level(silence, SAMPLE_RATE_HZ, 0.0).any()
    assert loudness_db(at_level(np.ones(1, np.float32) * 0, SAMPLE_RATE_HZ, 0.0), SAMPLE_RATE_HZ) == -np.inf


def test_normalise_leaves_headroom() -> None:
    audio = np.zeros(1000, dtype=np.float32)
    audio[10] = 0.1
    assert np.abs(normalise(audio, -3.0)).max() == pytest.approx(0.95)


def test_sounds_differ_from_work_to_work_and_are_drawn_again() -> None:
    sounds = [draw_sound(1, number, "music", ("a.sf3", "b.sf3"), 64.0) for number in range(60)]
    assert sounds == [draw_sound(1, number, "music", ("a.sf3", "b.sf3"), 64.0) for number in range(60)]
    assert {sound.soundfont for sound in sounds} == {"a.sf3", "b.sf3"}
    assert {sound.room.name for sound in sounds} == set(ROOM_KINDS)
    assert all(436.0 <= sound.tuning_hz <= 446.0 for sound in sounds)
    assert len({sound.tuning_hz for sound in sounds}) > 50


def test_a_file_that_is_no_soundfont_is_named(tmp_path: Path) -> None:
    (tmp_path / "piano.sf3").write_bytes(b"RIFF0000WAVE")
    with pytest.raises(ValueError, match="is not a soundfont"):
        find_soundfonts([tmp_path / "piano.sf3"])


def test_two_soundfonts_of_one_name_are_refused() -> None:
    font = find_soundfonts()[0]
    with pytest.raises(ValueError, match="two soundfonts of one name"):
        find_soundfonts([font, font])


def test_without_soundfonts_the_error_names_them_and_their_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "_SOUNDFONT_FOLDERS", (str(tmp_path / "sf3"),))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    with pytest.raises(ValueError, match="missing soundfonts") as error:
        find_soundfonts()
    for expected in (
        *render.DEFAULT_SOUNDFONTS,
        *render.DEFAULT_SOUNDFONTS.values(),
        str(tmp_path / "sf3"),
        str(tmp_path / "home" / "soundfonts"),
    ):
        assert expected in str(error.value)


def test_without_fluidsynth_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fluidsynth", None)
    with pytest.raises(ValueError, match=r"pip install 'melnet-music\[data\]'.*libfluidsynth3"):
        Renderer(find_soundfonts()[0])
