"""The README says what the code does: its table is the code's, examples are understood, links lead somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.cli.main import build_parser
from bridge.protocol.parse import parse
from bridge.protocol.reference import command_table_markdown
from bridge.protocol.table import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
READ_BY_TAG: dict[str, Callable[[str], object]] = {"i": int, "f": float, "s": str}


def examples(program: str) -> list[str]:
    """The indented lines that start with this program, without their comments."""
    lines = re.findall(rf"^ {{4}}(?:\S*[/\\])?{program} (.*)$", README, flags=re.MULTILINE)
    assert lines, f"the README has no example of {program}"
    return [line.partition(" #")[0].strip() for line in lines]


def test_the_table_of_commands_is_the_codes_own() -> None:
    table = README.partition("<!-- osc-commands:begin -->")[2].partition("<!-- osc-commands:end -->")[0]
    assert table.strip() == command_table_markdown().strip()


@pytest.mark.parametrize("line", examples("melnet-music"))
def test_command_line_examples_are_understood(line: str) -> None:
    assert build_parser().parse_args(shlex.split(line)).subcommand == line.split()[0]


def test_every_subcommand_has_an_example() -> None:
    usage = build_parser().format_help()
    (listed,) = re.findall(r"^  SUBCOMMAND\n((?: {4}.*\n)+)", usage, flags=re.MULTILINE)
    subcommands = set(re.findall(r"^ {4}(\S+)", listed, flags=re.MULTILINE))
    assert subcommands == {line.split()[0] for line in examples("melnet-music")}


@pytest.mark.parametrize("line", examples("oscsend"))
def test_osc_examples_are_understood(line: str) -> None:
    _host, port, address, *rest = line.split()
    tags, *values = rest or [""]
    sent = [READ_BY_TAG[tag](value) for tag, value in zip(tags, values, strict=True)]
    assert parse(address, sent).command.address == address
    assert int(port) == build_parser().parse_args(["serve"]).osc_port


def test_addresses_named_are_commands_or_answers() -> None:
    named = set(re.findall(r"/melnet/([a-z]+(?:/[a-z_]+)*)\b(?!\.)", README))
    answers = {"done", "started", "progress", "handed", "finished", "warning", "fail", "pong", "event", "synced"}
    assert named == {*COMMANDS, *answers}


@pytest.mark.parametrize("target", examples("make"))
def test_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!\w+://)([^)#]+)", README))))
def test_relative_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
