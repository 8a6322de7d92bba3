"""What breaks while a take sounds: what is heard of it, what clients are told, when all works again, what is lost.

The same take is made every time, so that every sample is known. In turn, in the middle of it: the player is killed; the
JACK server is killed, ends in good order as for a device that is unplugged, and stands still; the disk is full, for the
sound only and for everything; the daemon gets SIGTERM. Recorded from the device: up to where the take sounded to the
bit, how long the fade after it lasted, and its largest step beside the take's own.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import soundfile
from jack_rig import RATE_HZ, Capture, jack_server
from live_daemon import Player, client, pairs

from bridge.osc.datagrams import Message
from tests.figures.support.heard import Samples, places_of, sound_of
from tests.figures.support.music_file import PHRASE
from tests.figures.support.program import run
from tests.figures.support.served_daemon import DEVICE, PATIENCE_SECONDS, ServedDaemon, served

_LOG = logging.getLogger(__name__)

SEED = 5
_BEFORE_SECONDS = 1.5
"""So much of the take has sounded, about, when it happens."""
_SMALL_DISK = 1 << 23
_STALL_SECONDS = 6.0
_OF_JOBS = ("done", "started", "progress", "finished", "warning", "fail")
_UNTOLD = ("pong", "progress", "property", "status.reply")
_TOLD_CHARACTERS = 72
_AHEAD = RATE_HZ // 10
"""Of a take: so much of it is looked for to find where it begins."""


def measure(folder: Path, *, seconds: float) -> dict[str, object]:
    """Args:
    seconds: how long the take is.
    """
    figures: dict[str, object] = {}
    with jack_server(), _daemon(folder / "takes") as (daemon, player, subscriber):
        reference = _whole_take(player, folder, seconds)
        figures["player_killed"] = _player_killed(daemon, player, subscriber, folder, reference)
        figures["daemon_told_to_stop"] = _told_to_stop(daemon, player, subscriber, folder, reference)
    for name, way in (("killed", signal.SIGKILL), ("ended", signal.SIGTERM), ("stalled", signal.SIGSTOP)):
        _LOG.info("sound server %s", name)
        figures[f"sound_server_{name}"] = _server_gone(folder / name, way, reference)
    with jack_server(), _small_disk(folder / "small") as small:
        figures["disk_full"] = _disk_full(small, folder, reference)
    return figures


class Reference:
    """The take, as its file has it and as it sounds."""

    def __init__(self, file: Path) -> None:
        self.file: Samples = soundfile.read(file, dtype="float32")[0]
        self.sound = sound_of(file)
        self.seconds = len(self.file) / soundfile.info(file).samplerate

    def is_in(self, file: object) -> bool:
        """Whether a file holds the take, or its beginning, to the bit."""
        kept: Samples = soundfile.read(str(file), dtype="float32")[0]
        return np.array_equal(kept, self.file[: len(kept)])


@contextmanager
def _daemon(takes: Path) -> Iterator[tuple[ServedDaemon, Player, Player]]:
    """A daemon that has heard the phrase, a client that gives it work and one that is told of it."""
    takes.parent.mkdir(exist_ok=True)
    with (
        served(takes, "--audio-out", DEVICE, allowed=PHRASE.parent) as daemon,
        client(daemon) as player,
        client(daemon) as subscriber,
    ):
        player.send("prime/file", PHRASE.name)
        player.wait_for("done", "prime/file")
        subscriber.send("subscribe", "lease", 3600)
        subscriber.wait_for("done", "subscribe")
        yield daemon, player, subscriber


def _start(player: Player, seconds: float) -> None:
    player.send("continue", 1, "seconds", seconds, "seed", SEED)


def _wait_until_it_sounds(player: Player, subscriber: Player) -> None:
    """Until the take has sounded for a while; then both have heard nothing else."""

    def sounds(message: Message) -> bool:
        progress = message.address == "/melnet/progress"
        return progress and float(str(pairs(message.values)["played"])) > _BEFORE_SECONDS

    player.wait_until(sounds, "take that sounds", PATIENCE_SECONDS)
    _told(subscriber)
    for each in (player, subscriber):
        each.heard.clear()


def _told(player: Player) -> list[str]:
    """What a client was told by now, but for progress and properties: addresses, commands, ids, codes, first words."""
    player.send("ping")
    player.wait_for("pong")
    return _shown(player)


def _shown(player: Player) -> list[str]:
    told = []
    for message in player.heard:
        what, values = message.address.removeprefix("/melnet/"), message.values
        if what == "event":
            what = f"event {values[0]}"
            # of a job, without its sender, who differs from run to run
            values = values[2:] if values[0] in _OF_JOBS else values[1:]
        if what.split()[-1] in _UNTOLD:
            continue
        words = 3 if what.split()[-1] in ("fail", "warning", "player", "sound") else 2
        told.append(" ".join([f"/melnet/{what}", *(str(value) for value in values[:words])])[:_TOLD_CHARACTERS])
    return told


def _whole_take(player: Player, folder: Path, seconds: float) -> Reference:
    capture = Capture(folder)
    capture.wait_until_ready()
    _start(player, seconds)
    finished = pairs(player.wait_for("finished", "continue", 1, seconds=PATIENCE_SECONDS))
    reference = Reference(Path(str(finished["file"])))
    assert len(places_of(reference.sound, capture.stop())) == 1, "the take is not heard as its file has it"
    return reference


def _fade(captured: Samples, reference: Reference, at: int) -> dict[str, object]:
    """Of a take that was cut off: what was heard of it, and how it ended.

    Args:
        at: how much was recorded when it happened.
    """
    (begin,) = places_of(reference.sound[:_AHEAD], captured)
    heard = captured[begin:]
    whole = reference.sound[: len(heard)]
    same = int(np.argmax(heard[: len(whole)] != whole))
    silent = int(np.flatnonzero(heard)[-1]) + 1
    steps = np.abs(np.diff(heard[same - 1 : silent + 1]))
    around = np.abs(np.diff(whole[max(0, same - RATE_HZ // 2) : same]))
    return {
        "sounded_to_the_bit_seconds": same / RATE_HZ,
        "fade_samples": silent - same,
        "silent_after_it_happened_seconds": (begin + silent - at) / RATE_HZ,
        "largest_step_in_fade": float(steps.max()),
        "largest_step_of_the_half_second_before": float(around.max()),
        "largest_step_of_the_uncut_take_there": float(np.abs(np.diff(whole[same - 1 : silent + 1])).max()),
        "level_there": float(np.abs(whole[max(0, same - RATE_HZ // 20) : same]).max()),
    }


def _player_killed(
    daemon: ServedDaemon, player: Player, subscriber: Player, folder: Path, reference: Reference
) -> dict[str, object]:
    _LOG.info("player killed")
    before = set(daemon.takes.glob("*.json"))
    capture = Capture(folder)
    capture.wait_until_ready()
    _start(player, reference.seconds)
    _wait_until_it_sounds(player, subscriber)
    doomed = daemon.child("player")
    at, killed = capture.position(), time.monotonic()
    doomed.kill()
    player.wait_for("fail", "continue", 1)
    told_after = time.monotonic() - killed
    subscriber.wait_for("event", "player", "ready", seconds=PATIENCE_SECONDS)
    ready_after = time.monotonic() - killed
    told = {"owner": _told(player), "subscriber": _told(subscriber)}
    fade = _fade(capture.stop(), reference, at)
    files = len(set(daemon.takes.glob("*.json")) - before)
    same = _same_again(player, reference)
    return {
        **fade,
        "told_after_seconds": told_after,
        "ready_after_seconds": ready_after,
        "told": told,
        "same_take_afterwards": same,
        "seconds_of_the_take_lost": reference.seconds - float(str(fade["sounded_to_the_bit_seconds"])),
        "files_of_the_take": files,
    }


def _same_again(player: Player, reference: Reference) -> bool:
    """Whether the take is made once more as it was."""
    finished = player.run_job("continue", 2, "seconds", reference.seconds, "seed", SEED, seconds=PATIENCE_SECONDS)
    return reference.is_in(finished["file"]) and finished["seconds"] == reference.seconds


def _told_to_stop(
    daemon: ServedDaemon, player: Player, subscriber: Player, folder: Path, reference: Reference
) -> dict[str, object]:
    _LOG.info("daemon told to stop")
    capture = Capture(folder)
    capture.wait_until_ready()
    before = set(daemon.takes.glob("*.wav"))
    player.send("continue", 3, "seconds", 300.0, "seed", SEED)
    _wait_until_it_sounds(player, subscriber)
    at, stopped = capture.position(), time.monotonic()
    daemon.process.terminate()
    player.wait_for("fail", "continue", 3)
    subscriber.wait_for("event", "fail")
    code = daemon.process.wait(30.0)
    ended_after = time.monotonic() - stopped
    captured = capture.stop()
    (kept,) = set(daemon.takes.glob("*.wav")) - before
    audio: Samples = soundfile.read(kept, dtype="float32")[0]
    whole = min(len(audio), len(reference.file) - RATE_HZ)  # the joined end of a shorter take differs
    return {
        **_fade(captured, reference, at),
        "ended_after_seconds": ended_after,
        "exit_code": code,
        "told": {"owner": _shown(player), "subscriber": _shown(subscriber)},
        "kept_seconds": soundfile.info(kept).duration,
        "kept_is_the_take": np.array_equal(audio[:whole], reference.file[:whole]),
        **daemon.logged,
    }


def _server_gone(folder: Path, way: signal.Signals, reference: Reference) -> dict[str, object]:
    """The sound server gets a signal in the middle of a take, and after the take one of its name is there again."""
    with ExitStack() as servers:
        server = servers.enter_context(jack_server(synchronous=False))
        with _daemon(folder / "takes") as (daemon, player, subscriber):
            _start(player, reference.seconds)
            _wait_until_it_sounds(player, subscriber)
            began = time.monotonic()
            server.send_signal(way)
            player.wait_for("warning", "continue", 1)
            warned_after = time.monotonic() - began
            finished = pairs(player.wait_for("finished", "continue", 1, seconds=PATIENCE_SECONDS))
            if way == signal.SIGSTOP:
                time.sleep(max(0.0, began + _STALL_SECONDS - time.monotonic()))
                server.send_signal(signal.SIGCONT)
            else:
                servers.pop_all().close()
                servers.enter_context(jack_server())
            back = time.monotonic()
            subscriber.wait_until(_opened, "sound again", PATIENCE_SECONDS)
            heard_again_after = time.monotonic() - back
            told = {"owner": _told(player), "subscriber": _told(subscriber)}
            capture = Capture(folder)
            capture.wait_until_ready()
            _start(player, reference.seconds)
            again = pairs(player.wait_for("finished", "continue", 1, seconds=PATIENCE_SECONDS))
            captured = capture.stop()
            return {
                "warned_after_seconds": warned_after,
                "sound_again_after_its_return_seconds": heard_again_after,
                "told": told,
                "take_that_sounded_is_whole_in_its_file": reference.is_in(finished["file"])
                and finished["seconds"] == reference.seconds,
                "next_take": {key: again[key] for key in ("sounded", "gaps")},
                # one that waits for nobody loses samples of its own on a busy machine
                "next_take_to_the_bit": len(places_of(reference.sound, captured)) == 1 or way == signal.SIGSTOP,
                **daemon.logged,
            }


def _opened(message: Message) -> bool:
    return message.values[:1] == ["sound"] and f"{RATE_HZ} Hz" in str(message.values[1])


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """A takes folder that is a file system of its own with little room: needs the right to mount one."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SMALL_DISK}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(disk: Path, leave_bytes: int) -> Path:
    """A file that leaves so much room."""
    status = os.statvfs(disk)
    filler = disk / "filler"
    filler.write_bytes(bytes(max(0, status.f_bavail * status.f_frsize - leave_bytes)))
    return filler


def _disk_full(takes: Path, folder: Path, reference: Reference) -> dict[str, object]:
    figures: dict[str, object] = {}
    with _daemon(takes) as (daemon, player, subscriber):
        player.run_job("continue", 1, "seconds", 0.125, "seed", 1)  # its prompt is every take's
        for name, room_bytes in (("for_the_sound", 1 << 16), ("for_everything", 0)):
            _LOG.info("disk full %s", name)
            filler = _fill(takes, room_bytes)
            before = set(takes.iterdir())
            _told(subscriber)
            player.heard.clear()
            subscriber.heard.clear()
            capture = Capture(folder)
            capture.wait_until_ready()
            _start(player, reference.seconds)
            finished = pairs(player.wait_for("finished", "continue", 1, seconds=PATIENCE_SECONDS))
            told = {"owner": _told(player), "subscriber": _told(subscriber)}
            heard = places_of(reference.sound, capture.stop())
            left = set(takes.iterdir()) - before
            filler.unlink()
            figures[name] = {
                "heard_to_the_bit": len(heard) == 1,
                "gaps": finished["gaps"],
                "file": finished["file"],
                "told": told,
                "files_left_half_there": len([each for each in left if each.suffix == ".part"]),
                "rendered_from_what_is_left": [
                    _is_rendered(each, folder, reference) for each in left if each.suffix == ".json"
                ],
                "kept_once_there_is_room": _same_again(player, reference),
            }
        figures |= daemon.logged
    return figures


def _is_rendered(take: Path, folder: Path, reference: Reference) -> bool:
    """Whether `melnet-music render` makes the take of its JSON file."""
    again = folder / "again.wav"
    subprocess.run(
        [sys.executable, "-m", "bridge.cli", "render", str(take), str(again)], check=True, stdout=subprocess.DEVNULL
    )
    _LOG.info("%s: rendered, seed %s", take.name, json.loads(take.read_text())["seed"])
    return reference.is_in(again)


if __name__ == "__main__":
    run(measure, seconds=8.0)
