"""The planned notes of takes on their way out: told to subscribers, and sent to MIDI outputs in time with the sound."""

from __future__ import annotations

from collections.abc import Callable

from bridge.midi.notes_script import EndNotes, MoveNotes, NotesRequest, PlayNotes
from bridge.osc.answers import Answers, flat
from bridge.processes.messages import PlannedNotesDropped, PlannedNotesKnown, PlannedNotesMoved
from bridge.stage.device_transport import DeviceTransport


class PlannedNotesOut:
    """Belongs to the daemon's one thread; nothing here waits."""

    def __init__(
        self, answers: Answers, transport: DeviceTransport, send: Callable[[NotesRequest], None] | None
    ) -> None:
        """``send`` passes a request to what sends notes by MIDI, and must not wait; None: nothing does."""
        self._answers, self._transport = answers, transport
        self._send = send or (lambda request: None)

    def known(self, event: PlannedNotesKnown) -> None:
        """Pass on notes that are to sound."""
        self._send(PlayNotes(event.number, event.notes, self._transport.heard_clock()))
        for first_sample, stop_sample, key, velocity in event.notes:
            place = self._transport.place_of(first_sample)
            told = {
                "take": event.number,
                "key": key,
                "velocity": velocity,
                "bar": place.bar + 1,
                "beat": place.beat + 1.0,
                "beats": self._transport.beat_of(stop_sample) - self._transport.beat_of(first_sample),
                "start_in": self._transport.seconds_until(first_sample),
            }
            self._answers.tell("plan", flat(told))

    def moved(self, event: PlannedNotesMoved) -> None:
        """The notes of a take are later, or earlier, than was told."""
        self._send(MoveNotes(event.number, event.by_samples))

    def dropped(self, event: PlannedNotesDropped) -> None:
        """The notes that were told of a take are to be planned anew."""
        self._send(EndNotes(event.number))

    def end(self, number: int, at_sample: float | None = None) -> None:
        """A take ends before its time: what is left of its notes is dropped, and what sounds of them released.

        Args:
            at_sample: where, in device time; None: here.
        """
        self._send(EndNotes(number, self._transport.now_sample if at_sample is None else at_sample))

    def end_all(self) -> None:
        """All takes end here."""
        self._send(EndNotes(None, self._transport.now_sample))

    def stop(self) -> None:
        """There is no sound any more: release at once what sounds."""
        self._send(EndNotes())
