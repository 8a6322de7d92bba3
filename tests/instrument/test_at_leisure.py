"""A take that is made at leisure is the same to the bit, in short steps between which nothing is done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.model.preset import PHRASE_FILE
from melnet_music.notes.note_map import Note
from melnet_music.sampling.cpu.engine import CpuEngine
from melnet_music.sound.audio_file import read_audio

Samples = npt.NDArray[np.float32]
START, STOP = 1.0, 1.3
ALONE = TakeRequest(seconds=0.3, seed=7)
IN_CONTEXT = replace(ALONE, lead_seconds=0.3, tail_seconds=0.2, notes=(Note(0.1, 0.2, 60, 90),))


@pytest.fixture(scope="module")
def piano(narrow_piano: Path) -> Instrument:
    instrument = Instrument.load(narrow_piano, threads=3)
    rate_hz = instrument.sample_rate_hz
    instrument.hear(read_audio(narrow_piano / PHRASE_FILE).mono_at(rate_hz)[: 3 * rate_hz])
    return instrument


def made(instrument: Instrument, request: TakeRequest, kind: str) -> Iterator[Samples]:
    if kind == "inpainting":
        return instrument.inpainting(request, START, STOP)
    return instrument.continuation(request)


@pytest.mark.parametrize("kind", ["continuation", "inpainting"])
def test_it_is_the_same_and_no_thread_works_between_its_steps(piano: Instrument, kind: str) -> None:
    assert isinstance(piano.engine, CpuEngine)
    crew, blocks = piano.engine._crew, []
    for block in made(piano, replace(IN_CONTEXT, at_leisure=True), kind):
        blocks.append(np.array(block))
        assert not crew._tasks
        assert not crew._running
    np.testing.assert_array_equal(np.concatenate(blocks), np.concatenate(list(made(piano, IN_CONTEXT, kind))))


def test_what_is_heard_before_a_part_is_heard_in_steps(piano: Instrument) -> None:
    blocks = [np.array(block) for block in made(piano, replace(ALONE, at_leisure=True), "inpainting")]
    empty = next(place for place, block in enumerate(blocks) if len(block))
    assert empty >= int(START / piano.chunk_seconds)
    longest = max(len(block) for block in blocks)
    assert longest <= 2 * piano.chunk_seconds * piano.sample_rate_hz


def test_two_of_them_may_take_turns(piano: Instrument) -> None:
    request, kinds = replace(ALONE, at_leisure=True), ("continuation", "inpainting")
    turns = zip_longest(*(made(piano, request, kind) for kind in kinds), fillvalue=np.zeros(0, np.float32))
    pieces = [(np.array(one), np.array(other)) for one, other in turns]
    for kind, blocks in zip(kinds, zip(*pieces, strict=True), strict=True):
        alone = np.concatenate(list(made(piano, request, kind)))
        np.testing.assert_array_equal(np.concatenate(blocks), alone)
