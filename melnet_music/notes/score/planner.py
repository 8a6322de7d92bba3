"""Plans notes: goes on with a score, or fills a part of it, bar after bar, from a seed.

The live path: tell `ScoreState.add` what is heard, as it is heard; when a plan is wanted, `Plan.begin` at a bar line,
and ask it for some bars more whenever it runs short. What is played meanwhile is told by `Plan.follow`. Nothing here
knows a clock: steps come in, notes go out, the same from the same seed however far ahead each call asks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from melnet_music.notes.score.grid import LOWEST_PITCH, PITCHES, STEPS_PER_QUARTER, Bars, GridNote
from melnet_music.notes.score.heard import HeardTrait, trait_of
from melnet_music.notes.score.kernels import Floats, draw
from melnet_music.notes.score.network import FORBIDDEN
from melnet_music.notes.score.settings import PlanSettings, pitch_classes
from melnet_music.notes.score.state import ScoreState
from melnet_music.notes.score.tokens import HORIZON, LENGTHS

_DENSITY_STEPS = 16 * STEPS_PER_QUARTER
"""Density is held over so many of the last steps."""
_DENSITY_FORCE, _CHORD_FORCE, _REGISTER_FORCE = 4.0, 8.0, 1.5
_MOST_BIAS = 3.0
_PITCH_STEPS = 32 * STEPS_PER_QUARTER
"""Height and pitch classes are held over so many: keys may change for a while."""
_CLASS_FORCE, _LEAST_SHARE, _PRIOR_NOTES = 2.5, 0.01, 24
_FEWER_LATER: Floats = np.concatenate(
    ([1.0], np.clip(-0.5 * np.log2(np.arange(1, HORIZON) / 6), -1.0, 1.0), [-1.0])
).astype(np.float32)
"""By how much more often notes begin when one is drawn so many steps after the last one."""
_KEY_CLASSES = (np.arange(PITCHES) + LOWEST_PITCH) % 12


class Plan:
    """Notes planned after what was heard; copies of its state make other plans."""

    def __init__(
        self, state: ScoreState, trait: HeardTrait, settings: PlanSettings, rng: np.random.Generator, start: int
    ) -> None:
        self.state, self.trait, self.settings, self.rng, self.start = state, trait, settings, rng, start
        self._allowed = pitch_classes(settings.scale)[_KEY_CLASSES]

    @classmethod
    def begin(
        cls,
        heard: ScoreState,
        start: int,
        settings: PlanSettings | None = None,
        rng: np.random.Generator | None = None,
        trait: HeardTrait | None = None,
    ) -> Plan:
        """A plan from step ``start`` on; ``heard`` stays as it is, and its notes from there on are not followed.

        Args:
            trait: what to keep to, where that is not what was heard last.
        """
        state = heard.copy()
        state.rewind(start)
        trait = trait or trait_of(state.notes(), 0, start)
        state.rest_until(start)
        state.not_before = start
        return cls(state, trait, settings or PlanSettings(), rng or np.random.default_rng(0), start)

    @classmethod
    def fill(
        cls,
        heard: ScoreState,
        start: int,
        end: int,
        settings: PlanSettings | None = None,
        rng: np.random.Generator | None = None,
        future: Sequence[GridNote] | None = None,
    ) -> Plan:
        """A plan of what lies from step ``start`` to ``end``, between what is known before and after.

        Args:
            future: what follows; none given: what ``heard`` holds there.

        Raises:
            ValueError: the part is empty, or begins before all that is known.
        """
        known = heard.notes(end) if future is None else list(future)
        plan = cls.begin(heard, start, settings, rng)
        if not plan.state.notes() and known:
            plan.trait = trait_of(known, end, known[-1].onset + 1)
        plan.state.begin_filling(start, end, known)
        return plan

    @property
    def end(self) -> int | None:
        """The step at which a filled part ends."""
        return self.state.filling.end if self.state.filling else None

    def extend(self, until: int) -> list[GridNote]:
        """The planned notes that begin before a step and that no call gave before.

        A note's length may reach beyond the step.
        """
        if self.end is not None:
            until = min(until, self.end)
        planned: list[GridNote] = []
        while True:
            onset = self._next_onset()
            if onset >= until:
                return planned
            self.state.pending = None
            note = self._draw_note(onset)
            self.state.append(note)
            planned.append(note)

    def follow(self, played: Sequence[GridNote], replan_from: int) -> None:
        """Take up what is played meanwhile, and plan anew what begins at ``replan_from`` or later.

        Notes that were planned before it stay: they may sound already.
        """
        self.state.rewind(replan_from)
        self.state.add(note for note in played if note.onset < replan_from)
        self.state.rest_until(replan_from)
        self.state.not_before = replan_from

    def use_bars(self, bars: Bars) -> None:
        """Plan in other bars from here on; those up to what was planned have to be the same."""
        if self.state.bars.differs_from(bars):
            self.state.pending = None  # it was drawn for a place in the bars that were
            self.state.bars = bars.copy()

    def change(self, settings: PlanSettings) -> None:
        """What is planned from now on follows these settings."""
        self.settings = settings
        self._allowed = pitch_classes(settings.scale)[_KEY_CLASSES]

    def copy(self) -> Plan:
        """One that goes on on its own, with the same chances."""
        rng = np.random.Generator(type(self.rng.bit_generator)())
        rng.bit_generator.state = self.rng.bit_generator.state
        return Plan(self.state.copy(), self.trait, self.settings, rng, self.start)

    def _next_onset(self) -> int:
        """When the next note begins, which is drawn once; the end of a filled part where it has no more."""
        state = self.state
        if state.pending is None and self.end is None and not state.count_since(0).moments:
            state.pending = max(state.cursor, state.not_before)  # out of nothing, it begins with its bar
        while state.pending is None:
            limit = HORIZON if self.end is None else min(HORIZON, self.end - state.cursor)
            logits = state.model.time_logits(state.output, *state.look_at_times())
            logits += self._density_bias()
            logits[limit:HORIZON] = FORBIDDEN
            logits[: max(state.not_before - state.cursor, 0)] = FORBIDDEN
            if not self._allowed[state.lowest_key :].any():
                logits[0] = FORBIDDEN
            drawn = self._draw(logits)
            if drawn < HORIZON:
                state.pending = state.cursor + drawn
            elif self.end is not None and state.cursor + HORIZON >= self.end:
                state.pending = self.end
            else:
                state.rest_until(state.cursor + HORIZON)
        return state.pending

    def _draw_note(self, onset: int) -> GridNote:
        state, model = self.state, self.state.model
        seen, lengths = state.look_at_pitches(onset)
        since = onset - state.cursor
        chroma = state.chroma
        hidden = model.pitch_state(state.output, since, state.place(onset), chroma)
        logits = model.pitch_logits(hidden, seen, chroma, *state.last_pitches)
        if self.settings.hold:
            logits += self._pitch_bias()
        if since == 0:
            logits[: state.lowest_key] = FORBIDDEN
        logits[~self._allowed] = FORBIDDEN
        key = self._draw(logits)
        hidden = model.length_state(hidden, key)
        length = self._draw(model.length_logits(hidden, lengths[key]))
        level = self._draw(model.velocity_logits(hidden))
        velocity = 16 * level + int(self.rng.integers(16))
        return GridNote(onset, key + LOWEST_PITCH, int(LENGTHS[length]), min(max(velocity, 1), 127))

    def _draw(self, logits: Floats) -> int:
        return draw(logits, self.settings.temperature, self.settings.top_p, self.rng.random())

    def _density_bias(self) -> Floats | float:
        """Towards the density that is asked for, by how far the last bars are from it.

        Two rates are held: of the moments at which notes begin, by when the next one comes; and of the notes, by how
        many of them begin together.
        """
        if not self.settings.hold:
            return 0.0
        cursor = max(self.state.cursor, self.start)
        counted = self.state.count_since(max(cursor - _DENSITY_STEPS, self.start))
        quarters = min(cursor - self.start, _DENSITY_STEPS) / STEPS_PER_QUARTER

        def missing(per_quarter: float, planned: int) -> float:
            per_quarter *= self.settings.density
            leeway = 0.25 * per_quarter * _DENSITY_STEPS / STEPS_PER_QUARTER + 1
            return math.log((per_quarter * quarters + leeway) / (planned + leeway))

        moments = missing(self.trait.moments_per_quarter, counted.moments)
        chords = missing(self.trait.notes_per_quarter, int(counted.pitch_classes.sum())) - moments
        hold = self.settings.hold
        sooner = _bounded(hold * _DENSITY_FORCE * (moments + 0.5 * math.log(self.settings.density)))
        biases: Floats = sooner * _FEWER_LATER
        if self.state.lowest_key:  # a note begins there already, and others would make it a chord
            biases[0] = _bounded(hold * _CHORD_FORCE * chords)
        return biases

    def _pitch_bias(self) -> NDArray[np.float32]:
        """Towards the height that is asked for and the pitch classes that were heard, by how far the last notes are."""
        classes, _, mean = self.state.count_since(max(self.state.cursor - _PITCH_STEPS, self.start))
        recent = int(classes.sum())
        target = self.trait.mean_pitch + self.settings.register
        share = recent / (recent + 8)
        wanted = share * (target - mean) / 12 + 0.5 * self.settings.register / 12
        force = _REGISTER_FORCE * self.settings.hold * np.clip(wanted, -2.0, 2.0)
        bias = force * (np.arange(PITCHES) + LOWEST_PITCH - target) / 12
        heard = np.array(self.trait.pitch_classes)
        now = (classes + _PRIOR_NOTES * heard) / (recent + _PRIOR_NOTES)
        missing = np.log((heard + _LEAST_SHARE) / (now + _LEAST_SHARE))
        bias += _CLASS_FORCE * self.settings.hold * np.clip(missing, -2.0, 2.0)[_KEY_CLASSES]
        biases: NDArray[np.float32] = bias.astype(np.float32)
        return biases


def _bounded(bias: float) -> np.float32:
    return np.float32(min(max(bias, -_MOST_BIAS), _MOST_BIAS))
