"""Whether a preset plays the notes it is given: of the notes of held-out music, how many are heard in its takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from melnet_music.evaluation.measures.detection import TOLERANCE_SECONDS, Hits, note_hits, shifted
from melnet_music.evaluation.places import NotMeasurableError, spread_places
from melnet_music.evaluation.sounds import PROMPT_SECONDS, DescribeJob, TakeSource, described, described_take
from melnet_music.evaluation.workers import NamedProgress, Workers, naming
from melnet_music.training.data.features import Work


@dataclass(frozen=True)
class Followed:
    """Detected notes against given ones, by pitch and onset."""

    recall: float
    precision: float
    notes: int
    detected: int

    @staticmethod
    def of(hits: Hits) -> Followed:
        """The same as shares, 0 to 1, and counts."""
        return Followed(hits.recall, hits.precision, hits.true, hits.found)


@dataclass(frozen=True)
class NoteFollowing:
    """Takes made with the notes of the music that really follows."""

    takes: int
    seconds: float
    tolerance_seconds: float
    given: Followed
    """The notes that the take was given."""
    shuffled: Followed
    """The same takes against the notes of another place: what chance finds."""
    free: Followed
    """Takes of the same places and seeds without notes, against the notes."""
    real: Followed
    """The real sound against its notes: what the detector finds at best."""


def measure_note_following(
    source: TakeSource,
    held_out: list[Work],
    *,
    count: int,
    seconds: float,
    seed: int,
    workers: Workers,
    progress: NamedProgress,
) -> NoteFollowing:
    """``count`` takes of so many seconds; the recordings must have notes.

    Raises:
        NotMeasurableError: none has.
    """
    sound, random = source.sound, np.random.default_rng([seed, 4])
    noted = [work for work in held_out if work.notes]
    if not noted:
        raise NotMeasurableError("no held-out recording has notes: put a .notes.csv or MIDI file beside it")
    rate = sound.sample_rate_hz
    places = spread_places(noted, sound, PROMPT_SECONDS + seconds, count, random)
    notes = []
    for place in places:
        start = place.start_s + PROMPT_SECONDS
        inside = place.work.notes_between(start, start + seconds)
        notes.append(shifted(inside, start))
    played, free = (
        workers.work_off(
            described_take,
            [
                (source.continuation(place, seconds, seed + n, notes=given), rate)
                for n, (place, given) in enumerate(zip(places, known, strict=True))
            ],
            naming(progress, what),
        )
        for what, known in (("takes with notes", notes), ("takes without notes", [None] * len(notes)))
    )
    real = workers.work_off(
        described,
        [DescribeJob(place.audio(PROMPT_SECONDS, PROMPT_SECONDS + seconds, sound, rate), rate) for place in places],
        naming(progress, "real sound"),
    )
    elsewhere = notes[len(notes) // 2 :] + notes[: len(notes) // 2]
    pairs = {"given": (played, notes), "shuffled": (played, elsewhere), "free": (free, notes), "real": (real, notes)}
    followed = {
        name: Followed.of(
            reduce(add, (note_hits(one.notes, known, seconds) for one, known in zip(sounds, against, strict=True)))
        )
        for name, (sounds, against) in pairs.items()
    }
    return NoteFollowing(count, seconds, TOLERANCE_SECONDS, **followed)
