"""What the ear hears depends on the frames alone, and no note comes later than declared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streaming_contract import CHUNK_SIZES, in_chunks
from tiny_ear import EAR_CONFIG, EAR_SOUND, random_ear_frames, random_ear_weights

from melnet_music.notes.ear.config import read_ear_config, write_ear_config
from melnet_music.notes.ear.ear import CONFIG_FILE, WEIGHTS_FILE, Ear, EarState, as_notes, believed_notes, load_ear
from melnet_music.notes.ear.layout import HIGHEST_PITCH, LOWEST_PITCH, PITCHES, intervals, places
from melnet_music.notes.ear.network import EarNetwork
from melnet_music.notes.ear.tracker import HeardNote, let_go, start_tracking, track
from melnet_music.notes.ear.weights import OUTPUTS, read_ear_weights

FRAMES_PER_SECOND = EAR_SOUND.frames_per_second


@pytest.fixture(scope="module")
def ear() -> Ear:
    return Ear(EAR_CONFIG, random_ear_weights(0))


def heard_in_chunks(ear: Ear, frames: np.ndarray, sizes: tuple[int, ...]) -> list[HeardNote]:
    told, state = list[HeardNote](), ear.start()
    for chunk in in_chunks(frames, sizes):
        now, state = ear.hear(state, chunk)
        told += now
    return [*told, *ear.finish(state)]


@pytest.mark.parametrize("sizes", CHUNK_SIZES)
def test_whole_equals_step_by_step(ear: Ear, sizes: tuple[int, ...]) -> None:
    frames = random_ear_frames(150, 1)
    whole = heard_in_chunks(ear, frames, (len(frames),))
    assert len(believed_notes(whole)) > 20
    assert heard_in_chunks(ear, frames, sizes) == whole
    assert ear.hear_all(frames) == ear.believed(whole) == believed_notes(whole, EAR_CONFIG.thresholds.onset)


def test_a_state_is_gone_on_from_as_often_as_one_likes(ear: Ear) -> None:
    frames = random_ear_frames(90, 2)
    _, state = ear.hear(ear.start(), frames[:41])

    def rest(state: EarState) -> list[HeardNote]:
        told, state = ear.hear(state, frames[41:])
        return [*told, *ear.finish(state)]

    first = rest(state)
    ear.hear(state, random_ear_frames(20, 3))
    assert rest(state) == first


def test_no_more_is_looked_ahead_than_declared(ear: Ear) -> None:
    network, frames, at = EarNetwork(EAR_CONFIG, random_ear_weights(0)), random_ear_frames(30, 4), 17

    def outputs(frames: np.ndarray) -> np.ndarray:
        state, found = network.start(), []
        for frame in frames:
            now, state = network.step(state, frame)
            if now is not None:
                found.append(now)
        return np.stack(found)

    altered = frames.copy()
    altered[at:] += 1.0
    before, after = outputs(frames), outputs(altered)
    assert len(before) == len(frames) - ear.lookahead_frames
    np.testing.assert_array_equal(before[: at - ear.lookahead_frames], after[: at - ear.lookahead_frames])
    assert np.abs(before[at - ear.lookahead_frames] - after[at - ear.lookahead_frames]).max() > 0
    assert ear.lookahead_frames <= 4
    assert ear.delay_s == pytest.approx((2 * 256 + 512) / 22050)


def test_frames_of_another_shape_are_refused(ear: Ear) -> None:
    for wrong in (np.zeros(96, np.float32), np.zeros((3, 80), np.float32)):
        with pytest.raises(ValueError, match="expected \\[T, 96\\]"):
            ear.hear(ear.start(), wrong)


def outputs_of(onset: float, sounding: float, velocity: float = 0.0, shift: float = 0.0) -> np.ndarray:
    """For middle C; nothing else is heard."""
    outputs = np.full((PITCHES, OUTPUTS), -9.0, np.float32)
    outputs[60 - LOWEST_PITCH] = onset, sounding, velocity, shift
    return outputs


def tracked(frames: list[np.ndarray]) -> list[HeardNote]:
    state, told = start_tracking(), list[HeardNote]()
    for outputs in frames:
        now, state = track(state, outputs, EAR_CONFIG.thresholds, FRAMES_PER_SECOND)
        told += now
    return [*told, *let_go(state, EAR_CONFIG.thresholds, FRAMES_PER_SECOND)]


def test_a_note_is_told_as_it_begins_and_as_it_ends() -> None:
    loud, quiet = outputs_of(4, 4, 0.0, -0.5), outputs_of(-9, -9)
    begins, ends = tracked([quiet] * 5 + [loud] + [outputs_of(-9, 4)] * 10 + [quiet] * 6)
    assert begins.onset_s == ends.onset_s == pytest.approx(4.5 / FRAMES_PER_SECOND)
    assert (begins.end_s, begins.pitch, begins.velocity) == (None, 60, 64)
    assert ends.end_s == pytest.approx(16 / FRAMES_PER_SECOND)
    assert begins.confidence == ends.confidence == pytest.approx(1 / (1 + np.exp(-4)))


def test_a_note_that_hardly_lasts_is_not_believed() -> None:
    thresholds = EAR_CONFIG.thresholds
    told = tracked([outputs_of(4, 4)] + [outputs_of(-9, -9)] * 6)
    _, ends = told
    assert ends.confidence == pytest.approx(told[0].confidence / thresholds.sure_frames)
    assert believed_notes(told, thresholds.onset) == []


def test_a_key_struck_again_ends_its_note_and_is_not_struck_at_every_frame() -> None:
    told = tracked([outputs_of(4, 4)] * (EAR_CONFIG.thresholds.again_frames + 3))
    first, again = believed_notes(told)
    assert again.onset_s - first.onset_s == pytest.approx(EAR_CONFIG.thresholds.again_frames / FRAMES_PER_SECOND)
    assert first.end_s == again.onset_s
    assert [note.pitch for note in as_notes(told)] == [60, 60]


def test_a_short_lapse_ends_nothing_and_confidence_grows() -> None:
    lapse = [outputs_of(-9, -9)] * (EAR_CONFIG.thresholds.quiet_frames - 1)
    told = tracked([outputs_of(1, 4), outputs_of(5, 4), *lapse, *[outputs_of(-9, 4)] * 4])
    (note,) = believed_notes(told)
    assert note.confidence == pytest.approx(1 / (1 + np.exp(-5)))
    assert told[0].confidence < note.confidence


def test_places_lie_on_the_partials() -> None:
    below, towards = places(EAR_SOUND)
    assert below.shape == towards.shape
    assert (below >= 0).all()
    assert (below < EAR_SOUND.mel_bins - 1).all()
    assert (np.diff(below[:, 1] + towards[:, 1]) >= 0).all()
    assert intervals()[HIGHEST_PITCH - LOWEST_PITCH, 0] == 0
    assert intervals()[0, HIGHEST_PITCH - LOWEST_PITCH] == 2 * PITCHES - 2


def test_what_is_wrong_with_an_ears_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"no settings of an ear at .*{CONFIG_FILE}"):
        load_ear(tmp_path)
    write_ear_config(tmp_path / CONFIG_FILE, EAR_CONFIG)
    assert read_ear_config(tmp_path / CONFIG_FILE) == EAR_CONFIG
    with pytest.raises(ValueError, match=WEIGHTS_FILE):
        load_ear(tmp_path)
    (tmp_path / CONFIG_FILE).write_text("[network]\nmemory = 0\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"sound: Field required; network.memory"):
        read_ear_config(tmp_path / CONFIG_FILE)
    (tmp_path / CONFIG_FILE).write_text("[", encoding="utf-8")
    with pytest.raises(ValueError, match="not valid TOML"):
        read_ear_config(tmp_path / CONFIG_FILE)


def test_weights_of_another_ear_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path, weights = tmp_path / WEIGHTS_FILE, random_ear_weights(0)
    for wrong, message in (
        ({name: array for name, array in weights.items() if name != "tell.bias"}, "lacks tell.bias"),
        (weights | {"more": np.zeros(1, np.float32)}, "holds more"),
        (weights | {"tell.bias": np.zeros(2, np.float32)}, "tell.bias has shape"),
        (weights | {"tell.bias": np.full(3, np.nan, np.float32)}, "not finite"),
    ):
        save_file(wrong, path)
        with pytest.raises(ValueError, match=message):
            read_ear_weights(path, EAR_CONFIG)
