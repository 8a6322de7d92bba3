"""Subscribers, sync, and where a daemon's answers go."""

from __future__ import annotations

import socket
import sys
import time

import pytest
from live_daemon import OTHER_HOST, Player, client, pairs

from bridge.osc.datagrams import Message, parse_datagram
from bridge.osc.reply_addresses import resolve_hosts
from bridge.protocol.table import PROPERTIES
from bridge.stage.daemon import Daemon


def events(player: Player) -> list[list[object]]:
    return [message.values for message in player.heard if message.address == "/melnet/event"]


def told_at_once(player: Player) -> dict[object, object]:
    """Every property's value, as a new subscriber is told; then nothing is left in ``heard``."""
    while len(told := [values for values in events(player) if values[0] == "property"]) < len(PROPERTIES):
        player.wait_for("event")
    player.heard.clear()
    return {name: value for _, name, value in told}


def test_a_new_subscriber_is_told_the_value_of_every_property(daemon: Daemon, player: Player) -> None:
    player.send("set/lead", 1.5)
    player.wait_for("done", "set/lead", -1, "lead", 1.5)
    player.send("set/bias", "preset")
    player.wait_for("done", "set/bias", -1, "bias", "preset")
    with client(daemon) as subscriber:
        subscriber.send("subscribe")
        told = told_at_once(subscriber)
        assert list(told) == list(PROPERTIES)
        for name, value in told.items():
            player.send("get", str(name))
            assert player.wait_for("get.reply", name) == [name, value]
        assert (told["lead"], told["bias"]) == (1.5, "preset")
        subscriber.send("subscribe")  # once more: only the lease is new
        subscriber.wait_for("done", "subscribe")
        player.run_job("generate", 1, "seconds", 0.125)
        next_seed = int(str(told["seed"])) + 1
        subscriber.wait_for("event", "property", "seed", next_seed)
        assert [values for values in events(subscriber) if values[0] == "property"] == [["property", "seed", next_seed]]
    player.send("set/lead", 0.0)
    player.wait_for("done", "set/lead")


def test_subscribers_are_told_of_everybodys_jobs_and_of_properties(daemon: Daemon, player: Player) -> None:
    with client(daemon) as first, client(daemon) as second:
        for each in (first, second):
            each.send("subscribe", "lease", 30)
            assert pairs(each.wait_for("done", "subscribe")) == {"lease": 30.0}
            told_at_once(each)
        player.run_job("generate", 4, "seconds", 0.25, "seed", 3)
        player.send("set", "bias", 0.5)
        player.wait_for("done", "set")
        player.send("set", "bias", "preset")
        for each in (first, second):
            each.wait_for("event", "property", "bias", "preset")
            who = f"{player.address[0]}:{player.address[1]}"
            job = [values[0] for values in events(each) if values[1:4] == [who, "generate", 4]]
            assert job[0] == "done"
            assert job[-1] == "finished"
            assert ["property", "bias", 0.5] in events(each)
        second.send("unsubscribe")
        second.wait_for("done", "unsubscribe")
        second.heard.clear()
        player.send("set", "lead", 0.0)
        first.wait_for("event", "property", "lead")
        second.send("ping")
        second.wait_for("pong")
        assert events(second) == []
        player.send("generate", 5, "seconds", 5.0)
        player.wait_for("done", "generate", 5)
        player.send("cancel", 5)
        assert first.wait_for("event", "fail", who, "generate", 5)[4] == "cancelled"


def test_a_sync_waits_for_commands_and_not_for_jobs(player: Player) -> None:
    player.send("sync", 1)
    assert player.wait_for("synced") == [1]
    player.send("generate", 6, "seconds", 1.0)
    player.wait_for("done", "generate", 6)
    player.send("sync", 2)
    assert player.wait_for("synced") == [2]
    player.send("prime/file", "good.wav")  # waits for the job
    player.send("sync", 3)
    player.wait_for("synced", 3)
    order = [message.address for message in player.heard if message.address != "/melnet/progress"]
    primed = next(place for place, message in enumerate(player.heard) if message.values[:1] == ["prime/file"])
    assert any(message.address == "/melnet/finished" for message in player.heard[:primed])
    assert order[-1] == "/melnet/synced"


def test_who_sends_more_than_is_looked_at_is_told(player: Player) -> None:
    def told(message: Message) -> bool:
        return message.values[:3] == ["", -1, "busy"] and "datagrams of yours were dropped" in str(message.values[3])

    deadline = time.monotonic() + 20.0
    while not any(told(message) for message in player.heard):
        assert time.monotonic() < deadline
        for _ in range(500):
            player.send_bytes(b"?")
        player.send("ping")
        player.wait_for("pong")


def test_answers_go_where_they_are_wanted(daemon: Daemon, player: Player) -> None:
    with client(daemon) as ear:
        player.send("reply", ear.address[1])
        assert pairs(ear.wait_for("done", "reply")) == {"port": ear.address[1]}
        player.send("ping")
        ear.wait_for("pong")
        player.send("no/such/thing")
        ear.wait_for("fail")
        player.send("reply", 0)
        player.wait_for("done", "reply")
        player.send("ping")
        player.wait_for("pong")
        assert len([message for message in player.heard if message.address == "/melnet/pong"]) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no second address without being set up for it")
def test_answers_go_to_a_host_that_was_named_and_to_no_other(player: Player) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind((OTHER_HOST, 0))
        ear.settimeout(5.0)
        player.send("reply", ear.getsockname()[1], "host", OTHER_HOST)
        (done,) = parse_datagram(ear.recv(4096))
        assert done.values == ["reply", -1, "port", ear.getsockname()[1], "host", OTHER_HOST]
        player.send("reply", 9, "host", "192.0.2.1")
        (fail,) = parse_datagram(ear.recv(4096))  # nothing is changed
        assert fail.values[2] == "refused"
        assert f"`serve --reply-host HOST` names (named are {OTHER_HOST}), got '192.0.2.1'" in str(fail.values[3])
        player.send("reply", 0)
        player.wait_for("done", "reply")


def test_a_host_that_nobody_knows_is_a_clear_error() -> None:
    with pytest.raises(ValueError, match=r"--reply-host 'no such host' is not known .*: give a name"):
        resolve_hosts(["no such host"])
