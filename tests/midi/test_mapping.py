"""What a mapping file says, how it is told what is wrong in it, and how it is changed."""

from __future__ import annotations

import re
from math import ceil
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.midi.mapping import DoCommand, Entry, PlayNotes, SetProperty, Source, read_midi_map, toml_entry
from bridge.midi.mapping_file import MidiMapFile, read_preset_map
from bridge.protocol.curves import Curve
from bridge.protocol.table import PROPERTIES
from melnet_music.model.preset import PresetInfo, list_presets

EVERYTHING = """
# the knobs
[[map]]
cc = 1
set = "temperature"
range = [0.5, 1.2]

[[map]]
cc14 = 2
channel = 10
port = "faders"
set = "tempo"
range = [80, 160]
curve = "log"

[[map]]
nrpn = 300
set = "quantise"

[[map]]
bend = true
set = "bias"

[[map]]
pressure = true
set = "level"

[[map]]
cc = 20
set = "meter"
values = ["3/4", "4/4"]
curve = "toggle"

# the pads
[[map]]
note = 36
do = "continue"
velocity = { temperature = [0.5, 1.2], seconds = [2, 8] }
[map.with]
quantise = "bar"

[[map]]
program = 1
do = "load"
with = { preset = "piano" }

[[map]]
notes = [48, 72]
play = "follow"

[[map]]
encoder = 21
counts = "offset"
set = "tempo"
"""


def test_everything_that_may_be_in_a_mapping_file() -> None:
    entries = read_midi_map(EVERYTHING, "midi.toml").entries
    assert [entry.source for entry in entries] == [
        Source("cc", 1, 1), Source("cc14", 2, 2, 10, "faders"), Source("nrpn", 300, 300), Source("bend", 0, 0),
        Source("pressure", 0, 0), Source("cc", 20, 20), Source("note", 36, 36), Source("program", 0, 0),
        Source("note", 48, 72), Source("cc", 21, 21, counts="offset"),
    ]  # fmt: skip
    assert [entry.line for entry in entries] == [3, 8, 16, 20, 24, 28, 35, 42, 47, 51]
    pad, last = entries[6].target, entries[-2].target
    assert isinstance(pad, DoCommand)
    assert pad.arguments_at(0.0) == {"quantise": "bar", "temperature": 0.5, "seconds": 2.0}
    assert pad.arguments_at(1.0) == {"quantise": "bar", "temperature": 1.2, "seconds": 8.0}
    assert last == PlayNotes("follow")


def test_the_example_of_the_documentation_is_one() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "midi.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(read_midi_map(example, "midi.md").entries) == 6


MISTAKES = [
    ('[[map]]\ncc = 1\nset = "temprature"\n', "line 3: unknown property 'temprature'; did you mean 'temperature'? "),
    ('[[map]]\ncc = 1\nset = "level"\nrnge = [0, 1]\n', "line 4: unknown key 'rnge' beside 'set'; did you mean "),
    ('\n[[map]]\nc = 1\nset = "level"\n', "line 3: unknown key 'c'; did you mean 'cc'? Valid: note, cc, "),
    ('[[map]]\ncc = 1\n\ndo = "contiune"\n', "line 4: unknown command 'contiune'; did you mean 'continue'? "),
    ('[[map]]\ncc = 1\nset = "level"\ncurve = "lin"\n', "line 4: curve is 'lin'; did you mean 'linear'? Valid: "),
    ('[[map]]\nnote = 1\nplay = "folow"\n', "line 3: play is 'folow'; did you mean 'follow'? Valid: prompt, follow"),
    ('[[map]]\ncc = 128\nset = "level"\n', "line 2: cc must be 0 to 119, got 128"),
    ('[[map]]\ncc = 1\nchannel = 0\nset = "level"\n', "line 3: channel must be 1 to 16, got 0"),
    ('[[map]]\ncc = 1\nset = "level"\nrange = [0, 2]\n', "line 4: level must be 0 to 1, got 2"),
    ('[[map]]\ncc = 1\nset = "level"\nrange = 1\n', "line 4: range must be two numbers, as in [0, 1], got 1"),
    ('[[map]]\ncc = 1\nset = "level"\ncurve = "log"\n', "line 4: a log curve needs a range above 0, got 0 to 1"),
    ('[[map]]\ncc = 1\nset = "meter"\n', "line 3: meter wants values = [..]"),
    ('[[map]]\ncc = 1\nset = "late"\nvalues = ["never"]\n', "line 4: late is 'never'. Valid: play, next, drop"),
    ('[[map]]\ncc = 1\nnote = 2\nset = "level"\n', "line 3: 'cc' and 'note': want one control an entry"),
    ('[[map]]\ncc = 1\n', "line 1: the entry has no thing to do: want one of set, do, play"),
    ('[[map]]\nset = "level"\n', "line 1: the entry has no control: want one of note, cc, "),
    ('[[map]]\nnote = 1\ndo = "load"\n', "line 3: load needs preset: add with = { preset = .. }"),
    ('[[map]]\nnote = 1\ndo = "continue"\nwith = { secnds = 2 }\n', "line 4: unknown argument 'secnds' of continue"),
    ('[[map]]\nnote = 1\ndo = "continue"\n[map.with]\nid = 2\n', "line 5: unknown argument 'id' of continue"),
    ('[[map]]\nnote = 1\ndo = "continue"\nvelocity = { late = [0, 1] }\n', "line 4: late is no number"),
    ('[[map]]\nbend = 1\nset = "level"\n', "line 2: bend must be true, got 1"),
    ('[[map]]\ncc = 6\nset = "level"\n', "line 2: cc 6 is a part of NRPN and RPN; map nrpn instead"),
    ('[[map]]\nencoder = 1\ncounts = "two"\nset = "level"\n', "line 3: counts is 'two'; did you mean 'twos'? Valid: "),
    ('[[map]]\nencoder = 1\ndo = "panic"\n', "line 2: an encoder can only set a property"),
    ('[[map]]\nencoder = 1\nset = "late"\ncurve = "toggle"\n', "line 4: an encoder is turned, not pressed"),
    ('[[map]]\ncc = 1\ncounts = "twos"\nset = "level"\n', "line 3: unknown key 'counts' beside 'set'"),
    ('[maps]\ncc = 1\n', "line 1: unknown key 'maps'; did you mean 'map'? Valid: map, as [[map]]"),
    ('map = [{cc = 1, set = "level"}]\n', "line 1: write every entry as a table of its own, under [[map]]"),
    ('[[map]]\ncc = \n', "line 2: Invalid value; this is no TOML"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), MISTAKES)
def test_mistakes_are_told_with_file_and_line(text: str, told: str) -> None:
    with pytest.raises(ValueError, match="line") as refused:
        read_midi_map(text, "midi.toml")
    assert str(refused.value).startswith(f"midi.toml, {told}")


numbers = [name for name, argument in PROPERTIES.items() if argument.kind in ("float", "int")]


@st.composite
def curves(draw: st.DrawFn) -> Curve:
    argument = PROPERTIES[draw(st.sampled_from(numbers))]
    kind = draw(st.sampled_from(["linear", "log"]))
    least = max(argument.low, 1e-3) if kind == "log" else argument.low
    ends = st.integers(ceil(least), int(argument.high)) if argument.kind == "int" else st.floats(least, argument.high)
    low, high = (float(draw(ends)) for _ in range(2))
    return Curve(argument, kind, low, high)


@given(curves(), st.floats(0, 1))
def test_a_curve_stays_in_its_range_and_knows_where_a_value_lies(curve: Curve, position: float) -> None:
    value = curve.value_at(position)
    margin = 1e-9 * (abs(curve.low) + abs(curve.high)) + (0.5 if curve.argument.kind == "int" else 0.0)
    assert min(curve.low, curve.high) - margin <= value <= max(curve.low, curve.high) + margin
    assert curve.argument.check(value) == value
    where = curve.position_of(value)
    if where is not None:
        assert 0.0 <= where <= 1.0
        assert curve.value_at(where) == pytest.approx(value, rel=1e-6, abs=margin)


@given(st.lists(st.sampled_from(["3/4", "4/4", "6/8"]), min_size=1, unique=True), st.data())
def test_values_lie_side_by_side(values: list[str], data: st.DataObject) -> None:
    curve = Curve(PROPERTIES["meter"], "linear", values=tuple(values))
    position = data.draw(st.floats(0, 1))
    where = curve.position_of(curve.value_at(position))
    assert where is not None
    assert abs(where - position) <= 0.5 / len(values) + 1e-9
    walk = values[0]
    for expected in [*values[1:], values[0]]:
        walk = str(curve.next_after(walk))
        assert walk == expected


def bound(file: MidiMapFile) -> list[tuple[str, Source]]:
    return [(entry.target.name, entry.source) for entry in file.read().entries if isinstance(entry.target, SetProperty)]


def test_learning_leaves_all_else_as_it_was_written(tmp_path: Path) -> None:
    file = MidiMapFile(tmp_path / "new folder" / "midi.toml")
    assert file.read().entries == ()
    level = SetProperty("level", Curve(PROPERTIES["level"], "linear", 0.0, 1.0))
    file.bind(Source("cc", 7, 7, 1), level)
    assert bound(file) == [("level", Source("cc", 7, 7, 1))]

    file.path.write_text(EVERYTHING)
    before: list[Entry] = list(file.read().entries)
    tempo = before[1].target
    assert isinstance(tempo, SetProperty)
    file.bind(Source("cc", 1, 1, 3), tempo)
    after = file.path.read_text()
    assert after.startswith("\n# the knobs\n")
    assert "# the pads\n[[map]]\nnote = 36\n" in after
    # neither the control's other property nor the property's other control is left, and the curve is kept
    assert bound(file)[-1] == ("tempo", Source("cc", 1, 1, 3))
    assert [name for name, _ in bound(file)] == ["quantise", "bias", "level", "meter", "tempo"]
    assert file.read().entries[-1].target == tempo

    file.forget("meter")
    assert "# the pads\n[[map]]\nnote = 36\n" in file.path.read_text()
    assert [name for name, _ in bound(file)] == ["quantise", "bias", "level", "tempo"]
    with pytest.raises(ValueError, match="maps nothing to meter"):
        file.forget("meter")
    assert [path.name for path in file.path.parent.iterdir()] == ["midi.toml"]


CONTROLS = [Source("cc", 1, 1, 16), Source("nrpn", 300, 300), Source("bend", 0, 0, 1)]
ENCODER = Source("cc", 17, 17, 2, counts="sign")


@given(curves(), st.sampled_from([*CONTROLS, ENCODER]))
def test_what_is_learned_is_read_back(curve: Curve, source: Source) -> None:
    assume(source != ENCODER or curve.kind != "toggle")
    target = SetProperty(curve.argument.name, curve)
    assert read_midi_map(toml_entry(source, target), "midi.toml").entries == (Entry(source, target, 1),)


@pytest.mark.parametrize("preset", [each for each in list_presets() if each.has_weights], ids=lambda each: each.name)
def test_every_preset_that_plays_brings_a_map(preset: PresetInfo) -> None:
    entries = read_midi_map(read_preset_map(preset.path), preset.name).entries
    assert any(isinstance(entry.target, PlayNotes) for entry in entries)
    assert {entry.target.command.name for entry in entries if isinstance(entry.target, DoCommand)} >= {
        "continue", "take/reroll", "take/undo", "panic"
    }  # fmt: skip
