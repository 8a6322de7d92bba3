"""Takes of works, planned and unplanned, kept as files: what was made already is not made again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melnet_music.evaluation.planned.works import Join, SoundingWork
from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.planning.take_plan import plan_take
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.model.preset import load_preset
from melnet_music.notes.ear.ear import WEIGHTS_FILE, load_ear
from melnet_music.notes.midi_file import read_midi_notes, write_midi_notes
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.network import ScoreModel
from melnet_music.notes.score.settings import PlanSettings
from melnet_music.sound.audio_file import AudioClip, read_audio, write_audio


@dataclass(frozen=True)
class TakeMaker:
    """What makes takes, and where they are kept."""

    preset: Path
    engine: str
    ear: Path
    """The folder of an ear."""
    score: Path
    """The weights of a score model."""
    settings: PlanSettings
    seed: int
    heard_seconds: float
    """Of a work, at least: takes begin with the next bar."""
    seconds: float
    folder: Path


@dataclass(frozen=True, eq=False)
class MadeTake:
    """What was heard, and the new sound after it."""

    audio: NDArray[np.float32]
    """``[n]`` at the preset's rate, from the start of the work."""
    plan: list[Note]
    """In seconds from the start of the work; none in an unplanned take."""


def make_take(maker: TakeMaker, work: SoundingWork, join: Join, *, planned: bool) -> MadeTake:
    """A take that goes on from a work at a place, one core's work; or the one that is kept of it.

    Raises:
        NotPlannableError: the ear hears too few notes, or the preset plays none.
        ValueError: files cannot be read or written.
    """
    kind = "planned" if planned else "unplanned"
    sound_file = maker.folder / f"{work.name}-{kind}-{_key(maker, join, planned=planned)}.flac"
    notes_file = sound_file.with_suffix(".mid")
    if not sound_file.exists():
        _make(maker, work, join, sound_file, notes_file if planned else None)
    clip = read_audio(sound_file)
    return MadeTake(clip.samples[:, 0], read_midi_notes(notes_file) if planned else [])


def _make(maker: TakeMaker, work: SoundingWork, join: Join, sound_file: Path, notes_file: Path | None) -> None:
    instrument = _instrument(maker.preset, maker.engine)
    instrument.use_ear(load_ear(maker.ear) if notes_file else None)
    instrument.clear()
    instrument.hear(work.audio[: round(join.second * instrument.sample_rate_hz)])
    plan = None
    if notes_file:
        model = _score_model(maker.score)
        plan = plan_take(instrument, model, join.grid, maker.settings, maker.seed, from_heard=True)
    request = TakeRequest(seconds=maker.seconds, seed=maker.seed, lead_seconds=instrument.heard_seconds, notes=plan)
    audio = np.concatenate(list(instrument.continuation(request)))
    maker.folder.mkdir(parents=True, exist_ok=True)
    if notes_file and plan is not None:
        write_midi_notes(notes_file, _shifted(plan.given, join.second))
    part = sound_file.with_name(f"part-{sound_file.name}")
    write_audio(part, AudioClip(audio[:, None], instrument.sample_rate_hz))
    os.replace(part, sound_file)


def _shifted(notes: Sequence[Note], by_s: float) -> list[Note]:
    return [Note(note.onset_s + by_s, note.end_s + by_s, note.pitch, note.velocity) for note in notes]


def _key(maker: TakeMaker, join: Join, *, planned: bool) -> str:
    """By what a take follows from."""
    follows: list[object] = [_preset_digest(maker.preset), maker.engine, maker.seed, maker.seconds, join.second]
    if planned:
        follows += [_digest(maker.ear / WEIGHTS_FILE), _digest(maker.score), asdict(maker.settings), join.tempo_bpm]
    return hashlib.sha256(json.dumps(follows, sort_keys=True).encode()).hexdigest()[:12]


@lru_cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@lru_cache
def _preset_digest(preset: Path) -> str:
    return load_preset(preset).digest


@lru_cache(maxsize=1)
def _instrument(preset: Path, engine: str) -> Instrument:
    return Instrument.load(preset, engine=engine, threads=1)


@lru_cache(maxsize=1)
def _score_model(path: Path) -> ScoreModel:
    return ScoreModel.load(path)
