"""numba's cache of compiled functions, when several processes fill it at once.

numba keeps what it compiles on disk, for every process. But it writes a function's index apart from its code, and the
two halves of a ufunc (librosa has some) apart, under names that depend on what else the process compiled before.
Processes that fill an empty cache together can leave halves that do not fit each other, and every later process that
loads them jumps to address 0. So one process at a time loads or compiles: the others wait, and load what it compiled,
which is also sooner than compiling it again.

So ``njit`` and librosa are taken from here.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from filelock import FileLock, Timeout
from numba import config, njit
from numba.core.event import Listener, register
from platformdirs import user_cache_path

__all__ = ["import_librosa", "njit"]

_LOG = logging.getLogger(__name__)

_LONGEST_WAIT_SECONDS = 120.0
"""After this the process that holds the lock is taken for stuck."""
_POLL_SECONDS = 0.005
_SHORT_SECONDS = 0.02
"""Loading takes less, compiling more."""


class OneProcessCompiles(Listener):  # type: ignore[misc]
    """Holds a file's lock while numba holds the lock of its compiler, whichever thread does.

    Args:
        path: The file; its folder is created.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(path, timeout=_LONGEST_WAIT_SECONDS)
        self._started_s = 0.0

    def on_start(self, event: Any) -> None:
        """Waits for the other processes; not real-time safe, as compiling is not."""
        if self._lock.is_locked:
            self._lock.acquire()  # counts only: this thread holds it
            return
        try:
            self._lock.acquire(poll_interval=_POLL_SECONDS)
        except (OSError, Timeout) as error:
            _LOG.warning("compiling without waiting for other processes: %s", error)
        self._started_s = time.monotonic()

    def on_end(self, event: Any) -> None:
        """Lets the next process compile."""
        if not self._lock.is_locked:
            return
        held_s = time.monotonic() - self._started_s
        self._lock.release()
        if held_s > _SHORT_SECONDS and not self._lock.is_locked:
            time.sleep(2 * _POLL_SECONDS)  # else who compiles many functions would always be first again


def import_librosa() -> ModuleType:
    """librosa, whose parts are imported, and their ufuncs compiled, when they are first used; that takes seconds."""
    import librosa

    return librosa


def _share_the_cache() -> None:
    folder = Path(config.CACHE_DIR or user_cache_path("melnet-music"))
    try:
        register("numba:compiler_lock", OneProcessCompiles(folder / "compiling.lock"))
    except OSError as error:
        _LOG.warning("processes that compile at the same time can disturb each other: %s", error)


_share_the_cache()
