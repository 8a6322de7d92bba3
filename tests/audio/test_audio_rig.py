"""Sound through real PortAudio into a JACK server, captured by another client: every sample counts."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bad_input import BAD_COMMANDS, bundle, make_prime_files, nasty
from jack_rig import RATE_HZ, Capture, generator, jack_server, sound_of
from live_daemon import Player, client, end_all, live_daemon, pairs, process_id, wait_ready, wait_until
from scripted_instrument import counted

from bridge.audio.device_process import AudioDeviceOpened, AudioDeviceSettings, Device, choose_device, serve_audio
from bridge.audio.input_ring import InputRing
from bridge.audio.loop_player import LoopPlayer
from bridge.audio.output_ring import FADE_SAMPLES, OutputRing
from bridge.osc.datagrams import Message, encode_message
from bridge.processes.child_process import ChildProcess
from bridge.processes.messages import STOP
from bridge.protocol.types import Value
from bridge.stage.daemon import Daemon

DEVICE = "system"


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    with jack_server():
        yield


@pytest.fixture(scope="module")
def allowed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_prime_files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def daemon(server: None, allowed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    takes = tmp_path_factory.mktemp("takes")
    with live_daemon(takes, output=DEVICE, audio_input=DEVICE, allowed=(allowed,)) as running:
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as one:
        wait_ready(one)
        yield one
        end_all(one)


@pytest.fixture
def other(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as one:
        yield one


def use_preset(player: Player, preset: str) -> None:
    player.send("load", preset)
    player.wait_for("done", "load")
    player.heard.clear()


def test_the_ring_reaches_the_device_bit_for_bit(server: object, tmp_path: Path) -> None:
    output_ring, audio_input, loop = OutputRing.create(1 << 18), InputRing.create(1 << 10), LoopPlayer.create(1 << 10)
    audio = ChildProcess(
        "audio", serve_audio, AudioDeviceSettings(output_ring.name, audio_input.name, loop.name, DEVICE, None)
    )
    audio.start()
    opened = audio.connection.recv()
    assert isinstance(opened, AudioDeviceOpened)
    assert opened.output is not None
    assert opened.output.sample_rate_hz == RATE_HZ
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    output_ring.write(counted(0, 2 * RATE_HZ))
    output_ring.open()
    output_ring.finish()
    wait_until(lambda: output_ring.available_samples == 0)
    callbacks = output_ring.callbacks
    wait_until(lambda: output_ring.callbacks > callbacks + 2)
    np.testing.assert_array_equal(sound_of(capture.stop()), counted(0, 2 * RATE_HZ))
    assert output_ring.underruns == 0
    audio.send(STOP)
    assert audio.stop(5.0) == 0
    output_ring.close()
    audio_input.close()
    loop.close()


@pytest.mark.parametrize("preset", ["rtf=0.5 hz=48000 block=0.5", "rtf=1.2 hz=48000 block=0.5", "rtf=20 hz=48000"])
def test_a_take_has_no_gap_however_slow_the_engine(player: Player, tmp_path: Path, preset: str) -> None:
    use_preset(player, preset)
    assert "48000 Hz" in str(player.ask("status")["output"])
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    finished = player.run_job("generate", 1, "seconds", 2.0)
    (done,) = [pairs(message.values) for message in player.heard if message.address == "/melnet/done"]
    (started,) = [pairs(message.values) for message in player.heard if message.address == "/melnet/started"]
    np.testing.assert_array_equal(sound_of(capture.stop()), counted(0, 2 * RATE_HZ))
    assert (finished["sounded"], finished["gaps"], finished["missing_samples"]) == (True, 0, 0)
    # The prediction is cautious: it may be late, and early only by the delays of a busy machine. At half real time, the
    # wait is more than twice as long as these.
    assert float(str(started["waited"])) <= float(str(done["start_in"])) + 1.5


def test_a_take_at_another_rate_has_no_gap(player: Player, tmp_path: Path) -> None:
    use_preset(player, "rtf=4 hz=22050 block=0.1")
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    player.run_job("generate", 1, "seconds", 2.0)
    sound = sound_of(capture.stop())
    assert abs(len(sound) - 2 * RATE_HZ) < 200
    steps = np.diff(sound[2000:-2000].astype(np.float64))  # counting up stays counting up, in smaller steps
    np.testing.assert_allclose(steps, np.mean(steps), atol=np.mean(steps) * 0.2)


def test_nothing_that_arrives_makes_a_gap(daemon: Daemon, player: Player, other: Player, tmp_path: Path) -> None:
    """All bad input, and a flood of bytes, while a take sounds: every one is answered, no sample is missing."""
    use_preset(player, "rtf=4 hz=48000 block=0.5")
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    player.send("generate", 1, "seconds", 10.0)
    player.wait_for("started", "generate", 1)
    for name, values, code in BAD_COMMANDS:
        other.send(name, *values)
        assert other.wait_for("fail")[2] == code
    other.send_bytes(bundle(time.time() + 365 * 86400, encode_message("/melnet/ping", [])))
    assert other.wait_for("fail")[2] == "too_far_ahead"
    for name in ("good.wav", "stereo.wav", "eight_bit.wav", "fast.wav"):
        other.send("prime/file", name)
        other.wait_for("done", "prime/file")
    generator_of_noise = random.Random(5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.connect(daemon.address)
        for number in range(5000):
            flood.send(nasty(generator_of_noise))
            if number % 500 == 499:
                other.send("ping")
                other.wait_for("pong")
    assert not any(message.address == "/melnet/finished" for message in player.heard)
    finished = pairs(player.wait_for("finished", "generate", 1))
    np.testing.assert_array_equal(sound_of(capture.stop()), counted(0, 10 * RATE_HZ))
    assert (finished["gaps"], finished["missing_samples"]) == (0, 0)


def sounds(message: Message) -> bool:
    return message.address == "/melnet/progress" and float(str(pairs(message.values)["played"])) > 0.1


@pytest.mark.parametrize(("command", "values"), [("panic", []), ("cancel", [1])])
def test_what_sounds_fades_out_on_command(player: Player, tmp_path: Path, command: str, values: list[Value]) -> None:
    # panic acts though the engine is in the middle of a long block, cancel after the block
    use_preset(player, "rtf=2 hz=48000 block=1.5" if command == "panic" else "rtf=2 hz=48000 block=0.1")
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    player.send("generate", 1, "seconds", 40.0)
    player.wait_until(sounds, "progress with sound", 15.0)
    player.send(command, *values)
    player.wait_for("done", command)
    assert player.ask("status")["jobs"] == 0
    sound = sound_of(capture.stop())
    whole = len(sound) - FADE_SAMPLES
    np.testing.assert_array_equal(sound[:whole], counted(0, whole))
    assert np.abs(np.diff(sound[whole:])).max() < 1.5 * np.abs(sound).max() / FADE_SAMPLES
    assert len(sound) < 20 * RATE_HZ


def test_a_take_that_runs_dry_fades_out_and_in_again(daemon: Daemon, player: Player, tmp_path: Path) -> None:
    # so slow that it cannot be made before the player stands still, so fast that it never runs dry again
    use_preset(player, "rtf=2 hz=48000 block=0.05")
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    player.send("generate", 1, "seconds", 8.0)
    player.wait_for("started", "generate", 1)
    os.kill(process_id(daemon, "player"), signal.SIGSTOP)
    wait_until(lambda: int(str(player.ask("status")["underruns"])) > 2)
    os.kill(process_id(daemon, "player"), signal.SIGCONT)
    finished = pairs(player.wait_for("finished", "generate", 1))
    assert int(str(finished["missing_samples"])) > 2 * FADE_SAMPLES
    sound = sound_of(capture.stop())
    assert np.abs(np.diff(sound)).max() < 3 * np.abs(sound).max() / FADE_SAMPLES
    whole = int(np.argmax(np.diff(sound) <= 0)) + 1
    np.testing.assert_array_equal(sound[:whole], counted(0, whole))
    assert sound[-1] == counted(0, 8 * RATE_HZ)[-1]


def test_the_input_is_heard_and_continued(player: Player) -> None:
    use_preset(player, "rtf=8 hz=48000 block=0.1")
    assert "48000 Hz" in str(player.ask("status")["input"])
    player.send("listen/start")
    player.wait_for("done", "listen/start")
    with generator():
        wait_until(lambda: float(str(player.ask("status")["heard"])) > 1.5)
        player.send("generate", 1, "seconds", 1.0)  # it goes on listening while a take sounds
        player.wait_for("finished", "generate", 1)
        assert float(str(player.ask("status")["heard"])) > 2.0
        finished = player.run_job("continue", 2, "seconds", 0.25, "lead", 1.0)
    take, _ = soundfile.read(str(finished["file"]), dtype="float32")
    first = round(float(take[0]) / float(counted(0, 1)[0])) - 1
    np.testing.assert_array_equal(take[:RATE_HZ], counted(first, RATE_HZ))
    np.testing.assert_array_equal(take[RATE_HZ:], counted(0, RATE_HZ // 4))
    assert player.ask("status")["missed_input"] == 0.0


def device(name: str, api: str = "ALSA", outputs: int = 2, *, default: bool = False) -> Device:
    return Device(0, name, api, outputs, 2, 48000, default, default)


DEVICES = [device("USB Audio", default=True), device("HDMI"), device("HDMI", "JACK"), device("Microphone", outputs=0)]


def test_devices_are_chosen_by_a_part_of_their_name() -> None:
    assert choose_device(DEVICES, "usb", "output") is DEVICES[0]
    assert choose_device(DEVICES, "default", "output") is DEVICES[0]
    assert choose_device(DEVICES, "HDMI, JACK", "output") is DEVICES[2]
    assert choose_device(DEVICES, "micro", "input") is DEVICES[3]


@pytest.mark.parametrize(
    ("part", "reason"), [("scarlett", "no output devices match"), ("HDMI", "several output devices")]
)
def test_a_device_that_cannot_be_chosen_is_answered_with_all(part: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"{reason}.*USB Audio, ALSA; HDMI, ALSA; HDMI, JACK$"):
        choose_device(DEVICES, part, "output")


def test_no_default_device() -> None:
    with pytest.raises(ValueError, match="there is no default output device; output devices: none at all"):
        choose_device([], "default", "output")
