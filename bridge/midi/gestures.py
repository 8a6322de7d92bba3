"""Gestures decoded from MIDI messages: keys, controls of 7 or 14 bits, pitch bend, pressure, program changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from bridge.midi.ports import MidiEvent

GestureKind = Literal["note", "cc", "cc14", "nrpn", "bend", "pressure", "key_pressure", "program"]
GESTURE_KINDS: tuple[GestureKind, ...] = get_args(GestureKind)
COARSE, FINE = 127, 16383
"""The highest values of 7 and of 14 bits."""
STEPS: dict[GestureKind, int] = {kind: FINE if kind in ("cc14", "nrpn", "bend") else COARSE for kind in GESTURE_KINDS}
EncoderCounts = Literal["twos", "offset", "sign"]
"""How an endless encoder sends one step up and one down: 1 and 127, 65 and 63, or 1 and 65."""
ENCODER_COUNTS: tuple[EncoderCounts, ...] = get_args(EncoderCounts)
SUSTAIN = 64
PEDAL_DOWN_FROM = 64
FIRST_MODE_CONTROL = 120
"""Control numbers from here on are channel mode messages."""
ALL_SOUND_OFF, RESET_CONTROLLERS, ALL_NOTES_OFF = 120, 121, 123
DATA_CONTROLS = (6, 38, 96, 97, 98, 99, 100, 101)
"""The control numbers that make up NRPN and RPN."""
_BEND_CENTRE = 8192
_NOTE_OFF, _NOTE_ON, _KEY_PRESSURE, _CONTROL, _PROGRAM, _PRESSURE, _BEND = range(0x80, 0xF0, 0x10)
_LENGTHS = {_PROGRAM: 2, _PRESSURE: 2}
_DATA_COARSE, _DATA_FINE, _NRPN_FINE, _NRPN_COARSE, _RPN_FINE, _RPN_COARSE = 6, 38, 98, 99, 100, 101


@dataclass(frozen=True)
class Gesture:
    """One movement of a control. A key release, by note-off or by a note-on of velocity 0, is a note of value 0."""

    port: str
    at_seconds: float
    channel: int
    """1 to 16."""
    kind: GestureKind
    number: int
    """Of key, control or program, from 0; 0 where there is only one."""
    value: int
    """0 to `STEPS` of its kind."""

    @property
    def position(self) -> float:
        """0 to 1; the centre of pitch bend is exactly 0.5."""
        return position_of(self.kind, self.value)


def position_of(kind: GestureKind, value: int) -> float:
    """The position of a control, 0 to 1, by its value."""
    if kind != "bend":
        return value / STEPS[kind]
    if value <= _BEND_CENTRE:
        return value / (2 * _BEND_CENTRE)
    return 0.5 + (value - _BEND_CENTRE) / (2 * (FINE - _BEND_CENTRE))


def encoder_steps(counts: EncoderCounts, value: int) -> int:
    """Steps that an encoder was turned, positive for up, by the value of its control."""
    match counts:
        case "twos":
            return value if value < 64 else value - 128
        case "offset":
            return value - 64
        case "sign":
            return value if value < 64 else 64 - value


def value_at(kind: GestureKind, position: float) -> int:
    """The value of a control at a position: the inverse of `position_of`."""
    if kind != "bend":
        return round(position * STEPS[kind])
    if position <= 0.5:
        return round(position * 2 * _BEND_CENTRE)
    return _BEND_CENTRE + round((position - 0.5) * 2 * (FINE - _BEND_CENTRE))


def messages_for(kind: GestureKind, channel: int, number: int, value: int) -> list[bytes]:
    """The MIDI messages that send a value to a control; none for kinds that receive nothing."""
    status, coarse, fine = channel - 1, value >> 7, value & 0x7F
    match kind:
        case "note":
            return [bytes([_NOTE_ON | status, number, value])]
        case "cc":
            return [bytes([_CONTROL | status, number, value])]
        case "cc14":
            return [bytes([_CONTROL | status, number, coarse]), bytes([_CONTROL | status, number + 32, fine])]
        case "nrpn":
            pairs = (
                (_NRPN_COARSE, number >> 7), (_NRPN_FINE, number & 0x7F), (_DATA_COARSE, coarse), (_DATA_FINE, fine)
            )  # fmt: skip
            return [bytes([_CONTROL | status, control, data]) for control, data in pairs]
        case "bend":
            return [bytes([_BEND | status, fine, coarse])]
        case _:
            return []


@dataclass
class _Channel:
    """What one channel has sent that later messages depend on."""

    coarse: dict[int, int] = field(default_factory=dict)
    """Upper seven bits, by control."""
    nrpn: list[int] = field(default_factory=lambda: [COARSE, COARSE])
    """Upper and lower bits of the selected parameter number; all ones: none is selected."""
    data: int = 0
    """Upper bits of its value."""

    @property
    def nrpn_number(self) -> int | None:
        number = self.nrpn[0] << 7 | self.nrpn[1]
        return None if number == FINE else number


class GestureReader:
    """Decodes messages. One may be several gestures: control 33 may stand alone, or be the fine half of control 1."""

    def __init__(self) -> None:
        self._channels: dict[tuple[str, int], _Channel] = {}

    def read(self, event: MidiEvent) -> list[Gesture]:
        """The gestures of a message; none where it is no channel message, or incomplete."""
        if not event.data or not 0x80 <= event.data[0] < 0xF0:
            return []
        kind, channel = event.data[0] & 0xF0, (event.data[0] & 0x0F) + 1
        if len(event.data) != _LENGTHS.get(kind, 3) or max(event.data[1:]) > COARSE:
            return []
        first, last = event.data[1], event.data[-1]

        def gesture(kind: GestureKind, number: int, value: int) -> Gesture:
            return Gesture(event.port, event.at_seconds, channel, kind, number, value)

        match kind:
            case 0x80:
                return [gesture("note", first, 0)]
            case 0x90:
                return [gesture("note", first, last)]
            case 0xA0:
                return [gesture("key_pressure", first, last)]
            case 0xC0:
                return [gesture("program", first, 0)]
            case 0xD0:
                return [gesture("pressure", 0, first)]
            case 0xE0:
                return [gesture("bend", 0, last << 7 | first)]
        state = self._channels.setdefault((event.port, channel), _Channel())
        long = _read_14_bits(state, first, last)
        return [gesture("cc", first, last), *(gesture(kind, number, value) for kind, number, value in long)]

    def forget(self, port: str) -> None:
        """Drop the state of a port that is gone."""
        for key in [key for key in self._channels if key[0] == port]:
            del self._channels[key]


def _read_14_bits(state: _Channel, control: int, data: int) -> list[tuple[GestureKind, int, int]]:
    """The 14-bit gestures of a control change; new upper bits mean lower bits of 0, until those come."""
    if control in (_NRPN_COARSE, _NRPN_FINE):
        state.nrpn[control == _NRPN_FINE] = data
    elif control in (_RPN_COARSE, _RPN_FINE):
        state.nrpn = [COARSE, COARSE]
    elif control in (_DATA_COARSE, _DATA_FINE) and state.nrpn_number is not None:
        state.data = data if control == _DATA_COARSE else state.data
        fine = data if control == _DATA_FINE else 0
        return [("nrpn", state.nrpn_number, state.data << 7 | fine)]
    elif control < 32:
        state.coarse[control] = data
        return [("cc14", control, data << 7)]
    elif control < 64 and control - 32 in state.coarse:
        return [("cc14", control - 32, state.coarse[control - 32] << 7 | data)]
    return []
