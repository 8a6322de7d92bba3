"""Gestures from MIDI bytes, soft takeover, MIDI learn, and the values sent back to controllers."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.midi.controller import Action, Learned, MidiController, NotLearned, PhraseKeyDown
from bridge.midi.gestures import EncoderCounts, GestureReader, messages_for, position_of, value_at
from bridge.midi.held_notes import HeldNotes, Released
from bridge.midi.mapping import Source
from bridge.midi.mapping_file import MidiMapFile
from bridge.midi.ports import MidiEvent, MidiPorts, SendMidi
from bridge.midi.soft_takeover import NEAR, SoftTakeover
from bridge.processes.messages import Key, Pedal
from bridge.protocol.errors import CommandError
from bridge.protocol.table import COMMANDS, PROPERTIES
from bridge.protocol.types import Invocation, Value


def read(*messages: bytes, port: str = "pad") -> list[tuple[str, int, int, int]]:
    reader = GestureReader()
    gestures = [each for data in messages for each in reader.read(MidiEvent(port, 0.0, data))]
    return [(each.kind, each.channel, each.number, each.value) for each in gestures]


def test_messages_are_read_as_what_hands_do() -> None:
    assert read(b"\x90\x3c\x64", b"\x90\x3c\x00", b"\x8f\x3c\x40") == [
        ("note", 1, 60, 100), ("note", 1, 60, 0), ("note", 16, 60, 0)
    ]  # fmt: skip
    assert read(b"\xc0\x04", b"\xd1\x07", b"\xa0\x3c\x05", b"\xe0\x00\x40") == [
        ("program", 1, 4, 0), ("pressure", 2, 0, 7), ("key_pressure", 1, 60, 5), ("bend", 1, 0, 8192)
    ]  # fmt: skip
    assert read(b"\xf8", b"\xf2\x00\x00", b"", b"\x90", b"\x90\x3c", b"\x3c\x40", b"\x90\x3c\xff") == []


@given(st.sampled_from(["cc14", "nrpn", "bend", "cc", "note"]), st.integers(1, 16), st.integers(0, 31), st.data())
def test_what_is_shown_is_read_back(kind: str, channel: int, number: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, 127 if kind in ("cc", "note") else 16383))
    number = 0 if kind == "bend" else number or 1
    number = number if number not in (6, 38) else 7
    gestures = read(*messages_for(kind, channel, number, value))  # type: ignore[arg-type]
    assert (kind, channel, number, value) in (gestures[0], gestures[-1])  # 7 bits may be half of 14
    position = position_of(kind, value)  # type: ignore[arg-type]
    assert 0.0 <= position <= 1.0
    assert value_at(kind, position) == value  # type: ignore[arg-type]


turns = st.lists(
    st.one_of(
        st.tuples(st.just("turn"), st.floats(0, 1)),
        st.tuples(st.just("set"), st.floats(0, 1)),
    ),
    max_size=30,
)


@given(st.floats(0, 1), turns)
@example(0.0, [("turn", 0.0), ("turn", 0.5), ("set", 1.0), ("turn", 0.0), ("set", 0.5), ("turn", 0.0)])
def test_a_property_never_jumps_to_a_knob(present: float, moves: list[tuple[str, float]]) -> None:
    takeover, knob, is_held = SoftTakeover(), None, False
    for what, position in moves:
        if what == "set":
            is_held = is_held and position == present
            present = position
            continue
        arrives = abs(position - present) <= NEAR or (
            knob is not None and min(knob, position) <= present <= max(knob, position)
        )
        knob = position
        assert takeover.takes_hold(position, present) == (is_held or arrives)
        if is_held or arrives:
            present, is_held = position, True
            takeover.leave_at(present)


players = st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 2))
touches = st.lists(st.tuples(players, st.sampled_from(["strike", "release", "down", "up", "leave"]), st.integers(0, 3)))


@given(touches)
def test_a_key_is_up_when_nobody_holds_it(moves: list[tuple[tuple[str, int], str, int]]) -> None:
    held, keys, pedal, holders = HeldNotes(), set[int](), False, set[tuple[tuple[str, int], int]]()
    pedals = set[tuple[str, int]]()
    for who, what, key in moves:
        match what:
            case "strike":
                held.press(who, key)
                keys.add(key)
                holders.add((who, key))
            case "release":
                keys -= {key} if held.release(who, key) else set()
                holders.discard((who, key))
            case "down":
                pedal = held.press_pedal(who) or pedal
                pedals.add(who)
            case "up":
                pedal = pedal and not held.lift_pedal(who)
                pedals.discard(who)
            case _:
                released = held.release_all(lambda each, port=who[0]: each[0] == port)
                keys -= set(released.keys)
                pedal = pedal and not released.pedal
                holders = {(each, key) for each, key in holders if each[0] != who[0]}
                pedals = {each for each in pedals if each[0] != who[0]}
        assert keys == {key for _, key in holders}
        assert pedal == bool(pedals)
    assert set(held.release_all(lambda _: True).keys) == keys
    assert held.release_all(lambda _: True) == Released((), False)


class Desk:
    """A controller, the properties that it changes and all that it does and shows."""

    def __init__(self, path: Path, text: str = "") -> None:
        if text:
            path.write_text(text)
        self.shown: list[bytes] = []
        self.controller: MidiController[str] = MidiController(
            lambda order: self.shown.append(order.data), MidiMapFile(path)
        )
        self.properties: dict[str, Value | None] = {}
        for name, argument in PROPERTIES.items():
            self.set(name, argument.default)
        self.plug("pad", outputs=("pad",))
        self.now = 0.0

    def set(self, name: str, value: Value | None) -> None:
        self.properties[name] = value
        self.controller.property_changed(name, value)

    def plug(self, *inputs: str, outputs: tuple[str, ...] = ()) -> list[Action[str]]:
        return list(self.controller.ports_changed(MidiPorts(inputs, outputs)))

    def hear(self, *data: int, port: str = "pad") -> list[Action[str]]:
        """What is left to do when the properties are set."""
        self.now += 1.0
        left: list[Action[str]] = []
        for action in self.controller.receive(MidiEvent(port, self.now, bytes(data))):
            if isinstance(action, Invocation) and action.command.name == "set":
                self.set(str(action.arguments["name"]), action.arguments["value"])
            else:
                left.append(action)
        return left

    def show(self) -> list[bytes]:
        """What the controllers were sent since the last time."""
        self.controller._send_at_seconds = 0.0
        list(self.controller.run_due())
        shown, self.shown[:] = list(self.shown), []
        return shown


LEVEL = '[[map]]\ncc = 7\nset = "level"\n'


def test_a_knob_takes_over_softly_and_again_after_somebody_else(tmp_path: Path) -> None:
    controller = Desk(tmp_path / "midi.toml", LEVEL)
    controller.hear(0xB0, 7, 10)
    assert controller.properties["level"] == 1.0
    controller.hear(0xB0, 7, 127)
    controller.hear(0xB0, 7, 64)
    assert controller.properties["level"] == 64 / 127
    controller.set("level", 0.25)
    controller.hear(0xB0, 7, 70)
    assert controller.properties["level"] == 0.25
    controller.hear(0xB0, 7, 20)
    assert controller.properties["level"] == 20 / 127


def test_controllers_are_shown_what_is_but_not_what_they_do(tmp_path: Path) -> None:
    other = '[[map]]\nbend = true\nchannel = 2\nset = "level"\n[[map]]\nnote = 36\nset = "late"\ncurve = "toggle"\n'
    controller = Desk(tmp_path / "midi.toml", LEVEL + other)
    assert controller.show() == [b"\xb0\x07\x7f", b"\xe1\x7f\x7f", b"\x90\x24\x40"]
    controller.hear(0xB0, 7, 127)
    controller.hear(0xB0, 7, 0)
    assert controller.show() == [b"\xe1\x00\x00"]
    controller.set("level", 0.5)
    assert controller.show() == [b"\xb0\x07\x40", b"\xe1\x00\x40"]
    controller.hear(0xB0, 7, 64)  # a motor fader says where it was sent: no news
    assert controller.properties["level"] == 0.5
    assert controller.show() == []
    controller.hear(0x90, 36, 100)
    controller.hear(0x90, 36, 0)
    assert controller.properties["late"] == "drop"
    assert controller.show() == [b"\x90\x24\x7f"]  # its light does not go on by itself
    controller.plug("pad")
    controller.plug("pad", outputs=("pad",))
    assert len(controller.show()) == 3


def test_what_is_measured_goes_out_as_a_controller(tmp_path: Path) -> None:
    controller = Desk(tmp_path / "midi.toml", '[[map]]\ncc = 20\nset = "surprise_level"\n')
    assert controller.show() == [b"\xb0\x14\x00"]
    controller.set("surprise_level", 1.0)
    assert controller.show() == [b"\xb0\x14\x40"]
    controller.set("surprise_level", 2.0)
    assert controller.show() == [b"\xb0\x14\x7f"]


@pytest.mark.parametrize(("counts", "up", "down"), [("twos", 1, 127), ("offset", 65, 63), ("sign", 1, 65)])
def test_an_endless_encoder_turns_on_from_where_the_property_is(
    tmp_path: Path, counts: str, up: int, down: int
) -> None:
    entry = f'[[map]]\nencoder = 20\ncounts = "{counts}"\n'
    other = f'[[map]]\nencoder = 21\ncounts = "{counts}"\nset = "late"\n'
    controller = Desk(
        tmp_path / "midi.toml", f'{entry}set = "level"\n{entry}set = "chunk_frames"\nrange = [8, 16]\n{other}'
    )
    controller.set("chunk_frames", 8)
    controller.hear(0xB0, 20, up)
    assert (controller.properties["level"], controller.properties["chunk_frames"]) == (1.0, 9)
    controller.hear(0xB0, 20, down)
    controller.hear(0xB0, 20, down)
    assert (controller.properties["level"], controller.properties["chunk_frames"]) == (1 - 2 / 128, 8)
    controller.set("level", 0.25)
    controller.hear(0xB0, 20, up)
    assert controller.properties["level"] == 0.25 + 1 / 128
    for wanted in ("drop", "drop"):
        controller.hear(0xB0, 21, up)
        assert controller.properties["late"] == wanted
    controller.hear(0xB0, 21, down)
    assert controller.properties["late"] == "next"


PADS = """
[[map]]
note = 36
do = "continue"
velocity = { seconds = [2, 8] }
[[map]]
note = 37
do = "cancel"
[[map]]
cc = 80
do = "panic"
[[map]]
program = 2
do = "load"
with = { preset = "music" }
"""


def test_pads_buttons_and_programs_are_commands(tmp_path: Path) -> None:
    controller = Desk(tmp_path / "midi.toml", PADS)
    assert controller.hear(0x90, 36, 127) == [Invocation(COMMANDS["continue"], {"seconds": 8.0, "id": 1})]
    assert controller.hear(0x90, 36, 0) == []
    [again] = controller.hear(0x90, 36, 64)
    assert isinstance(again, Invocation)
    assert again.job_id == 2
    assert controller.hear(0x90, 37, 1) == [Invocation(COMMANDS["cancel"], {"id": 2})]
    assert [len(controller.hear(0xB0, 80, value)) for value in (127, 127, 0, 100)] == [1, 0, 0, 1]
    assert controller.hear(0xC0, 1) == [Invocation(COMMANDS["load"], {"preset": "music"})]


def test_the_players_map_goes_before_the_presets(tmp_path: Path) -> None:
    controller = Desk(tmp_path / "midi.toml", LEVEL)
    controller.controller.use_preset_map(
        '[[map]]\ncc = 7\nset = "bias"\n[[map]]\ncc = 8\nset = "tail"\n', "preset/midi.toml"
    )
    controller.show()
    controller.hear(0xB0, 7, 127)
    controller.hear(0xB0, 8, 0)
    controller.hear(0xB0, 8, 127)
    assert (controller.properties["bias"], controller.properties["tail"]) == (None, 60.0)
    controller.set("bias", 1.0)
    assert controller.show() == []
    with pytest.raises(ValueError, match="line 2: cc must be 0 to 119"):
        controller.controller.use_preset_map('[[map]]\ncc = 200\nset = "level"\n', "preset/midi.toml")
    controller.hear(0xB0, 8, 64)
    assert controller.properties["tail"] == 60.0


PLAYED = '[[map]]\nnotes = [48, 72]\nplay = "follow"\n[[map]]\nnotes = [0, 47]\nchannel = 2\nplay = "prompt"\n'


def test_notes_are_played_and_a_port_that_vanishes_lets_go(tmp_path: Path) -> None:
    controller = Desk(tmp_path / "midi.toml", PLAYED)
    controller.plug("pad", "keys")
    assert controller.hear(0x90, 60, 100) == [Key(60, 100, 1.0)]
    assert controller.hear(0x91, 36, 90) == [PhraseKeyDown(), Key(36, 90, 2.0)]
    assert controller.hear(0x90, 36, 90) == []
    assert controller.hear(0xB0, 64, 127, port="keys") == [Pedal(True, 4.0)]
    assert controller.hear(0x90, 60, 80, port="keys") == [Key(60, 80, 5.0)]
    assert controller.hear(0x80, 60, 80, port="keys") == []  # the pad holds it still
    assert [(action.key, action.velocity) for action in controller.plug("keys") if isinstance(action, Key)] == [
        (36, 0),
        (60, 0),
    ]
    [lifted] = controller.plug()
    assert isinstance(lifted, Pedal)
    assert not lifted.down
    controller.plug("keys")
    controller.hear(0x90, 61, 80, port="keys")
    assert controller.hear(0xB0, 123, 0, port="keys") == [Key(61, 0, controller.now)]
    controller.hear(0x90, 62, 80, port="keys")
    assert [action.key for action in controller.controller.messages_lost() if isinstance(action, Key)] == [62]


def test_a_control_is_learned_and_still_there_after_a_restart(tmp_path: Path) -> None:
    controller = Desk(tmp_path / "midi.toml")
    assert list(controller.controller.learn("first", "level", low=None, high=None, curve=None)) == []
    assert list(controller.controller.learn("second", "tempo", low=80, high=160, curve="log")) == [
        NotLearned("first", "cancelled", "another property is being learned")
    ]
    controller.hear(0xB2, 21, 5)
    controller.hear(0xB2, 21, 6)  # it trembles
    assert controller.hear(0x90, 60, 100) == []
    assert controller.hear(0xB3, 22, 0) == []
    assert controller.hear(0xB3, 22, 50) == [Learned("second", "tempo", "cc 22 on channel 4")]
    assert controller.properties["tempo"] == 120.0  # softly

    again = Desk(tmp_path / "midi.toml")
    again.hear(0xB3, 22, 127)
    again.hear(0xB3, 22, 0)
    assert again.properties["tempo"] == 80.0
    assert [entry["does"] for entry in again.controller.listing()] == ["set tempo"]
    assert list(again.controller.forget("tempo")) == []
    assert again.controller.listing() == []
    with pytest.raises(CommandError, match="maps nothing to tempo"):
        list(again.controller.forget("tempo"))


def test_wide_controls_are_learned_as_such(tmp_path: Path) -> None:
    controller = Desk(tmp_path / "midi.toml")
    list(controller.controller.learn("me", "level", low=None, high=None, curve=None))
    actions = []
    for coarse in range(10):
        for data in ((0xB0, 3, coarse), (0xB0, 35, 64 + coarse)):
            controller.now -= 0.999  # one right after the other
            actions += controller.hear(*data)
        controller.now += 1.0
    assert actions == [Learned("me", "level", "cc14 3 on channel 1")]
    list(controller.controller.learn("me", "tail", low=None, high=None, curve=None))
    for data in ((99, 1), (98, 2), (6, 3), (38, 4), (99, 1), (98, 2), (6, 30), (38, 4)):
        actions += controller.hear(0xB0, *data)
    assert actions[1:] == [Learned("me", "tail", "nrpn 130 on channel 1")]


@pytest.mark.parametrize(
    ("turned", "counts"),
    [
        ((1, 1, 1, 127), "twos"), ((1, 127, 127), "twos"), ((127, 125, 127, 3), "twos"), ((1, 127, 1), "twos"),
        ((65, 65, 63), "offset"), ((63, 63, 61, 66), "offset"),
        ((1, 1, 65), "sign"), ((65, 65, 67, 1), "sign"), ((1, 65, 1), "sign"),
    ],
)  # fmt: skip
def test_an_encoder_is_learned_when_it_is_turned_both_ways(
    tmp_path: Path, turned: tuple[int, ...], counts: EncoderCounts
) -> None:
    controller = Desk(tmp_path / "midi.toml")
    list(controller.controller.learn("me", "level", low=None, high=None, curve=None))
    actions = [action for value in turned[:-1] for action in controller.hear(0xB0, 20, value)]
    assert actions == []
    assert controller.hear(0xB0, 20, turned[-1])[0] == Learned("me", "level", "encoder 20 on channel 1")
    [entry] = MidiMapFile(tmp_path / "midi.toml").read().entries
    assert entry.source == Source("cc", 20, 20, 1, counts=counts)


@pytest.mark.parametrize(
    "moved", [(0, 127), (1, 1, 2, 3, 4, 5, 6, 7, 8), (60, 61, 62, 63), (127, 127, 0), (65, 65, 66, 68, 71, 72)]
)
def test_knobs_and_buttons_are_not_taken_for_encoders(tmp_path: Path, moved: tuple[int, ...]) -> None:
    controller = Desk(tmp_path / "midi.toml")
    list(controller.controller.learn("me", "level", low=None, high=None, curve=None))
    actions = [action for value in moved for action in controller.hear(0xB0, 20, value)]
    assert actions[0] == Learned("me", "level", "cc 20 on channel 1")


def test_no_encoder_is_learned_for_what_is_pressed(tmp_path: Path) -> None:
    controller = Desk(tmp_path / "midi.toml")
    list(controller.controller.learn("me", "follow", low=None, high=None, curve="toggle"))
    actions = [action for value in (1, 1, 127) for action in controller.hear(0xB0, 20, value)]
    assert actions == [NotLearned("me", "refused", "an encoder is turned, not pressed: want linear or log")]


def test_nothing_can_be_learned_without_a_port(tmp_path: Path) -> None:
    controller = Desk(tmp_path / "midi.toml")
    controller.plug()
    with pytest.raises(CommandError, match="no MIDI input is open"):
        list(controller.controller.learn("me", "level", low=None, high=None, curve=None))
    controller.plug("pad")
    with pytest.raises(CommandError, match="unknown property 'levle'; did you mean 'level'"):
        list(controller.controller.learn("me", "levle", low=None, high=None, curve=None))


def test_ten_thousand_random_messages_break_nothing(tmp_path: Path) -> None:
    generator = random.Random(1)
    controller = Desk(tmp_path / "midi.toml", LEVEL + PADS + PLAYED)
    down: set[int] = set()
    for _ in range(10_000):
        for action in controller.hear(*generator.randbytes(generator.randrange(5))):
            if isinstance(action, Key):
                down = down | {action.key} if action.velocity else down - {action.key}
            assert isinstance(action, Invocation | Key | Pedal | PhraseKeyDown)
    for action in controller.plug():
        assert isinstance(action, Key | Pedal)
        down -= {action.key} if isinstance(action, Key) else set()
    assert not down
    assert all(SendMidi(message).data for message in controller.show())
