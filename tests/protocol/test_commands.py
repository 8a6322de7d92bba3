from __future__ import annotations

import math
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.osc.datagrams import encode_message, parse_datagram
from bridge.protocol.encode import encode
from bridge.protocol.errors import FAIL_CODES, CommandError
from bridge.protocol.parse import check_property, find_property, parse
from bridge.protocol.table import COMMANDS, PROPERTIES
from bridge.protocol.types import INT32_MAX, NAMESPACE, PRESET_OWN, Argument, Command, Invocation


def values_of(argument: Argument) -> st.SearchStrategy[object]:
    if argument.or_word:
        return st.one_of(st.just(argument.or_word), values_of(replace(argument, or_word="")))
    texts = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=min(argument.longest, 60))
    if argument.kind == "float":
        return st.floats(argument.low, argument.high, width=32)
    if argument.kind == "int":
        return st.integers(round(argument.low), round(argument.high))
    if argument.kind == "bool":
        return st.booleans()
    if argument.kind == "text":
        return st.sampled_from(argument.choices) if argument.choices else texts
    return st.one_of(texts, st.floats(0, 1, width=32), st.integers(0, INT32_MAX))


@st.composite
def invocations(draw: st.DrawFn) -> Invocation:
    command = draw(st.sampled_from(list(COMMANDS.values())))
    keys = [key for key in command.keys if draw(st.booleans())]
    return Invocation(command, {each.name: draw(values_of(each)) for each in (*command.fixed, *keys)})  # type: ignore[misc]


@given(invocations())
def test_parse_undoes_encode_over_the_wire(invocation: Invocation) -> None:
    address, values = encode(invocation)
    (message,) = parse_datagram(encode_message(address, values))
    assert parse(message.address, message.values) == invocation


@given(
    st.text(max_size=80), st.lists(st.one_of(st.text(max_size=20), st.floats(), st.integers(), st.none(), st.binary()))
)
def test_anything_is_parsed_or_refused(address: str, values: list[object]) -> None:
    for command in ("", *COMMANDS):
        try:
            parse(f"{NAMESPACE}/{command}" if command else address, values)
        except CommandError as error:
            refused: CommandError | None = error
        else:
            refused = None
        assert refused is None or (refused.code in FAIL_CODES and str(refused))


@pytest.mark.parametrize(
    "argument", [each for each in PROPERTIES.values() if each.kind != "text"], ids=lambda argument: argument.name
)
def test_bounds_survive_float32(argument: Argument) -> None:
    for bound in (argument.low, argument.high):
        if argument.kind == "float":
            assert struct.unpack("f", struct.pack("f", bound))[0] == bound
        assert argument.check(bound) == bound
    with pytest.raises(CommandError, match=r"must be"):
        argument.check(argument.high * 2 + 1)


def refusal(name: str, *values: object) -> CommandError:
    with pytest.raises(CommandError) as caught:
        parse(f"{NAMESPACE}/{name}", values)
    return caught.value


def test_numbers_stand_for_each_other() -> None:
    arguments = parse("/melnet/continue", [7.0, "seconds", 4, "seed", 12.0]).arguments
    assert arguments == {"id": 7, "seconds": 4.0, "seed": 12}
    assert [type(value) for value in arguments.values()] == [int, float, int]


@pytest.mark.parametrize("value", [1, 1.0, True])
def test_one_stands_for_true(value: object) -> None:
    assert Argument("switch", "bool", "").check(value) is True


@pytest.mark.parametrize("value", [2, 0.5, "1", None, math.nan])
def test_nothing_else_stands_for_a_boolean(value: object) -> None:
    with pytest.raises(CommandError, match="must be 0 or 1"):
        Argument("switch", "bool", "").check(value)


def test_unknown_key_names_the_near_match_and_all_keys() -> None:
    error = refusal("continue", 3, "tempreature", 0.9)
    assert (error.code, error.command, error.job_id) == ("unknown_key", "continue", 3)
    assert "did you mean 'temperature'?" in str(error)
    for key in COMMANDS["continue"].keys:
        assert key.name in str(error)


def test_unknown_address_names_the_near_match() -> None:
    error = refusal("contineu", 3)
    assert (error.code, error.command) == ("unknown_command", "contineu")
    assert "did you mean '/melnet/continue'?" in str(error)


def test_addresses_outside_the_namespace_are_unknown() -> None:
    with pytest.raises(CommandError, match="unknown address '/ping'"):
        parse("/ping", [])
    with pytest.raises(CommandError, match="unknown address 'ping'"):
        parse("ping", [])


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([], "missing_argument"),
        ([3, "seconds"], "missing_argument"),
        ([3, "seconds", 4.0, "seconds", 5.0], "repeated_key"),
        ([3, 4.0, "seconds"], "wrong_type"),
        ([3, "seconds", "4"], "wrong_type"),
        ([3, "seconds", None], "wrong_type"),
        ([3, "seconds", [4.0]], "wrong_type"),
        ([3, "seconds", True], "wrong_type"),
        ([3, "seconds", math.nan], "out_of_range"),
        ([3, "seconds", math.inf], "out_of_range"),
        ([3, "seconds", -math.inf], "out_of_range"),
        ([3, "seconds", 1e30], "out_of_range"),
        ([3, "seconds", 0], "out_of_range"),
        ([3, "seed", 2**40], "out_of_range"),
        ([3, "seed", 1.5], "wrong_type"),
        ([-1], "out_of_range"),
        (["x"], "wrong_type"),
        ([b"x"], "wrong_type"),
    ],
)
def test_bad_values(values: list[object], code: str) -> None:
    assert refusal("continue", *values).code == code


def test_long_text_is_refused_in_few_words() -> None:
    error = refusal("load", "x" * 60_000)
    assert error.code == "too_long"
    assert len(str(error)) < 200
    assert len(str(refusal("y" * 60_000))) < 400


def test_properties() -> None:
    assert check_property("level", 1) == 1.0
    assert check_property("temperature", PRESET_OWN) is None
    with pytest.raises(CommandError, match="level must be a number"):
        check_property("level", PRESET_OWN)
    with pytest.raises(CommandError, match="did you mean 'temperature'"):
        find_property("temprature")


@pytest.mark.parametrize("name", PROPERTIES)
def test_every_property_has_an_address_of_its_own(name: str) -> None:
    command = COMMANDS[f"set/{name}"]
    (argument,) = command.fixed
    assert command.sets == name
    assert replace(argument, or_word="") == PROPERTIES[name]


def test_the_presets_own_is_a_word_or_nil_where_there_is_such_a_thing() -> None:
    for value in (PRESET_OWN, None):
        assert parse("/melnet/set/bias", [value]).arguments == {"bias": PRESET_OWN}
        assert refusal("set/level", value).code == "wrong_type"
    assert "must be a number or 'preset', got 'own'" in str(refusal("set/bias", "own"))
    assert refusal("set/bias", 11).code == "out_of_range"
    assert refusal("continue", 1, "bias", None).code == "wrong_type"


def test_nil_stands_for_no_arguments() -> None:
    assert parse("/melnet/panic", [None]).arguments == {}
    assert refusal("panic", None, None).code == "wrong_type"
    assert refusal("load", None).code == "wrong_type"


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_names_of_arguments_are_unique(command: Command) -> None:
    names = [argument.name for argument in (*command.fixed, *command.keys)]
    assert len(names) == len(set(names))
