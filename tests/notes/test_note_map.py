"""Notes as the model sees them: what `note_map` draws on the mel grid."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melnet_music.model.config import SoundConfig
from melnet_music.notes.note_map import KNOWN_SILENCE, Note, note_map
from melnet_music.sound.mel import log_mel

sound = SoundConfig(sample_rate_hz=8000, n_fft=256, window_samples=256, hop_samples=128, mel_bins=8, fmax_hz=4000.0)
PARTIALS = 4

notes = st.builds(
    lambda onset, length, pitch, velocity: Note(onset, onset + length, pitch, velocity),
    st.floats(0, 3),
    st.floats(0, 2),
    st.integers(21, 107),  # below fmax_hz
    st.integers(1, 127),
)


@settings(max_examples=40, deadline=None)
@given(
    notes=st.lists(notes, max_size=6),
    start=st.integers(0, 200),
    frames=st.integers(1, 60),
    cut=st.integers(0, 60),
)
def test_a_note_map_is_a_window_on_the_map_of_all_time(notes: list[Note], start: int, frames: int, cut: int) -> None:
    whole = note_map(notes, 0, start + frames, sound, PARTIALS)
    assert whole.shape == (start + frames, sound.mel_bins, 2)
    assert ((whole[..., 0] == KNOWN_SILENCE) | ((whole[..., 0] > 0) & (whole[..., 0] <= 1))).all()
    assert ((whole[..., 1] >= 0) & (whole[..., 1] <= 1)).all()
    part = note_map(notes, start, frames, sound, PARTIALS)
    np.testing.assert_array_equal(part, whole[start:])
    cut = min(cut, frames)
    parts = [note_map(notes, start, cut, sound, PARTIALS), note_map(notes, start + cut, frames - cut, sound, PARTIALS)]
    np.testing.assert_array_equal(np.concatenate(parts), part)


@settings(max_examples=40, deadline=None)
@given(note=notes)
def test_a_note_starts_in_one_frame_and_sounds_until_it_is_damped(note: Note) -> None:
    drawn = note_map([note], 0, 400, sound, PARTIALS)
    onset = round(note.onset_s * sound.frames_per_second)
    end = max(round(note.end_s * sound.frames_per_second), onset + 1)
    assert np.flatnonzero((drawn[..., 0] > 0).any(1)).tolist() == list(range(onset, end))
    assert np.flatnonzero(drawn[..., 1].any(1)).tolist() == [onset]
    strength = np.maximum(drawn[onset, :, 0], 0)
    np.testing.assert_allclose(drawn[onset, :, 1], strength * np.float32(note.velocity / 127), rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(many=st.lists(notes, min_size=2, max_size=6))
def test_notes_together_are_the_stronger_of_each(many: list[Note]) -> None:
    alone = [note_map([note], 0, 400, sound, PARTIALS) for note in many]
    np.testing.assert_array_equal(note_map(many, 0, 400, sound, PARTIALS), np.maximum.reduce(alone))


@pytest.mark.parametrize("pitch", [33, 57, 69, 81])
def test_a_notes_partials_are_drawn_where_a_tone_of_theirs_sounds(pitch: int) -> None:
    """Measured: a sine at the partial is loudest in the bin it is drawn on."""
    full = SoundConfig(mel_bins=96)
    drawn = note_map([Note(0, 1, pitch, 127)], 0, 10, full, PARTIALS)[5, :, 0]
    strengths = {}
    for number in range(1, PARTIALS + 1):
        hz = number * 440 * 2 ** ((pitch - 69) / 12)
        tone = np.sin(2 * np.pi * hz * np.arange(22050) / 22050).astype(np.float32)
        loudest = int(log_mel(tone, full)[20].argmax())
        near = drawn[max(loudest - 1, 0) : loudest + 2]
        assert near.max() >= np.float32(1 / number)
        strengths[number] = near.max()
    assert strengths[1] == 1
    assert np.count_nonzero(drawn > 0) <= PARTIALS


def test_a_note_is_drawn_on_the_bins_nearest_to_its_partials() -> None:
    """Bins and pitches as librosa has them."""
    centres = librosa.mel_frequencies(sound.mel_bins + 2, fmin=sound.fmin_hz, fmax=sound.fmax_hz)[1:-1]
    for pitch in range(128):
        partials = librosa.midi_to_hz(pitch) * np.arange(1, PARTIALS + 1)
        expected = np.full(sound.mel_bins, KNOWN_SILENCE, np.float32)
        for number, hz in enumerate(partials[partials <= sound.fmax_hz], 1):
            mel_bin = np.abs(centres - hz).argmin()
            expected[mel_bin] = max(expected[mel_bin], 1 / number)
        np.testing.assert_array_equal(note_map([Note(0, 1, pitch, 64)], 0, 1, sound, PARTIALS)[0, :, 0], expected)


def test_partials_above_the_highest_bin_and_pitches_out_of_midi_are_left_out() -> None:
    assert (
        note_map([Note(0, 1, 108, 64)], 0, 1, sound, PARTIALS)[0, :, 0] == KNOWN_SILENCE
    ).all()  # 4186 Hz, fmax 4000
    outside = note_map([Note(0, 1, 128, 64), Note(0, 1, -1, 64)], 0, 4, sound, PARTIALS)
    np.testing.assert_array_equal(outside, note_map([], 0, 4, sound, PARTIALS))
