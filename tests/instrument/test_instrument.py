"""The instrument, in the shipped preset's sound: what it hears is what it goes on from, and takes are what they say."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.model.config import read_preset_config
from melnet_music.model.preset import CONFIG_FILE, PHRASE_FILE, Preset, find_preset
from melnet_music.notes.note_map import Note, note_map
from melnet_music.sampling.cpu.engine import CpuEngine
from melnet_music.sampling.engine import Chunk, Generated, SamplerState
from melnet_music.sampling.reference import ReferenceEngine
from melnet_music.sound.audio_file import read_audio
from melnet_music.sound.limiter import POWER_RATIO, frame_powers, loud_power
from melnet_music.sound.mel import LogMelStream

Samples = npt.NDArray[np.float32]
CONFIG = read_preset_config(find_preset("piano") / CONFIG_FILE)
SOUND, CHUNK = CONFIG.sound, CONFIG.sampling.chunk_frames
RATE_HZ, HOP = SOUND.sample_rate_hz, SOUND.hop_samples
SMALLEST_CHUNK = 2 ** CONFIG.model.splits.count("time")
SHORT = TakeRequest(seconds=0.3, seed=7)


@pytest.fixture(scope="module")
def phrase() -> Samples:
    return read_audio(find_preset("piano") / PHRASE_FILE).mono_at(RATE_HZ)[: 3 * RATE_HZ]


@pytest.fixture(scope="module")
def loaded(narrow_piano: Path) -> Instrument:
    return Instrument.load(narrow_piano)


@pytest.fixture
def piano(loaded: Instrument, phrase: Samples) -> Instrument:
    loaded.clear()
    loaded.hear(phrase)
    return loaded


def collected(blocks: object) -> Samples:
    return np.concatenate(list(blocks))  # type: ignore[call-overload, no-any-return]


def test_a_continuation_is_the_lead_and_then_as_much_as_was_asked_for(piano: Instrument, phrase: Samples) -> None:
    lead_seconds = len(phrase) / RATE_HZ
    take = collected(piano.continuation(TakeRequest(seconds=0.3, seed=7, lead_seconds=lead_seconds)))
    assert len(take) == len(phrase) + round(0.3 * RATE_HZ)
    kept = len(phrase) - piano.crossfade_samples
    assert np.array_equal(take[:kept], phrase[:kept])
    assert np.isfinite(take).all()


def test_without_a_lead_it_is_only_the_new_sound_rising_from_silence(piano: Instrument) -> None:
    take = collected(piano.continuation(SHORT))
    assert len(take) == round(0.3 * RATE_HZ)
    assert abs(take[0]) < 1e-3
    assert abs(take[-1]) < 1e-3
    assert np.abs(take).max() > 1e-3


def test_the_lead_only_adds_what_came_before(piano: Instrument) -> None:
    alone = collected(piano.continuation(SHORT))
    led_in = collected(piano.continuation(TakeRequest(seconds=0.3, seed=7, lead_seconds=1.0)))
    cold_fade = round(0.005 * RATE_HZ)
    assert np.array_equal(led_in[-len(alone) + cold_fade :], alone[cold_fade:])


@pytest.mark.parametrize("cuts", [[1], [HOP, HOP + 1, 7000], list(range(997, 3 * RATE_HZ, 997))])
def test_how_the_input_is_cut_makes_no_difference(piano: Instrument, phrase: Samples, cuts: list[int]) -> None:
    at_once = collected(piano.continuation(SHORT))
    piano.clear()
    for start, stop in pairwise([0, *cuts, len(phrase)]):
        piano.hear(phrase[start:stop])
    assert np.array_equal(collected(piano.continuation(SHORT)), at_once)


def test_the_seed_decides_the_take(piano: Instrument) -> None:
    first, again = collected(piano.continuation(SHORT)), collected(piano.continuation(SHORT))
    other = collected(piano.continuation(TakeRequest(seconds=0.3, seed=8)))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_is_heard_meanwhile_does_not_change_a_running_take(piano: Instrument, phrase: Samples) -> None:
    undisturbed = collected(piano.continuation(SHORT))
    running = piano.continuation(SHORT)
    blocks = [next(running)]
    piano.hear(phrase[:20000])
    blocks.extend(running)
    assert np.array_equal(np.concatenate(blocks), undisturbed)


def test_a_closed_take_leaves_the_instrument_as_it_was(piano: Instrument) -> None:
    before = collected(piano.continuation(SHORT))
    running = piano.continuation(TakeRequest(seconds=60, seed=1))
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert np.array_equal(collected(piano.continuation(SHORT)), before)


class WatchedEngine(CpuEngine):
    """Counts the samplings that are under way, and the steps they made."""

    under_way = steps = 0

    def sampling(self, state: SamplerState, chunks: Iterable[Chunk]) -> Generator[Generated | None, None, None]:
        self.under_way += 1
        try:
            for step in super().sampling(state, chunks):
                self.steps += 1
                yield step
        finally:
            self.under_way -= 1


@pytest.mark.parametrize(
    "take",
    [
        lambda piano: piano.continuation(TakeRequest(seconds=60, seed=1)),
        lambda piano: piano.continuation(TakeRequest(seconds=60, seed=1, lead_seconds=0.5)),
        lambda piano: piano.generation(TakeRequest(seconds=60, seed=1)),
        lambda piano: piano.inpainting(TakeRequest(seconds=1, seed=1), 1.0, 1.4),
        lambda piano: piano.inpainting(TakeRequest(seconds=1, seed=1, lead_seconds=9, tail_seconds=9), 1.0, 1.4),
    ],
    ids=["continuation", "led in", "generation", "inpainting", "with all around it"],
)
def test_to_close_a_take_stops_the_engine(
    loaded: Instrument, phrase: Samples, take: Callable[[Instrument], Generator[Samples, None, None]]
) -> None:
    engine = WatchedEngine(loaded.preset, 1)
    piano = Instrument(loaded.preset, engine)
    piano.hear(phrase)
    running = take(piano)
    while engine.steps < 3:
        next(running)
    assert engine.under_way == 1
    running.close()
    assert engine.under_way == 0


def test_an_instrument_may_begin_where_another_one_was(piano: Instrument, phrase: Samples) -> None:
    piano.clear()
    piano.hear(np.concatenate([phrase, phrase]))
    repainted = collected(piano.inpainting(SHORT, 4.0, 4.5))
    take, heard_seconds = collected(piano.continuation(SHORT)), piano.heard_seconds
    piano.hear(phrase[::-1].copy())
    begun = piano.begin_at(HOP + 1)
    assert begun == 2 * HOP  # on a frame's centre
    piano.hear(np.concatenate([phrase, phrase])[begun:])
    assert piano.heard_seconds == heard_seconds
    assert len(collected(piano.inpainting(SHORT, 4.0, 4.5))) == len(repainted)
    again = collected(piano.continuation(SHORT))
    assert len(again) == len(take)
    with pytest.raises(ValueError, match=rf"which holds {begun / RATE_HZ:g} s to 6 s"):
        piano.inpainting(SHORT, 0.01, 0.5)
    piano.clear()
    piano.begin_at(0)
    piano.hear(np.concatenate([phrase, phrase]))
    assert np.array_equal(collected(piano.continuation(SHORT)), take)


@pytest.mark.parametrize("chunk_frames", [SMALLEST_CHUNK, 2 * SMALLEST_CHUNK])
def test_a_take_may_choose_its_chunks(piano: Instrument, chunk_frames: int) -> None:
    take = collected(piano.continuation(TakeRequest(seconds=0.3, seed=7, chunk_frames=chunk_frames)))
    assert len(take) == round(0.3 * RATE_HZ)


def test_repainting_leaves_everything_else_alone(piano: Instrument, phrase: Samples) -> None:
    request = TakeRequest(seconds=1, seed=7, lead_seconds=10, tail_seconds=10)
    take = collected(piano.inpainting(request, 1.0, 1.4))
    start, stop, fade = RATE_HZ, round(1.4 * RATE_HZ), piano.crossfade_samples
    assert len(take) == len(phrase)
    assert np.array_equal(take[: start - fade], phrase[: start - fade])
    assert np.array_equal(take[stop + fade :], phrase[stop + fade :])
    assert not np.array_equal(take[start:stop], phrase[start:stop])


def test_repainting_alone_yields_just_the_part(piano: Instrument) -> None:
    assert len(collected(piano.inpainting(SHORT, 1.0, 1.25))) == round(1.25 * RATE_HZ) - RATE_HZ


@pytest.mark.parametrize(("start", "stop"), [(0.0, 0.2), (2.8, 3.0), (2.6, 2.9)])
def test_repainting_reaches_the_ends_of_the_tape(piano: Instrument, start: float, stop: float) -> None:
    request = TakeRequest(seconds=1, seed=7, lead_seconds=10, tail_seconds=10)
    take = collected(piano.inpainting(request, start, stop))
    assert len(take) == 3 * RATE_HZ
    assert np.isfinite(take).all()


def test_a_generation_needs_nothing_heard(loaded: Instrument) -> None:
    loaded.clear()
    assert len(collected(loaded.generation(SHORT))) == round(0.3 * RATE_HZ)


class ChunkKeepingEngine(ReferenceEngine):
    """Keeps what it is asked to make, and makes nothing of it."""

    def __init__(self, preset: Preset) -> None:
        super().__init__(preset.model())
        self.chunks: list[Chunk] = []

    def sampling(self, state: SamplerState, chunks: Iterable[Chunk]) -> Generator[Generated | None, None, None]:
        for chunk in chunks:
            self.chunks.append(chunk)
            yield Generated(np.zeros_like(chunk.noise.normal), state)


NOTES = (Note(0.1, 0.3, 60, 100), Note(0.25, 0.6, 72, 50))


@pytest.mark.parametrize("heard_samples", [0, 2 * RATE_HZ + 77, 3 * RATE_HZ])
def test_notes_of_a_take_are_counted_from_where_its_sound_begins(
    loaded: Instrument, phrase: Samples, heard_samples: int
) -> None:
    engine = ChunkKeepingEngine(loaded.preset)
    piano = Instrument(loaded.preset, engine)
    piano.hear(phrase[:heard_samples])
    request = TakeRequest(seconds=1.0, seed=1, notes=NOTES)
    collected(piano.continuation(request) if heard_samples else piano.generation(request))
    mapped = np.concatenate([chunk.known.notes[0] for chunk in engine.chunks])  # type: ignore[index]
    join_s, join_frame = heard_samples / RATE_HZ, round(heard_samples / HOP)
    heard_frames = (heard_samples - SOUND.window_samples // 2) // HOP + 1 if heard_samples else 0
    first_frame = heard_frames // CHUNK * CHUNK  # the state holds all whole chunks that were heard
    later = [replace(note, onset_s=join_s + note.onset_s, end_s=join_s + note.end_s) for note in NOTES]
    expected = note_map(later, first_frame, len(mapped), loaded.sound, loaded.preset.config.model.note_partials)
    expected[: join_frame - first_frame] = 0
    np.testing.assert_array_equal(mapped, expected)


def test_notes_of_a_repainted_part_are_known_inside_it_only(loaded: Instrument, phrase: Samples) -> None:
    engine = ChunkKeepingEngine(loaded.preset)
    piano = Instrument(loaded.preset, engine)
    piano.hear(phrase)
    collected(piano.inpainting(TakeRequest(seconds=1, seed=1, notes=NOTES), 1.0, 1.8))
    mapped = np.concatenate([chunk.known.notes[0] for chunk in engine.chunks])  # type: ignore[index]
    made = np.flatnonzero(~np.concatenate([chunk.forced.mask for chunk in engine.chunks]))  # type: ignore[union-attr]
    first_frame = round(RATE_HZ / HOP) // CHUNK * CHUNK  # whole chunks before the frame where the part begins
    onsets = [round(second * RATE_HZ / HOP) - first_frame for second in (1.1, 1.25)]
    assert np.flatnonzero(mapped[..., 1].any(1)).tolist() == onsets
    assert not mapped[made[-1] + 1 :].any()


def test_notes_change_a_take_and_no_notes_are_not_silence(piano: Instrument) -> None:
    free, silent, played = (
        collected(piano.continuation(TakeRequest(seconds=0.5, seed=7, notes=notes))) for notes in (None, (), NOTES)
    )
    assert not np.array_equal(free, silent)
    assert not np.array_equal(silent, played)


def test_a_preset_without_note_channels_says_so(loaded: Instrument) -> None:
    config = loaded.preset.config
    deaf = replace(
        loaded.preset,
        config=config.model_copy(update={"model": config.model.model_copy(update={"note_conditioning": False})}),
    )
    with pytest.raises(ValueError, match="preset 'piano' follows no notes"):
        Instrument(deaf, loaded.engine).generation(TakeRequest(seconds=1, seed=1, notes=NOTES))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (TakeRequest(seconds=0, seed=1), "seconds is 0"),
        (TakeRequest(seconds=float("nan"), seed=1), "seconds is nan"),
        (TakeRequest(seconds=1e9, seed=1), "at most 600"),
        (TakeRequest(seconds=1, seed=-1), "seed is -1"),
        (TakeRequest(seconds=1, seed=1, chunk_frames=SMALLEST_CHUNK + 2), f"multiple of {SMALLEST_CHUNK}"),
        (TakeRequest(seconds=1, seed=1, lead_seconds=-1), "lead_seconds is -1"),
        (TakeRequest(seconds=1, seed=1, temperature=0.0), "temperature is 0"),
        (TakeRequest(seconds=1, seed=1, bias=float("inf")), "bias is inf"),
    ],
)
def test_a_request_out_of_range_is_refused(piano: Instrument, request_: TakeRequest, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        piano.continuation(request_)


def test_nothing_heard_is_nothing_to_continue(loaded: Instrument) -> None:
    loaded.clear()
    with pytest.raises(ValueError, match="nothing was heard yet"):
        loaded.continuation(SHORT)


@pytest.mark.parametrize(("start", "stop"), [(-1.0, 1.0), (2.0, 1.0), (1.0, 1.0), (2.0, 99.0)])
def test_a_part_that_is_not_on_the_tape_is_refused(piano: Instrument, start: float, stop: float) -> None:
    with pytest.raises(ValueError, match=r"the tape, which holds 0 s to 3 s"):
        piano.inpainting(SHORT, start, stop)


def test_an_unknown_engine_or_preset_is_answered_with_the_choices() -> None:
    with pytest.raises(ValueError, match="there are: cpu, cpu-bf16, reference"):
        Instrument.load("piano", engine="warp")
    with pytest.raises(ValueError, match="piano"):
        Instrument.load("pianoo")


@pytest.mark.parametrize("part", [None, (1.0, 1.5)])
def test_a_take_is_made_again_from_its_prompt(
    loaded: Instrument, phrase: Samples, part: tuple[float, float] | None
) -> None:
    request = TakeRequest(seconds=0.5, seed=3, lead_seconds=0.4, tail_seconds=0.3)

    def made(instrument: Instrument) -> Samples:
        return collected(instrument.inpainting(request, *part) if part else instrument.continuation(request))

    loaded.clear()
    loaded.hear(np.tile(phrase, 9))  # longer than the context: the first of it is in the state alone
    prompt = loaded.prompt(request, part)
    take = made(loaded)
    assert len(prompt["audio"]) < 22 * RATE_HZ
    loaded.clear()
    loaded.hear(phrase[::-1].copy())
    loaded.remember({name: array.copy() for name, array in prompt.items()})
    assert np.array_equal(made(loaded), take)


def test_a_prompt_of_another_model_is_refused(piano: Instrument) -> None:
    prompt = piano.prompt(SHORT)
    with pytest.raises(ValueError, match="the prompt is not whole"):
        piano.remember({name: array for name, array in prompt.items() if name != "audio"})
    with pytest.raises(ValueError, match="it was saved with another preset"):
        piano.remember({**prompt, "state.0.previous": np.zeros((1, 3), np.float32)})


@pytest.mark.parametrize("played", ["noise", "a full-scale tone", "clicks", "clipped music"])
def test_whatever_is_played_new_sound_hurts_nobody(loaded: Instrument, phrase: Samples, played: str) -> None:
    """A model may go astray on what it never heard; how loud its sound gets is bounded all the same."""
    times, random = np.arange(2 * RATE_HZ), np.random.default_rng(1)
    heard = {
        "noise": 0.3 * random.standard_normal(2 * RATE_HZ),
        "a full-scale tone": np.sin(2 * np.pi * 997 / RATE_HZ * times),
        "clicks": 1.0 * (times % 5000 == 0),
        "clipped music": np.clip(30 * phrase[: 2 * RATE_HZ], -1, 1),
    }[played].astype(np.float32)
    loaded.clear()
    loaded.hear(heard)
    frames = LogMelStream(loaded.sound).push(heard)
    ceiling = POWER_RATIO * max(frame_powers(frames).max(), loud_power(loaded.preset.weights))
    take = collected(loaded.continuation(TakeRequest(seconds=3.0, seed=2)))
    assert np.abs(take).max() <= 1.0
    # the vocoder's sound has these frames only nearly
    assert frame_powers(LogMelStream(loaded.sound).push(take)).max() <= 2 * ceiling
