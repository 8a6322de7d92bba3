"""Works rendered from one-shots: where notes lie, how high and how loud they are, and the same audio every time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_sounds import RATE_HZ, VELOCITIES, sine, write_sounds

from melnet_music.composing.perform import PerformedNote
from melnet_music.composing.rendering.device_render import DeviceRenderer, loudness_db, play, resampled
from melnet_music.composing.rendering.equaliser import Band, equalise
from melnet_music.composing.rendering.mixing import loudness_db as measured_loudness_db
from melnet_music.composing.rendering.one_shots import VOICES, Instrument, Sounds, instrument_of, read_sounds
from melnet_music.composing.rendering.room import Room, reverberate
from melnet_music.composing.rendering.sound import PLAIN, Sound

CPU = torch.device("cpu")
DEVICES = [CPU, *([torch.device("cuda")] if torch.cuda.is_available() else [])]
BRIGHT = replace(PLAIN, soundfont="bright")


def note(onset_s: float, pitch: int = 60, velocity: int = 100, seconds: float = 0.3, **others: int) -> PerformedNote:
    end_s = onset_s + seconds
    return PerformedNote(onset_s, end_s, end_s, pitch, velocity, **{"channel": 0, "program": 0, **others})


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sounds(tmp_path_factory.mktemp("sounds"))


@pytest.fixture(scope="module")
def pianos(sounds: Path) -> Sounds:
    return read_sounds(sounds, "piano")


def dry(instrument: Instrument, *notes: PerformedNote, tuning_hz: float = 440.0) -> np.ndarray[tuple[int], np.dtype]:
    """One second of them."""
    return play(instrument, torch.from_numpy(instrument.samples), notes, tuning_hz, RATE_HZ).numpy()


@pytest.fixture(scope="module")
def piano(pianos: Sounds) -> Instrument:
    return pianos.instruments["bright"]


# ---- one note ----


def test_a_recorded_note_sounds_as_it_was_recorded_from_its_onset_on(piano: Instrument) -> None:
    audio = dry(piano, note(0.25, seconds=0.5))
    recorded = sine(60, 100, decay_s=0.3)[: round(0.5 * RATE_HZ)]
    start = RATE_HZ // 4
    assert not audio[:start].any()
    scale = float(audio[start] / recorded[0])
    assert np.allclose(audio[start : start + len(recorded)], scale * recorded, atol=1e-5)


def test_a_note_between_two_samples_is_read_between_the_samples(piano: Instrument) -> None:
    on, between = dry(piano, note(1000 / RATE_HZ)), dry(piano, note(1000.25 / RATE_HZ))
    assert not between[:1001].any()
    # read at 0.75, 1.75, ... of the one-shot
    expected = 0.25 * on[1000:9000] + 0.75 * on[1001:9001]
    assert np.allclose(between[1001:9001], expected, atol=1e-6)


@pytest.mark.parametrize(("pitch", "tuning_hz"), [(60, 440.0), (62, 440.0), (57, 440.0), (60, 446.0), (75, 436.0)])
def test_the_pitch_is_that_of_the_note_and_of_the_tuning(piano: Instrument, pitch: int, tuning_hz: float) -> None:
    audio = dry(piano, note(0.0, pitch, seconds=0.8), tuning_hz=tuning_hz)[: RATE_HZ // 2]
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 8 * RATE_HZ))
    heard_hz = np.argmax(spectrum) / 8
    assert heard_hz == pytest.approx(tuning_hz * 2 ** ((pitch - 69) / 12), rel=1e-3)


def test_loudness_follows_the_levels_of_the_recorded_velocities(piano: Instrument) -> None:
    levels_db = [
        20 * np.log10(np.abs(dry(piano, note(0.0, velocity=velocity))).max()) for velocity in (20, 40, 55, 70, 100, 120)
    ]
    soft, loud = (20 * np.log10(velocity) for velocity in VELOCITIES)
    between = [soft + (loud - soft) * (velocity - 40) / 60 for velocity in (40, 55, 70, 100)]
    expected = [soft - 5, *between, loud + 5]  # a quarter of a dB a velocity beyond
    assert np.allclose(np.array(levels_db) - levels_db[4], np.array(expected) - loud, atol=0.01)


def test_a_note_falls_off_after_its_end_and_high_strings_ring_on() -> None:
    steady = {(pitch, 100): np.full(2 * RATE_HZ, 0.1, np.float32) for pitch in (60, 95)}
    instrument = instrument_of(steady)
    for pitch, fall_s in ((60, 0.08), (95, 0.5)):
        audio = dry(instrument, note(0.0, pitch, seconds=0.2))
        assert np.allclose(audio[: round(0.2 * RATE_HZ)], audio[0])
        assert audio[round((0.2 + fall_s) * RATE_HZ)] == pytest.approx(audio[0] / np.e, rel=1e-3)
    # only a piano's strings do
    audio = dry(instrument, note(0.0, 95, seconds=0.2, program=40))
    assert audio[round(0.28 * RATE_HZ)] == pytest.approx(audio[0] / np.e, rel=1e-3)
    drum = dry(instrument, note(0.0, 60, seconds=0.05, channel=9), tuning_hz=450.0)
    assert np.allclose(drum, drum[0])


def test_notes_add_up_whatever_their_order(piano: Instrument) -> None:
    notes = [note(0.1 * number, 50 + number, 40 + 6 * number) for number in range(8)]
    together = dry(piano, *notes)
    assert np.array_equal(together, dry(piano, *reversed(notes)))
    assert np.allclose(together, sum(dry(piano, each) for each in notes), atol=1e-6)


def test_notes_are_played_where_the_samples_are(piano: Instrument) -> None:
    """On torch's meta device, which has no values to fetch, and refuses to be mixed with the CPU's tensors."""
    samples = torch.from_numpy(piano.samples).to("meta")
    audio = play(piano, samples, [note(0.1 * number) for number in range(4)], 441.0, RATE_HZ)
    assert audio.device == resampled(audio, RATE_HZ, 22050).device == torch.device("meta")


# ---- a work ----

COLOURED = Sound(
    "dark",
    441.0,
    (Band("low shelf", 120.0, 3.0), Band("peak", 900.0, -4.0, 0.8), Band("high shelf", 5000.0, -3.0)),
    Room("chamber", 0.8, -6.0, 0.012, 5),
    -23.0,
    -70.0,
    7,
)


def test_equaliser_and_room_are_those_of_a_soundfonts_rendering(pianos: Sounds) -> None:
    notes = [note(0.2 + 0.15 * number, 48 + 2 * number) for number in range(10)]
    renderer = DeviceRenderer(pianos, CPU)
    plain = renderer.render(notes, replace(PLAIN, soundfont="dark", tuning_hz=441.0)).numpy()
    coloured = renderer.render(notes, replace(COLOURED, noise_dbfs=-200.0)).numpy()
    expected = reverberate(equalise(plain, COLOURED.bands, RATE_HZ), COLOURED.room, RATE_HZ)
    expected *= np.sqrt(np.mean(coloured**2) / np.mean(expected**2))
    faded = round(0.06 * RATE_HZ)
    assert np.abs(coloured - expected)[:-faded].max() < 1e-3 * np.abs(expected).max()


def test_level_and_noise_are_those_of_the_sound(pianos: Sounds) -> None:
    audio = DeviceRenderer(pianos, CPU).render([note(0.5)], COLOURED).numpy()
    assert 20 * np.log10(np.sqrt(np.mean(audio**2))) == pytest.approx(-23.0, abs=0.1)
    assert 20 * np.log10(audio[: RATE_HZ // 4].std()) == pytest.approx(-70.0, abs=0.2)


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_the_same_work_and_sound_give_the_same_audio(pianos: Sounds, device: torch.device) -> None:
    notes = [note(0.1 * number, 50 + number) for number in range(8)]
    first, again = (DeviceRenderer(pianos, device).render(notes, COLOURED).cpu() for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, DeviceRenderer(pianos, device).render(notes, replace(COLOURED, noise_seed=8)).cpu())
    here = DeviceRenderer(pianos, CPU).render(notes, replace(COLOURED, noise_dbfs=-200.0))
    there = DeviceRenderer(pianos, device).render(notes, replace(COLOURED, noise_dbfs=-200.0)).cpu()
    assert torch.allclose(here, there, atol=1e-4)


def test_every_instrument_is_at_the_level_asked(sounds: Path) -> None:
    voices = read_sounds(sounds, "music")
    parts = {
        channel: [
            note(0.3 * number, 60, 50 + 20 * (number % 3), channel=channel, program=program) for number in range(6)
        ]
        for channel, program in ((0, 0), (1, 40), (9, 0))
    }
    levels_db = {0: -20.0, 1: -26.0, 9: -31.0}
    renderer = DeviceRenderer(voices, CPU)
    sound = replace(PLAIN, soundfont=VOICES)
    whole = renderer.render([each for part in parts.values() for each in part], sound, levels_db).numpy()
    alone = {channel: renderer.render(part, sound, levels_db).numpy()[: len(whole)] for channel, part in parts.items()}
    # each alone comes out at the level of the whole work: their shares of it tell how loud they are in it
    shares = np.linalg.lstsq(np.stack(list(alone.values()), 1), whole, rcond=None)[0]
    heard_db = [
        measured_loudness_db((share * audio).astype(np.float32), RATE_HZ)
        for share, audio in zip(shares, alone.values(), strict=True)
    ]
    assert np.allclose(np.array(heard_db) - heard_db[0], np.array(list(levels_db.values())) + 20.0, atol=0.1)


def test_loudness_is_measured_as_for_soundfonts() -> None:
    random = np.random.default_rng(0)
    audio = (np.repeat([0.01, 0.1, 0.0, 0.05], RATE_HZ) * random.standard_normal(4 * RATE_HZ)).astype(np.float32)
    assert loudness_db(torch.from_numpy(audio)) == pytest.approx(measured_loudness_db(audio, RATE_HZ), abs=0.01)
    assert loudness_db(torch.zeros(RATE_HZ)) == -np.inf


def test_an_instrument_that_is_not_there_is_named(sounds: Path) -> None:
    renderer = DeviceRenderer(read_sounds(sounds, "music"), CPU)
    with pytest.raises(ValueError, match=r"no one-shots of program 152, there are 0, 128, 40: have make-sounds cut"):
        renderer.render([note(0.0, channel=9, program=24)], replace(PLAIN, soundfont=VOICES))


@pytest.mark.parametrize("wanted_hz", [8000, 22050, 48000])
def test_another_rate_keeps_the_sound(wanted_hz: int) -> None:
    def tone(rate_hz: int) -> torch.Tensor:
        time_s = torch.arange(rate_hz, dtype=torch.float64) / rate_hz
        return (torch.sin(2 * np.pi * 1000 * time_s) * torch.exp(-20 * (time_s - 0.5).square())).float()

    moved = resampled(tone(RATE_HZ), RATE_HZ, wanted_hz)
    assert len(moved) == wanted_hz
    assert torch.allclose(moved, tone(wanted_hz), atol=1e-3)
