"""Composes works for ensembles: a draft like the piano's, its tune passed round, its chords and bass given to parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median

import numpy as np

from melnet_music.composing.rendering.render import DRUM_CHANNEL
from melnet_music.composing.score import accompaniment
from melnet_music.composing.score.accompaniment import Figure, ScoreNote, Spot, passing_voice, walking_bass
from melnet_music.composing.score.compose import (
    Draft,
    Instrument,
    Section,
    Work,
    compose_for_piano,
    draw_cell,
    draw_draft,
    finished,
)
from melnet_music.composing.score.drums import drum_part
from melnet_music.composing.score.ensembles import (
    ENSEMBLES,
    GROOVES,
    SOLO_PIANO_SHARE,
    VOICES,
    Ensemble,
    Groove,
    Job,
    Seat,
    Voice,
)
from melnet_music.composing.score.melody import crushed
from melnet_music.composing.score.rhythms import hits_within

_LEVELS_DB: dict[Job, float] = {
    "lead": 0.0,
    "inner": -4.0,
    "bass": -3.0,
    "comp": -6.0,
    "arp": -6.0,
    "pad": -9.0,
    "figure": -2.0,
    "drums": -4.0,
}
"""How loud a part is in the mix, by what it mostly does."""

_FIGURES: dict[str, tuple[Figure, ...]] = {
    "4/4": (accompaniment.alberti, accompaniment.nocturne, accompaniment.prelude, accompaniment.ballad),
    "3/4": (accompaniment.waltz, accompaniment.nocturne, accompaniment.sarabande),
    "6/8": (accompaniment.barcarolle,),
    "5/4": (accompaniment.prelude,),
}

Cast = tuple[tuple[Job, ...], ...]
"""What every part does in a section; nothing where it rests."""


def compose_music(seed: int, number: int) -> Work:
    """The work ``number`` of the collection ``seed`` for an ensemble or for solo piano; 45 to 140 seconds long."""
    rng = np.random.default_rng((seed, number, 3))
    ensembles = list(ENSEMBLES.values())
    shares = np.array([SOLO_PIANO_SHARE, *(ensemble.share for ensemble in ensembles)])
    drawn = int(rng.choice(len(shares), p=shares / shares.sum()))
    if drawn == 0:
        return compose_for_piano(rng, seed, number)
    return compose_for_ensemble(rng, ensembles[drawn - 1], seed, number)


def compose_for_ensemble(rng: np.random.Generator, ensemble: Ensemble, seed: int, number: int) -> Work:
    """A new work for an ensemble in one of its grooves, to be known as ``number`` of the collection ``seed``."""
    groove = GROOVES[ensemble.grooves[int(rng.integers(len(ensemble.grooves)))]]
    draft = draw_draft(rng, groove.style)
    if groove.style.crush:
        draft = replace(draft, melody=tuple(crushed(rng, draft.melody, groove.style.crush)))
    names = [seat.names[int(rng.integers(len(seat.names)))] for seat in ensemble.seats]
    casts = _draw_casts(rng, ensemble, draft.sections)
    notes: list[ScoreNote] = []
    for part, (seat, name) in enumerate(zip(ensemble.seats, names, strict=True)):
        if seat.jobs == ("drums",):
            notes += drum_part(rng, draft, _one_of(rng, groove.drums), part) if groove.drums else []
        else:
            notes += _Player(rng, draft, groove, casts, part, VOICES[name]).notes()
    return finished(seed, number, ensemble.name, draft, _instruments(rng, ensemble, names), notes)


def _one_of(rng: np.random.Generator, names: Sequence[str]) -> str:
    return names[int(rng.integers(len(names)))]


def _instruments(rng: np.random.Generator, ensemble: Ensemble, names: Sequence[str]) -> tuple[Instrument, ...]:
    """The parts' instruments on channels of their own; drums on theirs."""
    free = (channel for channel in range(16) if channel != DRUM_CHANNEL)
    return tuple(
        Instrument(
            name,
            VOICES[name].program,
            DRUM_CHANNEL if seat.jobs == ("drums",) else next(free),
            round(_LEVELS_DB[seat.jobs[0]] + float(rng.normal(0.0, 1.5)), 2),
        )
        for seat, name in zip(ensemble.seats, names, strict=True)
    )


def _draw_casts(rng: np.random.Generator, ensemble: Ensemble, sections: Sequence[Section]) -> list[Cast]:
    """Section by section who leads (the next one when a part of the form comes back), accompanies, rests."""
    leads = [part for part, seat in enumerate(ensemble.seats) if "lead" in seat.jobs]
    first = {label: 0 if label == "A" else int(rng.integers(len(leads))) for label in "ABC"}
    casts: list[Cast] = []
    for section in sections:
        leader = leads[(first[section.label] + section.visit) % len(leads)]
        jobs = [_jobs_beside(seat) for seat in ensemble.seats]
        others = [part for part, job in enumerate(jobs) if job and part != leader]
        harmony = [part for part in others if not set(jobs[part]) & {"bass", "drums"}]
        jobs[leader] = ("lead",) if harmony else ("lead", *jobs[leader])
        if len(harmony) > 2 and rng.random() < 0.3:
            jobs[harmony[int(rng.integers(len(harmony)))]] = ()
        casts.append(tuple(jobs))
    return casts


def _jobs_beside(seat: Seat) -> tuple[Job, ...]:
    """What a part does while another leads: the first of its other jobs."""
    return tuple(job for job in seat.jobs if job != "lead")[:1]


class _Player:
    """One part of a work: it knows what it has to do when, and writes its notes."""

    def __init__(
        self, rng: np.random.Generator, draft: Draft, groove: Groove, casts: Sequence[Cast], part: int, voice: Voice
    ) -> None:
        self._draft = draft
        self._part = part
        self._voice = voice
        self._jobs = [cast[part] for cast in casts]
        inner = [[p for p, jobs in enumerate(cast) if "inner" in jobs] for cast in casts]
        self._chair = [parts.index(part) if part in parts else 0 for parts in inner]
        self._cells = {label: draw_cell(rng) for label in "ABC"}
        self._variants = {label: int(rng.integers(3)) for label in "ABC"}
        self._inner = {label: _one_of(rng, groove.inner) for label in "ABC"}
        self._comp = {label: _one_of(rng, groove.comp) for label in "ABC"}
        bass = _one_of(rng, groove.bass)
        self._bass = {label: bass if rng.random() < 0.7 else _one_of(rng, groove.bass) for label in "ABC"}
        figures = _FIGURES[draft.meter]
        self._figure = figures[int(rng.integers(len(figures)))]

    def notes(self) -> Iterator[ScoreNote]:
        yield from self._tune()
        draft = self._draft
        followings = (*draft.voicings[1:], draft.voicings[-1])
        for c, voicing, following in zip(draft.chords, draft.voicings, followings, strict=True):
            section = draft.section_at(c.onset_beat)
            label = section.label
            spot = Spot(c, voicing, following, draft.bar_beats, self._variants[label], self._cells[label])
            place = draft.sections.index(section)
            last = c is draft.chords[-1]
            for job in self._jobs[place]:
                for note in self._accompany(job, spot, label, self._chair[place], last):
                    yield replace(note, pitch=self._fit(note.pitch), part=self._part)

    def _tune(self) -> Iterator[ScoreNote]:
        """The tune of the sections in which this part leads, in the octave that suits it, and the last note."""
        draft, voice = self._draft, self._voice
        for section, jobs in zip(draft.sections, self._jobs, strict=True):
            if "lead" not in jobs:
                continue
            start, stop = (bar * draft.bar_beats for bar in (section.start_bar, section.start_bar + section.bars))
            tune = [n for n in draft.melody if start - 1e-6 <= n.onset_beat < stop - 1e-6]
            if not tune:
                continue
            wish = voice.lowest + 0.6 * (voice.highest - voice.lowest)
            shift = 12 * round((wish - median(n.pitch for n in tune)) / 12)
            for n in tune:
                yield ScoreNote(n.onset_beat, n.duration_beats, self._fit(n.pitch + shift), "melody", self._part)
            if section is draft.sections[-1]:
                last = draft.chords[-1]
                near = tune[-1].pitch + shift
                tonic = min((p for p in range(near - 6, near + 6) if p % 12 == last.pitch_classes[0]), default=near)
                yield ScoreNote(last.onset_beat, last.duration_beats, self._fit(tonic), "melody", self._part)

    def _accompany(self, job: Job, spot: Spot, label: str, chair: int, last: bool) -> Iterator[ScoreNote]:
        if job == "bass":
            yield from self._bass_notes("held" if last else self._bass[label], spot)
        elif job == "inner":
            yield from self._inner_notes("held" if last else self._inner[label], spot, 2 - chair % 3)
        elif job == "pad" or (last and job in ("comp", "arp", "figure")):
            yield from self._chords("held", spot)
        elif job == "figure":
            yield from self._figure(spot)
        elif job == "arp" or (job == "comp" and self._comp[label] == "arpeggio"):
            yield from self._broken(spot)
        elif job == "comp":
            yield from self._chords(self._comp[label], spot)

    def _strikes(self, rhythm: str, spot: Spot) -> list[tuple[float, float]]:
        draft, chord = self._draft, spot.chord
        return hits_within(rhythm, draft.meter, draft.bar_beats, chord.onset_beat, chord.duration_beats)

    def _bass_notes(self, rhythm: str, spot: Spot) -> Iterator[ScoreNote]:
        chord, bass = spot.chord, spot.voicing.bass
        if rhythm == "walk" and chord.duration_beats % 1 == 0:
            yield from walking_bass(spot)
        elif rhythm == "boogie":
            yield from accompaniment.boogie(replace(spot, variant=0))
        elif rhythm == "moving" and chord.duration_beats % 1 == 0:
            yield from passing_voice(chord, bass, spot.following.bass, "bass")
        else:
            strikes = self._strikes(rhythm, spot) or [(chord.onset_beat, chord.duration_beats)]
            fifth = next(p for p in range(bass + 7, bass - 6, -1) if p % 12 == chord.pitch_classes[2])
            for index, (onset, beats) in enumerate(strikes):
                pitch = bass
                if rhythm in ("root-fifth", "bossa", "habanera") and index % 2:
                    pitch = fifth
                elif rhythm == "octaves" and index % 2:
                    pitch = bass + 12
                elif rhythm == "syncopated" and index == 3:
                    pitch = fifth
                yield ScoreNote(onset, beats, pitch, "bass")

    def _inner_notes(self, rhythm: str, spot: Spot, voice: int) -> Iterator[ScoreNote]:
        pitch, goal = spot.voicing.upper[voice], spot.following.upper[voice]
        if rhythm == "moving" and spot.chord.duration_beats % 1 == 0:
            yield from passing_voice(spot.chord, pitch, goal, "inner")
        else:
            for onset, beats in self._strikes(rhythm, spot):
                yield ScoreNote(onset, beats, pitch, "inner")

    def _chords(self, rhythm: str, spot: Spot) -> Iterator[ScoreNote]:
        for onset, beats in self._strikes(rhythm, spot):
            for pitch in spot.voicing.upper:
                yield ScoreNote(onset, beats, pitch, "inner")

    def _broken(self, spot: Spot) -> Iterator[ScoreNote]:
        """The work's own order of chord tones, in eighths, or in sixteenths where the beat is slow."""
        low, middle, high = spot.voicing.upper
        ladder = (low, middle, high, low + 12, middle + 12)
        step_beats = 0.25 if self._draft.tempo_bpm < 100 else 0.5
        for index in range(round(spot.chord.duration_beats / step_beats)):
            onset = spot.chord.onset_beat + index * step_beats
            yield ScoreNote(onset, step_beats, ladder[spot.cell[index % len(spot.cell)]], "inner")

    def _fit(self, pitch: int) -> int:
        """The pitch in the nearest octave that the instrument has."""
        lowest, highest = self._voice.lowest, self._voice.highest
        while pitch < lowest:
            pitch += 12
        while pitch > highest:
            pitch -= 12
        return pitch
