"""Rhythms of accompaniment: where in a bar a part strikes, and for how long."""

from __future__ import annotations

Hit = tuple[float, float]
"""(beat in the bar, duration in beats)."""

_FOUR: dict[str, tuple[Hit, ...]] = {
    "backbeat": ((1.0, 0.6), (3.0, 0.6)),
    "bossa": ((0.0, 0.9), (1.5, 0.9), (3.0, 0.4)),
    "charleston": ((0.0, 1.3), (1.5, 0.5)),
    "four": ((0.0, 0.6), (1.0, 0.6), (2.0, 0.6), (3.0, 0.6)),
    "habanera": ((0.0, 0.5), (1.5, 0.5), (2.0, 0.5), (3.0, 0.5)),
    "stabs": ((1.5, 0.5), (2.5, 0.5)),
    "strum": ((0.0, 1.0), (1.0, 0.5), (1.5, 0.5), (2.5, 0.5), (3.0, 0.5), (3.5, 0.5)),
    "syncopated": ((0.0, 1.4), (1.5, 0.5), (2.5, 1.0), (3.5, 0.5)),
    "root-fifth": ((0.0, 1.5), (2.0, 1.5)),
}
_THREE: dict[str, tuple[Hit, ...]] = {
    "backbeat": ((1.0, 0.6), (2.0, 0.6)),
    "charleston": ((0.0, 1.3), (1.5, 0.5)),
    "waltz": ((1.0, 0.7), (2.0, 0.7)),
    "root-fifth": ((0.0, 1.8), (2.0, 0.9)),
}
_STEP_BEATS = {"quarters": 1.0, "eighths": 0.5, "sixteenths": 0.25, "octaves": 0.5, "pulses": 1.5}


def hits(name: str, meter: str, bar_beats: float) -> tuple[Hit, ...]:
    """One bar of a rhythm; in a meter that does not know it, its pulses or quarters."""
    if name in ("held", "downbeat"):
        return ((0.0, bar_beats if name == "held" else 1.0),)
    if name == "offbeats":
        return tuple((beat + 0.5, 0.4) for beat in range(int(bar_beats)))
    known = {"4/4": _FOUR, "3/4": _THREE}.get(meter, {})
    if name in known:
        return known[name]
    step_beats = _STEP_BEATS.get(name, 1.0)
    if meter == "6/8" and step_beats == 1.0:
        step_beats = 1.5
    elif meter != "6/8" and step_beats == 1.5:
        step_beats = 1.0
    return tuple((index * step_beats, 0.9 * step_beats) for index in range(round(bar_beats / step_beats)))


def hits_within(
    name: str, meter: str, bar_beats: float, onset_beat: float, duration_beats: float
) -> list[tuple[float, float]]:
    """The strikes (onset beat, duration) of a rhythm while a chord sounds; a held one strikes once."""
    if name == "held":
        return [(onset_beat, duration_beats)]
    in_bar = onset_beat % bar_beats
    start_beat = onset_beat - in_bar
    end_beat = onset_beat + duration_beats
    return [
        (start_beat + beat, min(beats, end_beat - start_beat - beat))
        for beat, beats in hits(name, meter, bar_beats)
        if in_bar <= beat + 1e-6 and start_beat + beat < end_beat - 1e-6
    ]
