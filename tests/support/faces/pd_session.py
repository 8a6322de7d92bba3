"""Pure Data without a window: a patch that a test wrote, and a line to it."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

FACE = Path(__file__).parents[3] / "faces" / "puredata"
DEADLINE_SECONDS = 20.0
_HEAD = """#N canvas 0 0 800 600 12;
#X obj 10 10 loadbang;
#X msg 10 40 connect 127.0.0.1 {port};
#X obj 10 70 netsend;
#X obj 10 100 route command take sound bytes quit;
#X obj 600 70 list prepend send;
#X obj 600 100 list trim;
#X obj 300 140 send pd;
"""
_HEAD_LINES = ["0 0 1 0", "1 0 2 0", "2 1 3 0", "4 0 5 0", "5 0 2 0", "3 4 6 0"]


def needs_pd() -> None:
    """Skip the test where Debian's package is not installed."""
    if not shutil.which("pd"):
        pytest.skip("Pure Data is missing: apt-get install puredata-core (or `make setup`)")


class PdSession:
    """A running patch. Its objects 4 and 3: what is said to it comes out of 3, what goes into 4 is said to us."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._rest = connection, ""
        self.heard: list[str] = []

    def say(self, line: str) -> None:
        self._connection.sendall(f"{line};\n".encode())

    def wait_for(self, start: str, seconds: float = DEADLINE_SECONDS) -> str:
        """The next line that begins so; all are kept in ``heard``."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            line, end, rest = self._rest.partition(";\n")
            if end:
                self._rest = rest
                line = re.sub(r"\\(.)", r"\1", line)  # Pd escapes spaces, commas and semicolons
                self.heard.append(line)
                if line.startswith(start):
                    return line
                continue
            self._connection.settimeout(left)
            try:
                self._rest += self._connection.recv(65536).decode()
            except TimeoutError:
                break
        raise AssertionError(f"Pd does not say {start!r}; it said {self.heard[-8:]}")


@contextmanager
def pd_session(
    folder: Path, objects: Sequence[str], wires: Sequence[str], *, options: Sequence[str] = ("-noaudio",)
) -> Iterator[PdSession]:
    """Run a patch with these objects, numbered from 7 on, and wires. Pd must complain of nothing."""
    needs_pd()
    patch, log = folder / "session.pd", folder / "pd.log"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE_SECONDS)
        body = "".join(f"#X obj 10 {200 + 30 * number} {each};\n" for number, each in enumerate(objects))
        ends = "".join(f"#X connect {each};\n" for each in [*_HEAD_LINES, *wires])
        patch.write_text(_HEAD.format(port=server.getsockname()[1]) + body + ends)
        with log.open("w") as said:
            process = subprocess.Popen(
                ["pd", "-nogui", "-nomidi", "-stderr", *options, "-path", str(FACE), "-open", str(patch)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                text=True,
            )
            try:
                connection, _ = server.accept()
                with connection:
                    session = PdSession(connection)
                    yield session
                    session.say("quit quit")  # a client that is killed may stop a JACK server
                    process.wait(DEADLINE_SECONDS)
            finally:
                process.kill()
                process.wait()
    assert complaints(log.read_text()) == []


def complaints(log: str) -> list[str]:
    """What Pd says of a patch that is not right; of its own devices it may say what it wants."""
    return [line for line in log.splitlines() if re.search(r"error|couldn't create|no such|bad", line, re.IGNORECASE)]
