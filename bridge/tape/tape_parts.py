"""What lies where on the tape, as clients are told it: what was heard, what was made, what is repainted and looped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bridge.takes.take_list import TakeList
from bridge.tape.tape_index import TapeIndex
from bridge.tape.tape_memory import TapeMemory

_MOST = 64

What = Literal["heard", "made", "repainted", "loop"]


@dataclass(frozen=True)
class TapePart:
    """A part of the tape, in device time. Later ones lie over earlier ones."""

    what: What
    first: int
    stop: int
    take: int = 0
    """The take that it is of; 0: of none."""
    pass_at: int | None = None
    """Of a loop: where a pass begins."""


def tape_parts(memory: TapeMemory, index: TapeIndex, takes: TakeList, now_sample: int) -> list[TapePart]:
    """The parts, from below to above; of very many the latest.

    Args:
        now_sample: device time up to which a take that still sounds is counted.
    """
    oldest, _ = memory.span
    parts = [TapePart("heard", *memory.span_of("heard"))]
    for each in index.sounded.values():
        stop = now_sample if each.stop is None else each.stop
        parts.append(TapePart("heard", each.first, min(each.new_from, stop), each.number))
        parts.append(TapePart("made", each.new_from, stop, each.number))
    edits = (takes.get(number) for number in index.takes)
    parts += [TapePart("repainted", *edit.job.span, edit.number) for edit in edits if edit and edit.job.span]
    parts = [part for part in parts if part.first < part.stop and part.stop > oldest][-_MOST:]
    if index.loop:
        parts.append(TapePart("loop", *index.loop.span, pass_at=index.loop.at))
    return parts
