"""The table as Markdown."""

from __future__ import annotations

from bridge.protocol.errors import FAIL_CODES
from bridge.protocol.table import COMMANDS, PROPERTIES
from bridge.protocol.types import Argument


def command_table_markdown() -> str:
    """The commands, the properties and the codes of ``fail`` as the README's tables."""
    lines = ["| address | arguments | keys | what it does | answer |", "|---|---|---|---|---|"]
    for command in COMMANDS.values():
        if command.sets:  # these stand in the table of properties
            continue
        fixed = ", ".join(_described(argument) for argument in command.fixed)
        keys = ", ".join(_described(argument) for argument in command.keys)
        lines.append(f"| `{command.address}` | {fixed} | {keys} | {command.help} | {command.answer} |")
    lines += ["", "| property | address | range | at start | what it is |", "|---|---|---|---|---|"]
    addresses = {command.sets: command.address for command in COMMANDS.values()}
    for name, argument in PROPERTIES.items():
        default = argument.default
        shown_default = "the preset's" if default is None else default if isinstance(default, str) else f"{default:g}"
        lines.append(
            f"| `{name}` | `{addresses[name]}` | {argument.range_text()} | {shown_default} | {argument.help} |"
        )
    lines += ["", "| code | meaning |", "|---|---|"]
    lines += [f"| `{code}` | {meaning} |" for code, meaning in FAIL_CODES.items()]
    return "\n".join(lines) + "\n"


def _described(argument: Argument) -> str:
    if argument.kind in ("text", "value") and not argument.choices:
        return f"`{argument.name}`"
    return f"`{argument.name}` ({argument.range_text()})"
