"""Processes that fill numba's cache at once: each function is compiled by one of them, and loaded by the others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SUMS = """
from melnet_music.kernel_cache import njit

def total(values):
    result = values[0]
    for value in values[1:]:
        result += value
    return result

def largest(values):
    result = values[0]
    for value in values[1:]:
        result = max(result, value)
    return result

FUNCTIONS = [njit(cache=True)(function) for function in (total, largest)]
"""

PROCESS = """
import sys
import numpy as np
from sums import FUNCTIONS
print(flush=True)
sys.stdin.readline()
for function in FUNCTIONS:
    function(np.ones(10)), function(np.ones(10, np.float32))
    print(sum(function.stats.cache_misses.values()), sum(function.stats.cache_hits.values()))
"""


def test_a_function_is_compiled_once_for_all_processes(tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text(SUMS, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parent.parent)])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:  # all at once
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    counts = [[line.split() for line in process.communicate(timeout=120)[0].splitlines()] for process in processes]
    for of_function in zip(*counts, strict=True):
        assert [sum(int(number) for number in column) for column in zip(*of_function, strict=True)] == [2, 4]
    assert [process.returncode for process in processes] == [0, 0, 0]
