"""The examples of the README and the other documents are understood by the code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import pythonosc.udp_client

from bridge.cli.main import build_parser
from bridge.protocol.parse import parse
from bridge.protocol.table import COMMANDS

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "osc-reference.md"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FACES = sorted((ROOT / "faces").rglob("*.md"))
CARDS = sorted((ROOT / "presets").glob("*/card.md"))
TEXTS = {path: path.read_text(encoding="utf-8") for path in [*DOCUMENTS, *CARDS, *FACES]}
READ_BY_TAG: dict[str, Callable[[str], object]] = {"i": int, "f": float, "s": str}
ANSWERS = {
    "done",
    "started",
    "progress",
    "handed",
    "variation",
    "finished",
    "warning",
    "fail",
    "pong",
    "event",
    "synced",
}


def examples(program: str) -> list[str]:
    """The indented lines that start with this program, without their comments; each once."""
    pattern = rf"^ {{4}}(?:\S*[/\\])?{program} (.*)$"
    found = [line for text in TEXTS.values() for line in re.findall(pattern, text, flags=re.MULTILINE)]
    assert found, f"the documents have no example of {program}"
    return sorted({line.partition(" #")[0].strip() for line in found})


def addresses_in(texts: Iterable[str]) -> set[str]:
    return {name for text in texts for name in re.findall(r"/melnet/([a-z]+(?:/[a-z_]+)*)\b(?!\.|/)", text)}


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


def test_the_python_example_sends_commands_and_ends_with_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    class Client:
        def __init__(self, host: str, port: int) -> None:
            assert (host, port) == ("127.0.0.1", build_parser().parse_args(["serve"]).osc_port)

        def send_message(self, address: str, values: list[Any]) -> None:
            sent.append(parse(address, values).command.name)

        def get_messages(self, timeout: float) -> Iterable[Any]:
            class Finished:
                address, params = "/melnet/finished", ("continue", 1)

            yield Finished
            raise AssertionError(f"the example goes on after its job, and waits for {timeout} s")

    monkeypatch.setattr(pythonosc.udp_client, "SimpleUDPClient", Client)
    (example,) = re.findall(r"```python\n(.*?)```", TEXTS[ROOT / "README.md"], flags=re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert sent == ["prime/file", "continue"]


def test_addresses_named_are_commands_or_answers() -> None:
    assert addresses_in(TEXTS.values()) == {*COMMANDS, *ANSWERS}


def test_every_command_is_told_of_besides_the_reference() -> None:
    told = addresses_in(text for path, text in TEXTS.items() if path != REFERENCE)
    assert told >= {command.name for command in COMMANDS.values() if not command.sets}


@pytest.mark.parametrize("target", sorted({line.split()[0] for line in examples("make")}))
def test_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
