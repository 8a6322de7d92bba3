"""The Python client against a daemon: plain and with asyncio, what it returns, and how it fails."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from live_daemon import Player, wait_until
from melnet_music_client import JOBS, AsyncMelNet, DaemonFailed, MelNet, NoAnswer

from bridge.protocol.table import COMMANDS, PROPERTIES
from bridge.stage.daemon import Daemon

FACE = Path(__file__).parent.parent.parent / "faces" / "python"


@pytest.fixture
def net(daemon: Daemon, player: Player) -> Iterator[MelNet]:
    with MelNet(*daemon.address) as one:
        yield one


def test_a_take_from_trigger_to_file(net: MelNet) -> None:
    assert net.command("prime/file", "good.wav") == {"seconds": 1.0}
    take = net.continue_(seconds=1, seed=7, lead=0.5)
    assert (take.accepted["seed"], take.accepted["seconds"]) == (7, 1.5)
    finished = take.wait(20)
    assert Path(finished["file"]).is_file()
    assert (finished["seed"], finished["gaps"], take.is_over) == (7, 0, True)
    assert take.wait_started(0) == {}  # there is no sound device
    again = net.reroll(take=finished["take"]).wait(20)
    assert again["seed"] == 8
    listed = net.command("take/list")
    assert [each["take"] for each in listed[-2:]] == [finished["take"], again["take"]]


def test_variations_are_told_and_played(net: MelNet) -> None:
    net.command("prime/file", "good.wav")
    take = net.continue_(seconds=0.5, seed=7, variations=3)
    assert take.wait(20)["seed"] == 7
    wait_until(lambda: len(take.variations) == 2)
    assert [(each["seed"], each["ready"], each["left"]) for each in take.variations] == [(8, 1, 1), (9, 1, 0)]
    last = take.variations[1]
    assert net.job("take/play", take=last["take"]).wait(20)["file"] == last["file"]


def test_queries_and_properties(net: MelNet) -> None:
    assert net.command("ping") == {}
    assert net.command("sync", 5) == {"id": 5}
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", net.command("version")["version"])
    assert net.command("status")["player"] == "ready"
    assert net.command("transport")["meter"] == "4/4"
    assert net.command("midi/map") == []
    net.set(tempo=96, quantise="bar")
    assert (net.get("tempo"), net.get("quantise")) == (96.0, "bar")
    net.set(tempo=120, quantise="none")


def test_what_the_daemon_refuses_is_raised_in_its_words(net: MelNet) -> None:
    with pytest.raises(DaemonFailed, match="did you mean 'temperature'") as caught:
        net.generate(tempreature=0.9)
    assert (caught.value.code, caught.value.command, caught.value.job_id) == ("unknown_key", "generate", 1)
    with pytest.raises(DaemonFailed, match="unknown property"):
        net.get("loudness")
    with pytest.raises(DaemonFailed, match="unknown address"):
        net.command("contineu", 1)
    with pytest.raises(ValueError, match="makes no take"):
        net.job("loop/start")


def test_a_take_is_cancelled(net: MelNet) -> None:
    take = net.generate(seconds=300)
    take.cancel()
    with pytest.raises(DaemonFailed) as caught:
        take.wait(20)
    assert caught.value.code == "cancelled"


def test_several_threads_get_their_own_answers(net: MelNet) -> None:
    def ask(thread: int, name: str) -> None:
        for number in range(1000 * thread, 1000 * thread + 50):
            net.get(name)  # raises KeyError on the answer of another
            assert net.command("sync", number) == {"id": number}

    with ThreadPoolExecutor() as threads:
        for asked in [threads.submit(ask, *each) for each in enumerate(("lead", "tail", "bias", "input_offset"))]:
            asked.result()


def test_events_begin_with_the_properties_and_tell_of_jobs(net: MelNet) -> None:
    with net.events() as events:
        told = [next(events) for _ in PROPERTIES]
        assert [event.values[0] for event in told] == list(PROPERTIES)
        net.generate(seconds=0.25, seed=3)
        assert next(event for event in events if event.name == "finished").values[1:3] == ("generate", 1)


def test_asyncio_plays_two_takes_at_once(daemon: Daemon, player: Player) -> None:
    async def session() -> list[int]:
        async with AsyncMelNet(*daemon.address) as net, net.events() as events:
            takes = await asyncio.gather(net.generate(seconds=0.25, seed=3), net.generate(seconds=0.25, seed=4))
            finished = await asyncio.gather(*(take.wait() for take in takes))
            async for event in events:
                if event.name == "finished":
                    break
            with pytest.raises(DaemonFailed):
                await net.inpaint(start=0.75, stop=0.25)
            return [take["seed"] for take in finished]

    assert asyncio.run(asyncio.wait_for(session(), 60)) == [3, 4]


def test_who_stops_waiting_takes_the_answer_from_nobody(daemon: Daemon, player: Player) -> None:
    async def session() -> str:
        async with AsyncMelNet(*daemon.address) as net:
            take = await net.generate(seconds=2)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.0):
                    await take.wait()
            return str((await take.wait())["file"])

    assert Path(asyncio.run(asyncio.wait_for(session(), 60))).is_file()


def test_no_daemon_is_told_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with MelNet(port=port) as net, pytest.raises(NoAnswer, match=f"nothing listens at 127.0.0.1:{port}.*serve"):
        net.command("ping")


def test_no_answer_is_told_in_time_and_its_place_is_free_again() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with MelNet(port=silent.getsockname()[1], timeout_seconds=0.1) as net:
            with pytest.raises(NoAnswer, match=r"no answer to status within 0.1 s"):
                net.command("status")
            with pytest.raises(NoAnswer, match=r"no answer to generate within 0.1 s"):
                net.generate()


def test_it_goes_on_after_what_is_no_osc() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        other.settimeout(20)
        with MelNet(port=other.getsockname()[1], timeout_seconds=20) as net:
            answers: list[object] = []
            asking = threading.Thread(target=lambda: answers.append(net.command("ping")))
            asking.start()
            _, client = other.recvfrom(100)
            for data in (b"garbage", b"/melnet/done\0\0\0\0,\0\0\0", b"/melnet/pong\0\0\0\0,\0\0\0"):
                other.sendto(data, client)
            asking.join()
            assert answers == [{}]


def test_jobs_are_those_of_the_daemon() -> None:
    assert set(JOBS) == {command.name for command in COMMANDS.values() if command.is_job}


def test_it_needs_python_osc_only_and_is_what_is_installed() -> None:
    project = tomllib.loads((FACE / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dependencies"] == ["python-osc>=1.9"]
    assert project["tool"]["setuptools"]["py-modules"] == [path.stem for path in FACE.glob("*.py")]
