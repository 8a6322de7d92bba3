"""The ear learns: what it is asked for, from which clips, and that both its networks say the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_ear import EAR_CONFIG, EAR_SOUND, random_ear_frames, random_ear_weights

from melnet_music.notes.ear.layout import LOWEST_PITCH, PITCHES
from melnet_music.notes.ear.network import EarNetwork as SteppedNetwork
from melnet_music.notes.ear.weights import weight_shapes
from melnet_music.notes.note_map import Note
from melnet_music.training.data.note_table import NoteTable
from melnet_music.training.ear.clips import ClipMaker
from melnet_music.training.ear.network import EarNetwork
from melnet_music.training.ear.run import EarPlan, EarProgress, train_ear
from melnet_music.training.ear.targets import make_targets
from melnet_music.training.ear.unpitched import unpitched_frames
from melnet_music.training.ear.works import EarWork

FRAMES_PER_SECOND = EAR_SOUND.frames_per_second


def tiny_work(seed: int, frames: int = 300) -> EarWork:
    """Notes are bumps at a bin of their own, so that they can be learned in seconds."""
    rng = np.random.default_rng(seed)
    log_mel, notes = rng.normal(-7.5, 0.1, (frames, EAR_SOUND.mel_bins)), []
    for onset in range(5, frames - 30, 12):
        pitch = int(rng.integers(60, 84))
        log_mel[onset : onset + 10, pitch - 40 : pitch - 37] = -1.0
        notes.append(Note(onset / FRAMES_PER_SECOND, (onset + 10) / FRAMES_PER_SECOND, pitch, 80))
    return EarWork(f"tiny-{seed}", log_mel.astype(np.float16), NoteTable.of(notes))


def test_the_trained_network_is_the_one_that_steps() -> None:
    network, weights = EarNetwork(EAR_CONFIG), random_ear_weights(5)
    assert {name: tuple(array.shape) for name, array in network.state_dict().items()} == weight_shapes(EAR_CONFIG)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    frames = np.stack([random_ear_frames(40, seed) for seed in (6, 7)])
    with torch.no_grad():
        whole = network(torch.from_numpy(frames)).numpy()
    for row, clip in zip(whole, frames, strict=True):
        stepped, state = SteppedNetwork(EAR_CONFIG, weights), SteppedNetwork(EAR_CONFIG, weights).start()
        found = []
        for frame in clip:
            outputs, state = stepped.step(state, frame)
            if outputs is not None:
                found.append(outputs)
        assert np.abs(np.stack(found) - row).max() < 2e-5  # measured: 5e-7 with the bundled sizes


def test_targets_are_where_the_notes_are() -> None:
    notes = NoteTable.of([Note(10.4 / FRAMES_PER_SECOND, 20 / FRAMES_PER_SECOND, 60, 127), Note(0.0, 9.0, 5, 90)])
    targets, row = make_targets(notes, 4, 12, FRAMES_PER_SECOND), 60 - LOWEST_PITCH
    assert targets.onset.shape == (12, PITCHES)
    assert np.flatnonzero(targets.onset[:, row]).tolist() == [6, 7]
    assert np.flatnonzero(targets.counts[:, row] == 0).tolist() == [5, 8]
    assert np.flatnonzero(targets.sounding[:, row]).tolist() == [6, 7, 8, 9, 10, 11]
    np.testing.assert_allclose(targets.shift[5:9, row], [1.4, 0.4, -0.6, -1.6], atol=1e-5)
    assert targets.velocity[6, row] == 1.0
    assert targets.onset.sum() == 2.0  # pitches that no piano has are left out


def test_clips_are_stretches_with_their_notes() -> None:
    work = tiny_work(0)
    clips = ClipMaker({"piano": [work], "music": []}, (), EAR_SOUND, 2)
    batch = clips.draw(3, 50, np.random.default_rng(1), plain=True)
    assert batch.frames.shape == (3, 52, EAR_SOUND.mel_bins)
    for frames, onset in zip(batch.frames.numpy(), batch.targets["onset"].numpy(), strict=True):
        for frame, row in zip(*np.nonzero(onset[:-1] * onset[1:]), strict=True):
            assert frames[frame + 1, row + LOWEST_PITCH - 39] == -1.0
    coloured = clips.draw(3, 50, np.random.default_rng(1))
    assert np.isfinite(coloured.frames.numpy()).all()
    assert coloured.frames.min() > np.log(EAR_SOUND.magnitude_floor) - 1e-3


def test_works_shorter_than_a_clip_are_followed_by_silence() -> None:
    clips = ClipMaker({"piano": [tiny_work(0, frames=40)]}, (), EAR_SOUND, 2)
    frames = clips.draw(1, 60, np.random.default_rng(0), plain=True).frames
    np.testing.assert_allclose(frames[0, 40:], np.log(EAR_SOUND.magnitude_floor), atol=1e-4)


def test_sounds_without_pitch_are_drawn_too() -> None:
    unpitched = unpitched_frames(EAR_SOUND, 4, 0.5, np.random.default_rng(0))
    assert all(np.isfinite(frames).all() and frames.shape[1] == EAR_SOUND.mel_bins for frames in unpitched)
    clips = ClipMaker({"piano": [tiny_work(0)]}, unpitched, EAR_SOUND, 2)
    batch = clips.draw(60, 20, np.random.default_rng(2))
    silent = (batch.targets["sounding"].sum((1, 2)) == 0) & (batch.frames.amax((1, 2)) > -6.0)
    assert silent.any()


@pytest.mark.parametrize("again", [False, True])
def test_a_run_learns_and_goes_on_from_weights(again: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("melnet_music.training.ear.run._UNPITCHED_CLIPS", 2)
    works, lines = {"piano": [tiny_work(1), tiny_work(2)]}, list[EarProgress]()
    plan = EarPlan(minutes=1.0, steps=40, batch=2, clip_frames=40, rate=1e-2)
    start = EarNetwork(EAR_CONFIG).state_dict() if again else None
    network = train_ear(EAR_CONFIG, works, {"piano": [tiny_work(3)]}, plan, start, lines.append)
    assert lines[-1].fraction == 1.0
    assert lines[-1].valid_loss < 16.0  # 30 at the start
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())
