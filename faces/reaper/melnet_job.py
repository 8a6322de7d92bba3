"""Sends one command to the daemon, and writes its answers where a ReaScript looks for them.

    python3 melnet_job.py HOST PORT ANSWERS COMMAND [ARGUMENT or KEY VALUE]...

The file has a line for each value, ``ANSWER<tab>NAME<tab>VALUE``, and ``over`` as its last.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TextIO

from melnet_music_client import JOBS, DaemonFailed, MelNet, NoAnswer, Value


def value_of(word: str) -> Value:
    """A whole number, a number or text."""
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def _write(file: TextIO, answer: str, values: dict[str, Any]) -> None:
    for name, value in values.items():
        file.write(f"{answer}\t{name}\t{' '.join(str(value).split()) if name == 'message' else value}\n")
    file.flush()


def _run(net: MelNet, words: Sequence[str], file: TextIO) -> None:
    values = [value_of(word) for word in words[1:]]
    if words[0] not in JOBS:
        answer = net.command(words[0], *values)
        _write(file, "done", answer if isinstance(answer, dict) else {})
        return
    take = net.job(words[0], *values)
    _write(file, "done", take.accepted)
    _write(file, "finished", take.wait())


def main(words: Sequence[str]) -> int:
    """Returns 1 where the daemon refused or was not there."""
    host, port, path, *command = words
    with open(path, "w", encoding="utf-8") as file:
        file.write("begun\n")
        file.flush()
        failure: dict[str, str] = {}
        try:
            with MelNet(host, int(port)) as net:
                _run(net, command, file)
        except DaemonFailed as error:
            failure = {"code": error.code, "message": error.message}
        except NoAnswer as error:
            failure = {"code": "no_answer", "message": str(error)}
        _write(file, "fail", failure)
        file.write("over\n")
    return int(bool(failure))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
