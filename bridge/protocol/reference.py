"""The reference of all messages, made from the table: ``python -m bridge.protocol.reference [FILE]``.

``docs/osc-reference.md`` is what it writes; a test holds the two equal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bridge.protocol.errors import ANY_COMMAND, FAIL_CODES
from bridge.protocol.outgoing import ANSWERS, EVENTS, Outgoing
from bridge.protocol.table import COMMANDS, GROUPS, PROPERTIES
from bridge.protocol.types import NAMESPACE, Argument, Command, Field, Kind

_KINDS: dict[Kind, str] = {
    "float": "float",
    "int": "integer",
    "bool": "0 or 1",
    "text": "string",
    "value": "number or string",
}
_INTRODUCTION = f"""\
# OSC reference

Made from the table of commands by `python -m bridge.protocol.reference docs/osc-reference.md`: do not edit it by hand.

Send OSC messages to UDP port 9100 of the machine that the daemon runs on (`serve --osc-port`, `--osc-host`). A message
is an address, then the **arguments** in the order given here, then any of the **keys**, each followed by its value, in
any order:

    {NAMESPACE}/continue 1 seconds 8.0 seed 7 quantise bar

Here `1` is the argument `id`, and `seconds`, `seed` and `quantise` are keys. What you leave out has its default; where
a key has the name of a property, that is the property's value at that moment.

- **Numbers.** Integers and floats stand for each other: Pure Data, which sends floats only, sends `7.0` for 7. For
  *0 or 1* send 0 or 1 as integer or float, or OSC's true and false; answers say it as integer.
- **Jobs.** `continue`, `generate`, `inpaint`, `take/reroll` and `take/render` make a take. Their `id` is a number of
  your choice; it belongs to your port, so two programs may use the same.
- **Answers** go to the port that you send from, or to the one that [`{NAMESPACE}/reply`](#melnetreply) names.
- **Bundles** with a timetag wait until that time, up to an hour; where it has passed, they are carried out at once.
- **Lines** are the places of the grid `quantise`: beats, bars, every second or fourth bar.

"""


def reference() -> str:
    """All commands, properties, answers, events and error codes as Markdown."""
    return _INTRODUCTION + "\n".join(
        [
            *_contents(),
            *(line for heading, commands in GROUPS.items() for line in _group(heading, commands)),
            *_answers(),
            *_events(),
            *_error_codes(),
        ]
    )


def _contents() -> Iterator[str]:
    yield from _table(
        ("commands", ""),
        ((f"[{heading}](#{_anchor(heading)})", _links(commands)) for heading, commands in GROUPS.items()),
    )
    yield "Besides: [answers](#answers), [events to subscribers](#events-to-subscribers), [error codes](#error-codes)."
    yield ""


def _links(commands: Sequence[Command]) -> str:
    return ", ".join(f"[`{each.name}`](#{_anchor(each.address)})" for each in commands if not each.sets)


def _anchor(heading: str) -> str:
    """The fragment under which GitHub shows a heading."""
    return "".join(each for each in heading.lower().replace(" ", "-") if each.isalnum() or each in "-_")


def _group(heading: str, commands: Sequence[Command]) -> Iterator[str]:
    yield f"## {heading}"
    yield ""
    for command in commands:
        if not command.sets:
            yield from _command(command)
    if any(command.sets for command in commands):
        yield from _properties()


def _command(command: Command) -> Iterator[str]:
    yield f"### `{command.address}`"
    yield ""
    yield command.help
    yield ""
    yield f"    {command.address} {command.example}".rstrip()
    yield ""
    if command.fixed or command.keys:
        rows = [_argument_row(each, "required") for each in command.fixed]
        rows += [_argument_row(each, _key_default(each)) for each in command.keys]
        kinds = ["argument"] * len(command.fixed) + ["key"] * len(command.keys)
        yield from _table(
            ("", "name", "type", "range", "default", "meaning"),
            ((kind, *row) for kind, row in zip(kinds, rows, strict=True)),
        )
    yield f"Answers: {', '.join(_answer_link(name) for name in command.answers)}."
    yield ""
    for name, fields in (("done", command.done), (f"{command.name}.reply", command.reply)):
        if fields:
            yield f"`{NAMESPACE}/{name}` says{' after `command` and `id`' if name == 'done' else ''}:"
            yield ""
            yield from _fields(fields)
    codes = [f"`{code}`" for code in command.fails]
    yield (
        f"Errors: {', '.join([*codes, 'and those of every command'])}." if codes else "Errors: those of every command."
    )
    yield ""


def _command_link(name: str) -> str:
    return f"[`{NAMESPACE}/{name}`](#{_anchor(f'{NAMESPACE}/{name}')})"


def _answer_link(name: str) -> str:
    if name in ANSWERS:
        return f"[`{name}`](#{_anchor(NAMESPACE + '/' + name)})"
    return "[events](#events-to-subscribers)" if name == "event" else f"`{NAMESPACE}/{name}`"


def _argument_row(argument: Argument, default: str) -> tuple[str, ...]:
    meaning = argument.help + (f"; at most {argument.longest} characters" if _is_free(argument) else "")
    return f"`{argument.name}`", _KINDS[argument.kind], _range(argument), default, meaning


def _is_free(argument: Argument) -> bool:
    return argument.kind in ("text", "value") and not argument.choices


def _range(argument: Argument) -> str:
    return "any" if _is_free(argument) else argument.range_text()


def _key_default(key: Argument) -> str:
    if key.name in PROPERTIES and PROPERTIES[key.name] == key:
        return f"the property, at first {_property_default(key)}"
    return "none" if key.default is None else f"`{_shown(key)}`"


def _shown(argument: Argument) -> str:
    default = argument.default
    return default if isinstance(default, str) else f"{default:g} {argument.unit}".rstrip()


def _properties() -> Iterator[str]:
    yield "### Properties, and the addresses that set them"
    yield ""
    yield (
        f"`{NAMESPACE}/set/NAME VALUE` does the same as `{NAMESPACE}/set NAME VALUE`, and has the same answer. A "
        "property whose default is the preset's can be given back to it: send the string `preset`, or OSC's nil."
    )
    yield ""
    addresses = {command.sets: command.address for command in COMMANDS.values()}
    yield from _table(
        ("property", "address", "type", "range", "default", "meaning"),
        (
            (f"`{name}`", f"`{addresses[name]}`", *_argument_row(each, "")[1:3], _property_default(each), each.help)
            for name, each in PROPERTIES.items()
        ),
    )


def _property_default(argument: Argument) -> str:
    return "the preset's" if argument.default is None else f"`{_shown(argument)}`"


def _answers() -> Iterator[str]:
    yield "## Answers"
    yield ""
    yield (
        "Where a value has a name, the name is sent before it: "
        f"`{NAMESPACE}/progress continue 1 generated 2.5 played 1.0 of 8.0`. Where *sent* names a condition, the value "
        f"is left out otherwise. Replies, such as `{NAMESPACE}/status.reply`, are listed with their commands."
    )
    yield ""
    for answer in ANSWERS.values():
        yield f"### `{NAMESPACE}/{answer.name}`"
        yield ""
        yield from _outgoing(answer)


def _events() -> Iterator[str]:
    yield "## Events to subscribers"
    yield ""
    yield (
        f"After {_command_link('subscribe')} you receive `{NAMESPACE}/event` messages, each with the event's name "
        "and then the values below."
    )
    yield ""
    for event in EVENTS.values():
        yield f"### `{NAMESPACE}/event {event.name}`"
        yield ""
        yield from _outgoing(event)


def _outgoing(message: Outgoing) -> Iterator[str]:
    yield message.help
    yield ""
    if message.fields:
        yield from _fields(message.fields)


def _fields(fields: Iterable[Field]) -> Iterator[str]:
    yield from _table(
        ("value", "type", "meaning", "sent"),
        (
            (
                f"`{each.name}`" + ("" if each.named else ", without name"),
                _KINDS[each.kind],
                each.help + (f", in {each.unit}" if each.unit else ""),
                f"when {each.when}" if each.when else "any number of times" if each.repeated else "always",
            )
            for each in fields
        ),
    )


def _error_codes() -> Iterator[str]:
    yield "## Error codes"
    yield ""
    yield (f"They come in {_answer_link('fail')}; the message after the code says what came and what was expected.")
    yield ""
    yield from _table(
        ("code", "meaning", "any command"),
        ((f"`{code}`", meaning, "yes" if code in ANY_COMMAND else "") for code, meaning in FAIL_CODES.items()),
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|---" * len(header) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def main(arguments: Sequence[str]) -> None:
    """Write the reference to the file that is named, or to standard output."""
    if arguments:
        Path(arguments[0]).write_text(reference(), encoding="utf-8")
    else:
        sys.stdout.write(reference())


if __name__ == "__main__":
    main(sys.argv[1:])
