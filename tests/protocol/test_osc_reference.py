"""``docs/osc-reference.md`` is what the table gives, and the table says what the daemon does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from documented import check_documented
from live_daemon import Player, client, live_daemon, wait_ready

from bridge.osc.datagrams import Message
from bridge.protocol.errors import ANY_COMMAND, FAIL_CODES, FailCode
from bridge.protocol.outgoing import ANSWERS, EVENTS, JOB_ANSWERS
from bridge.protocol.parse import parse
from bridge.protocol.reference import main, reference
from bridge.protocol.table import COMMANDS, PROPERTIES
from bridge.protocol.types import Command

FILE = Path(__file__).parent.parent.parent / "docs" / "osc-reference.md"


def test_the_file_is_what_the_table_gives() -> None:
    assert FILE.read_text(encoding="utf-8") == reference(), (
        "docs/osc-reference.md is not what the table gives; make it anew with "
        "`python -m bridge.protocol.reference docs/osc-reference.md`"
    )


def test_it_is_written_to_a_file_or_to_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path / "reference.md")])
    main([])
    assert (tmp_path / "reference.md").read_text(encoding="utf-8") == capsys.readouterr().out == reference()


def test_every_command_is_described_with_all_that_it_takes() -> None:
    sections = dict(re.findall(r"^### `(\S+)`\n(.*?)(?=^##)", reference(), flags=re.MULTILINE | re.DOTALL))
    for command in COMMANDS.values():
        if not command.sets:
            for argument in (*command.fixed, *command.keys):
                assert f"| `{argument.name}` | " in sections[command.address]
            for code in command.fails:
                assert f"`{code}`" in sections[command.address]
    for name in PROPERTIES:
        assert f"\n| `{name}` | `/melnet/set/{name}` | " in reference()
    for name in EVENTS:
        assert f"\n### `/melnet/event {name}`\n" in reference()


def test_links_lead_to_headings() -> None:
    headings = re.findall(r"^##+ (.*)$", reference(), flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-")) for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", reference())) <= anchors


def test_every_row_has_as_many_cells_as_its_table() -> None:
    for table in re.findall(r"(?:^\|.*\|\n)+", reference(), flags=re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_the_table_is_consistent(command: Command) -> None:
    example: list[object] = [
        float(word) if re.fullmatch(r"[\d.]+", word) else word for word in shlex.split(command.example)
    ]
    if command.example or not command.fixed:
        assert parse(command.address, example).command is command
    else:
        assert command.sets
    assert set(command.answers) <= {*ANSWERS, "event", f"{command.name}.reply"}
    assert bool(command.reply) == (f"{command.name}.reply" in command.answers)
    assert not command.done or "done" in command.answers
    assert command.is_job == (command.answers == JOB_ANSWERS)


def test_every_fail_code_is_explained_and_belongs_to_a_command() -> None:
    assert set(FAIL_CODES) == set(get_args(FailCode))
    used = {code for command in COMMANDS.values() for code in command.fails}
    assert used | set(ANY_COMMAND) == set(FAIL_CODES) - {"malformed"}


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    folder = tmp_path_factory.mktemp("takes")
    with live_daemon(folder, allowed=(folder,)) as daemon, client(daemon) as one:
        wait_ready(one)
        yield one


def test_what_a_daemon_says_is_as_documented(player: Player) -> None:
    """Every command but those that change where answers go, with its example and with what is wrong."""
    player.send("subscribe")
    for command in COMMANDS.values():
        if command.name not in ("reply", "panic", "unsubscribe"):
            values = [float(word) if re.fullmatch(r"[\d.]+", word) else word for word in shlex.split(command.example)]
            player.send(command.name, *values)
            player.send(command.name, "nonsense", "nonsense", "nonsense")
    player.send("sync", 1)
    player.wait_for("synced", 1)
    player.run_job("generate", 77, "seconds", 0.5)
    player.send("take/list")
    player.wait_for("done", "take/list")
    player.send("panic")
    player.wait_for("done", "panic")
    told: list[Message] = player.heard
    assert len(told) > 2 * len(COMMANDS)
    for message in told:
        check_documented(message)
