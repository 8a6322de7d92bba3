"""Taking in audio input and played notes, and having the instrument hear what came in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bridge.audio.shared_samples import Samples
from bridge.player.heartbeat import beat
from bridge.player.state import PlayerState
from bridge.processes.messages import Heard, Listen, MeasureSurprise, Refusal, Report, Surprised
from bridge.tape.note_tape import TapedNote

if TYPE_CHECKING:
    from melnet_music.instrument.instrument import Instrument
    from melnet_music.notes.note_map import Note

_TOLD_EVERY_SECONDS = 0.25
"""Of what is heard while it listens."""


def listen(state: PlayerState, request: Listen) -> None:
    """Begin or end listening to the input."""
    if request.listening and state.sound.input_hz is None:
        state.tell(Refusal(request.number, "no_input", "there is no audio input; start with --audio-in"))
        return
    take_in_input(state)  # what came before counts, however busy this process was
    state.live_input.listen(request.listening)
    state.tell(Report(request.number, "done"))


def measure_surprise(state: PlayerState, request: MeasureSurprise) -> None:
    """Begin or end judging what is heard."""
    state.measures_surprise = request.on
    if state.instrument:
        state.instrument.measure_surprise(request.on)


def take_in_input(state: PlayerState) -> None:
    """Empty the input ring onto the tape, and hold it until it is heard."""
    rate_hz = state.instrument.sample_rate_hz if state.instrument else None
    latency_seconds = state.sound.output_latency_seconds + state.sound.input_latency_seconds
    # how long after what is played with it the input comes, in device time
    late_samples = round((latency_seconds - state.sound.input_offset_seconds) * (state.sound.output_hz or 0))
    state.live_input.take_in(rate_hz, state.clock(), late_samples)


def hear_input(state: PlayerState, most_seconds: float) -> None:
    """Have the instrument hear about so much of the input that is held, oldest first. A preset must be loaded."""
    instrument = state.loaded_instrument()
    most_samples = most_seconds * instrument.sample_rate_hz
    heard_samples = 0
    while state.live_input.holds_some and heard_samples < most_samples:
        samples = state.live_input.next_held()
        hear(state, instrument, samples)
        heard_samples += len(samples)


def hear(state: PlayerState, instrument: Instrument, samples: Samples) -> None:
    """Have the instrument hear samples float32[N] at its rate, and keep them for another preset or player."""
    beat(state)  # a minute may be waiting to be heard, all in one step
    instrument.hear(samples)
    if state.measures_surprise:
        for surprise in instrument.surprises():
            state.tell(Surprised(surprise.nats, surprise.over_usual))
    state.prompt_memory.remember(samples)


def record_notes(state: PlayerState, notes: Iterable[Note]) -> None:
    """Put notes that were played, in monotonic seconds, on the tape where the musician heard himself play them."""
    if state.clock():
        places = [(state.heard_sample_at(note.onset_s), state.heard_sample_at(note.end_s), note) for note in notes]
        taped = [TapedNote(round(start), round(stop), n.pitch, n.velocity) for start, stop, n in places]
        state.tape.notes.add("played", taped)


class HeardReports:
    """Tells the stage how much was heard and missed, when that has changed enough."""

    def __init__(self, state: PlayerState) -> None:
        self._state = state
        self._told = Heard(0.0, 0.0)

    def tell(self) -> None:
        """Call it once a round of the loop."""
        state = self._state
        if state.instrument is None:
            return
        missed_seconds = state.live_input.missed_samples / state.instrument.sample_rate_hz
        heard = Heard(state.instrument.heard_seconds, missed_seconds)
        changed = abs(heard.seconds - self._told.seconds)
        if changed >= _TOLD_EVERY_SECONDS or (changed and not state.live_input.listening):
            state.tell(heard)
            self._told = heard
