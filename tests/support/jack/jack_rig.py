"""A JACK server with the dummy driver, so that PortAudio has a real device on a machine without any."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

RATE_HZ = 48000
PERIOD_SAMPLES = 1024
PORTAUDIO_OUTPUT = "PortAudio:out"
PORTAUDIO_INPUT = "PortAudio:in"
_DEADLINE_SECONDS = 60.0
_SHARED_MEMORY = Path("/dev/shm")
_VARIABLES = ("JACK_DEFAULT_SERVER", "JACK_NO_START_SERVER")
# JACK keeps a table of eight servers in shared memory, and a server that is killed stays in it until one of the
# same name starts: so names are used again, and few; one place is left to a server of the machine's own. No test holds
# more than two at once: of six test processes that wait for a second one, one gets it.
_NAMES = tuple(f"melnet-rig-{number}" for number in range(7))
_NAME_DEADLINE_SECONDS = 300.0


@contextmanager
def _locked(name: str, *, wait: bool) -> Iterator[bool]:
    """Whether a name is ours meanwhile, and no other test run's."""
    with open(Path(tempfile.gettempdir()) / f"{name}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def _server_name() -> Iterator[str]:
    """A name that no other test process holds; waits for one."""
    deadline = time.monotonic() + _NAME_DEADLINE_SECONDS
    while time.monotonic() < deadline:
        for name in _NAMES:
            with _locked(name, wait=False) as ours:
                if ours:
                    yield name
                    return
        time.sleep(0.1)
    pytest.fail(f"{', '.join(_NAMES)}: all of these JACK servers are in use by other test runs")


def _clear_up(name: str) -> None:
    """Kill a server of our name, which a killed test run left; empty JACK's table if no other server lives."""
    others, killed = False, list[Path]()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended while we looked
            if (process / "comm").read_text().startswith("jackd"):
                if name in (process / "cmdline").read_text():
                    os.kill(int(process.name), signal.SIGKILL)
                    killed.append(process)
                else:
                    others = True
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while any(_lives(process) for process in killed) and time.monotonic() < deadline:
        time.sleep(0.02)
    if not others:
        with suppress(OSError):  # another user's
            (_SHARED_MEMORY / "jack-shm-registry").unlink(missing_ok=True)


def _lives(process: Path) -> bool:
    """Whether a process, by its folder in /proc, is neither gone nor only waits to be taken note of."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def jack_server(
    *, synchronous: bool = True, realtime: bool = False, rate_hz: int = RATE_HZ
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server of its own name, and make it this process's and its children's default.

    Synchronous: the server waits for its clients, so that a capture has no gaps of the server's making; but
    it does not survive a client that is killed.
    """
    if not shutil.which("jackd") or not shutil.which("jack_lsp"):
        pytest.fail("the audio rig needs jackd and jack_lsp: apt-get install jackd2 (or `make setup`)")
    flags = ["-S"] if synchronous else []
    priority = ["-R", "-P", "70"] if realtime else ["-r"]
    driver = ["-d", "dummy", "-r", str(rate_hz), "-p", str(PERIOD_SAMPLES), "-C", "2", "-P", "2"]
    with _server_name() as name, tempfile.TemporaryFile() as said, ExitStack() as stack:
        # one at a time: a server that starts is not in the table yet when another run would empty that
        with _locked("melnet-rig-start", wait=True):
            _clear_up(name)
            stack.callback(_restore, {key: os.environ.get(key) for key in _VARIABLES})
            os.environ.update(JACK_DEFAULT_SERVER=name, JACK_NO_START_SERVER="1")
            server = subprocess.Popen(
                ["jackd", "-n", name, *priority, *flags, "-t", "2000", *driver],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
            stack.callback(_end, server, name)
            deadline = time.monotonic() + _DEADLINE_SECONDS
            while subprocess.run(["jack_lsp"], capture_output=True, check=False).returncode:
                if time.monotonic() > deadline or server.poll() is not None:
                    said.seek(0)
                    pytest.fail(f"jackd did not come up (status {server.poll()}): {said.read().decode()}")
                time.sleep(0.02)
        yield server


def _end(server: subprocess.Popen[bytes], name: str) -> None:
    server.terminate()
    try:
        server.wait(5.0)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    for left in _SHARED_MEMORY.glob(f"jack*{name}*"):  # by a server that was killed
        left.unlink(missing_ok=True)


def _restore(before: dict[str, str | None]) -> None:
    for key, value in before.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value


class Capture:
    """Records what PortAudio sends to the device, from ``__enter__`` to ``stop``."""

    def __init__(self, folder: Path, *, most_seconds: float = 60.0) -> None:
        self._path = folder / "capture.npy"
        script = Path(__file__).with_name("jack_capture.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script), PORTAUDIO_OUTPUT, str(self._path), str(most_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def position(self) -> int:
        """How many samples are recorded by now."""
        return int(self._ask()[0])

    def began_at(self) -> float:
        """The monotonic time at which JACK asked for the first of them, when some are recorded."""
        return float(self._ask()[1])

    def _ask(self) -> list[bytes]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().split()

    def stop(self) -> NDArray[np.float32]:
        """All that was recorded: float32[N] at RATE_HZ."""
        self._process.communicate(timeout=_DEADLINE_SECONDS)
        assert self._process.returncode == 0
        recorded: NDArray[np.float32] = np.load(self._path)
        return recorded


def sound_of(capture: NDArray[np.float32]) -> NDArray[np.float32]:
    """From the first sample that is not silent to the last."""
    loud = np.flatnonzero(capture)
    assert len(loud), "nothing was captured"
    return capture[loud[0] : loud[-1] + 1]


@contextmanager
def generator(sound: Path | None = None) -> Iterator[None]:
    """Counted samples arrive at PortAudio's inputs, or a sound file of RATE_HZ over and over."""
    script = Path(__file__).with_name("jack_generator.py")
    process = subprocess.Popen(
        [sys.executable, str(script), PORTAUDIO_INPUT, *([str(sound)] if sound else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},  # where the support modules of tests are
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    try:
        yield
    finally:
        process.communicate(timeout=_DEADLINE_SECONDS)
