"""The Max patcher and the Live device: as described, whole, and understood by the daemon. No Max opens them here."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest
from make_max import (
    DESCRIPTION,
    DEVICE_HEIGHT,
    OUTPUTS,
    Target,
    make,
    make_patcher,
    unwrap_device,
    wrap_device,
)

from bridge.cli.main import build_parser
from bridge.protocol.outgoing import ANSWERS
from bridge.protocol.parse import parse

TARGETS: tuple[Target, ...] = ("max", "live")
VALUES = {"/melnet/set/tempo": [120.0], "/melnet/set/meter": ["4/4"], "/melnet/prime/file": ["a.wav"]}
"""What is sent after an address that stands alone in a ``prepend``."""


def description() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
    return read


def boxes_of(target: Target) -> dict[str, dict[str, Any]]:
    return {each["box"]["id"]: each["box"] for each in make_patcher(description(), target)["patcher"]["boxes"]}


def lines_of(target: Target) -> list[tuple[list[Any], list[Any]]]:
    lines = make_patcher(description(), target)["patcher"]["lines"]
    return [(each["patchline"]["source"], each["patchline"]["destination"]) for each in lines]


@pytest.mark.parametrize("target", TARGETS)
def test_the_files_are_made_of_the_description(target: Target) -> None:
    assert OUTPUTS[target].read_bytes() == make(target), "run `python make_max.py` in faces/max"


def test_the_device_is_whole() -> None:
    chunks = unwrap_device(OUTPUTS["live"].read_bytes())
    assert list(chunks) == ["ampf", "meta", "ptch"]
    assert (chunks["ampf"], chunks["meta"]) == (b"aaaa", bytes(4))
    patcher, end = chunks["ptch"][:-1], chunks["ptch"][-1:]
    assert end == b"\0"
    assert json.loads(patcher) == make_patcher(description(), "live")
    assert wrap_device(patcher) == OUTPUTS["live"].read_bytes()


@pytest.mark.parametrize("cut", [1, 7, 30, 1000])
def test_a_cut_device_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        unwrap_device(OUTPUTS["live"].read_bytes()[:-cut])


@pytest.mark.parametrize("target", TARGETS)
def test_lines_connect_what_there_is(target: Target) -> None:
    boxes = boxes_of(target)
    assert len(boxes) == len(make_patcher(description(), target)["patcher"]["boxes"])
    assert lines_of(target)
    for (source, outlet), (destination, inlet) in lines_of(target):
        assert outlet < boxes[source]["numoutlets"]
        assert inlet < boxes[destination]["numinlets"]


@pytest.mark.parametrize("line", ["Undo 0 nothing 0", "Undo 9 undo_message 0", "Undo 0 undo_message 2"])
def test_a_wrong_line_is_refused(line: str) -> None:
    wrong = description()
    wrong["lines"].append(line)
    with pytest.raises(ValueError, match=r"device\.json, line"):
        make_patcher(wrong, "max")


def messages_of(target: Target) -> list[str]:
    texts = [box.get("text", "") for box in boxes_of(target).values()]
    found = [match for text in texts for match in re.findall(r"^(?:prepend )?(/melnet/.*)$", text)]
    assert len(found) >= 12
    return found


@pytest.mark.parametrize("message", sorted({*messages_of("max"), *messages_of("live")}))
def test_the_daemon_understands_every_message(message: str) -> None:
    """As Max sends them: integers, floats and symbols, with whole numbers as floats too."""
    address, *words = message.split()
    values = VALUES.get(address, [_value(word) for word in words])
    assert parse(address, values).command.address == address
    assert parse(address, [float(value) if isinstance(value, int) else value for value in values])


def _value(word: str) -> object:
    """``$1`` and so on are numbers."""
    return 3 if word.startswith("$") else int(word) if word.isdigit() else word


@pytest.mark.parametrize("target", TARGETS)
def test_it_shows_answers_of_the_daemon(target: Target) -> None:
    (route,) = [box["text"] for box in boxes_of(target).values() if box.get("text", "").startswith("route /melnet")]
    assert {address.removeprefix("/melnet/") for address in route.split()[1:]} <= set(ANSWERS)


@pytest.mark.parametrize("target", TARGETS)
def test_every_button_sends_something(target: Target) -> None:
    boxes, lines = boxes_of(target), lines_of(target)
    buttons = [box_id for box_id, box in boxes.items() if box["maxclass"] == "live.text"]
    assert len(buttons) >= 12
    for button in buttons:
        reached, new = {button}, {button}
        while new:
            new = {destination for (source, _), (destination, _) in lines if source in new} - reached
            reached |= new
        assert any(boxes[each].get("text", "").startswith("udpsend") for each in reached), boxes[button]["text"]


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_shown_fits_and_does_not_overlap(target: Target) -> None:
    shown = [box["presentation_rect"] for box in boxes_of(target).values() if "presentation" in box]
    assert len(shown) > 15
    for x, y, width, height in shown:
        assert x >= 0
        assert y >= 0
        assert x + width <= description()["width"]
        assert y + height <= DEVICE_HEIGHT
    for one, other in combinations(shown, 2):
        apart = any(a[axis] + a[axis + 2] <= b[axis] for a, b in ((one, other), (other, one)) for axis in (0, 1))
        assert apart, (one, other)


def test_ports_are_those_of_the_daemon() -> None:
    port = build_parser().parse_args(["serve"]).osc_port
    texts = {box.get("text", "") for box in boxes_of("live").values()}
    assert {f"udpsend 127.0.0.1 {port}", "udpreceive 9200", "/melnet/reply 9200"} <= texts


def test_parameters_have_names_of_their_own() -> None:
    names = [box["varname"] for box in boxes_of("live").values() if "varname" in box]
    assert len(names) == len(set(names))


def test_audio_passes_through() -> None:
    boxes = boxes_of("live")
    through = [
        (outlet, inlet)
        for (source, outlet), (destination, inlet) in lines_of("live")
        if boxes[source].get("text") == "plugin~" and boxes[destination].get("text") == "plugout~"
    ]
    assert through == [(0, 0), (1, 1)]
