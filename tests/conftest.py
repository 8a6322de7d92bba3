import logging
import os
from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path

# As `melnet-music` has it, before numpy is there: small products on two threads take twice the processor's time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import HealthCheck, settings
from narrow_piano import write_narrow_piano

# Tiny models: a second thread costs more than it brings.
torch.set_num_threads(1)

# An example takes as long as the machine is busy: none is wrong for it.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

RIGS = {"jack_rig", "live_daemon"}
"""Tests that use these start processes, and wait for sound most of the time."""
COMPUTING = {"bench", "composing", "evaluation", "instrument", "sampling", "training"}
"""Folders of tests that compute all the time."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the files for several processes: some wait while others compute, and the short ones come last."""
    if not hasattr(config, "workerinput"):
        return
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    waiting, computing, short = list[Path](), list[Path](), list[Path]()
    for path, tests in files.items():
        used = {getattr(value, "__module__", "") for value in vars(tests[0].module).values()}  # type: ignore[attr-defined]
        (waiting if used & RIGS else computing if path.parent.name in COMPUTING else short).append(path)
    order = chain(chain.from_iterable(zip_longest(waiting, computing)), short)
    items[:] = [item for path in order if path for item in files[path]]


@pytest.fixture(scope="session")
def narrow_piano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a preset that sounds and samples as the shipped piano does, with a small random model."""
    return write_narrow_piano(tmp_path_factory.mktemp("narrow"))


@pytest.fixture(autouse=True)
def _keep_log_levels() -> Iterator[None]:
    """Commands set them for their own process; here the next test would miss its warnings."""
    loggers = [logging.getLogger(name) for name in ("", "bridge", "bridge.stage")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
