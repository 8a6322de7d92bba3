"""How well the meter of surprise tells music from what is none, and what it costs.

Held-out composed works are heard as they sound, for so many seconds and as many more; then the same with the second
half's notes shuffled in time; and with noise in its place, as loud. The second half is judged in stretches of a second
or more, over the median of the first. Prints one JSON object: the area under the curve (the probability that a stretch
of the other kind surprises more than one of music), and CPU seconds a second heard.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from melnet_music.composing.collection import play_work
from melnet_music.composing.instruments import choose_instruments
from melnet_music.composing.perform import PerformedNote
from melnet_music.evaluation.planned.works import held_out_works
from melnet_music.instrument.instrument import Instrument
from melnet_music.sound.resample import resample

Floats = NDArray[np.float64]
_RENDERED_RATE_HZ = 44100
_SHORTEST_SECONDS = 0.02
_STRETCHES_S = (1.0, 5.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="piano")
    parser.add_argument("--kind", default="piano", choices=("piano", "music"), help="of the works (%(default)s)")
    parser.add_argument("--works", type=int, default=10, help="held-out works (%(default)s)")
    parser.add_argument("--seconds", type=float, default=15.0, help="judged of each, after as many (%(default)g)")
    parser.add_argument("--seed", type=int, default=1, help="of the collection, and of what is shuffled")
    asked = parser.parse_args(arguments)
    instrument, rng = Instrument.load(asked.preset), np.random.default_rng(asked.seed)
    instruments = choose_instruments(asked.kind, (), None)
    kinds: dict[str, list[Floats]] = {"music": [], "shuffled": [], "noise": []}
    heard_cpu_s = judged_cpu_s = 0.0
    length = round(asked.seconds * instrument.sample_rate_hz)
    for work in held_out_works(asked.kind, asked.seed, asked.works, 2 * asked.seconds):
        to_render = play_work(work.kind, work.seed, work.number, instruments.names).to_render
        wrong = replace(to_render, notes=_shuffled(to_render.notes, asked.seconds, rng))
        music, shuffled = (
            resample(instruments.render(each), _RENDERED_RATE_HZ, instrument.sample_rate_hz)
            for each in (to_render, wrong)
        )
        for kind, sound in (
            ("music", music), ("shuffled", shuffled), ("noise", np.append(music[:length], _noise(music[length:], rng))),
        ):  # fmt: skip
            instrument.clear()
            instrument.measure_surprise(True)
            began = time.process_time()
            instrument.hear(sound[:length])
            usual = float(np.median([each.nats for each in instrument.surprises()]))
            instrument.hear(sound[length : 2 * length])
            judged_cpu_s += time.process_time() - began
            kinds[kind].append(np.array([each.nats for each in instrument.surprises()]) - usual)
        instrument.clear()
        instrument.measure_surprise(False)
        began = time.process_time()
        instrument.hear(music[: 2 * length])
        heard_cpu_s += time.process_time() - began
    heard_rate, judged_rate = (
        cpu_s / (2 * asked.seconds * asked.works) for cpu_s in (heard_cpu_s, judged_cpu_s / len(kinds))
    )
    told = {
        "preset": instrument.preset_name,
        "works": asked.works,
        "area_under_the_curve": {
            f"{stretch_s:g} s": {
                kind: _area(
                    *(_stretches(kinds[each], stretch_s / instrument.chunk_seconds) for each in ("music", kind))
                )
                for kind in ("shuffled", "noise")
            }
            for stretch_s in _STRETCHES_S
        },
        "median_nats_over_usual": {kind: round(float(np.median(np.concatenate(kinds[kind]))), 3) for kind in kinds},
        "cpu_s_a_second_heard": round(heard_rate, 3),
        "cpu_s_a_second_judged_besides": round(judged_rate - heard_rate, 3),
    }
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


def _shuffled(notes: Sequence[PerformedNote], since_s: float, rng: np.random.Generator) -> tuple[PerformedNote, ...]:
    """The notes that begin after so many seconds at each other's onsets, those of each channel among themselves."""
    moved = [note for note in notes if note.onset_s < since_s]
    for channel in sorted({note.channel for note in notes}):
        late = [note for note in notes if note.channel == channel and note.onset_s >= since_s]
        for note, place in zip(late, rng.permutation(len(late)), strict=True):
            by_s = late[place].onset_s - note.onset_s
            moved.append(
                replace(
                    note,
                    onset_s=note.onset_s + by_s,
                    release_s=note.release_s + by_s,
                    sounding_end_s=note.sounding_end_s + by_s,
                )
            )
    return tuple(_on_free_keys(sorted(moved, key=lambda note: (note.onset_s, note.channel, note.pitch))))


def _on_free_keys(notes: Sequence[PerformedNote]) -> list[PerformedNote]:
    """Each ends before its key is struck again; those that would be too short are left out."""
    next_onset_s: dict[tuple[int, int], float] = {}
    kept = []
    for note in reversed(notes):
        key = note.channel, note.pitch
        end_s = min(note.sounding_end_s, next_onset_s.get(key, np.inf) - 1e-3)
        if end_s - note.onset_s >= _SHORTEST_SECONDS:
            kept.append(replace(note, release_s=min(note.release_s, end_s), sounding_end_s=end_s))
            next_onset_s[key] = note.onset_s
    return kept[::-1]


def _noise(sound: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """White, as loud."""
    level = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
    return (level * rng.standard_normal(len(sound))).astype(np.float32)


def _stretches(nats: Sequence[Floats], chunks: float) -> Floats:
    """Means over so many chunks."""
    count = round(chunks)
    return np.concatenate([each[: len(each) // count * count].reshape(-1, count).mean(1) for each in nats])


def _area(first: Floats, second: Floats) -> float:
    """The probability that a stretch of the second surprises more than one of the first (Mann and Whitney's U)."""
    wins = (second[:, None] > first[None]).mean() + 0.5 * (second[:, None] == first[None]).mean()
    return round(float(wins), 3)


if __name__ == "__main__":
    sys.exit(main())
