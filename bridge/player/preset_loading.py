"""A preset is loaded in a thread beside the player's own, which goes on making and feeding takes.

Measured: while one preset is loaded, the other thread is held up for 40 ms at most, or for a step of an engine that
shares the processor. The ring lasts for seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from bridge.processes.messages import RequestError

if TYPE_CHECKING:
    from melnet_music.instrument.instrument import Instrument
    from melnet_music.instrument.take_speed import TakeSpeed

LOADING_SECONDS = 110.0
"""A first load compiles for ten seconds on two idle cores of a server, and reading a gigabyte from a slow disk takes as
long."""


class PresetLoading:
    """An instrument on its way. Only the making and measuring are the thread's; all methods are the player's."""

    def __init__(self, preset: str, make: Callable[[], Instrument]) -> None:
        self._preset, self._make = preset, make
        self._loaded: tuple[Instrument, TakeSpeed] | None = None
        self._error: Exception | None = None
        self.measures = False
        """Whether it is being measured how fast the instrument is: beside an engine that makes a take it seems slow."""
        self._deadline_seconds = time.monotonic() + LOADING_SECONDS
        self._thread = threading.Thread(target=self._load, name="loading", daemon=True)  # stopping waits for no disk
        self._thread.start()

    def _load(self) -> None:
        try:
            instrument = self._make()
            self.measures = True
            self._loaded = instrument, instrument.measure_speed()
        except Exception as error:
            self._error = error

    @property
    def goes_on(self) -> bool:
        """Whether there is still something to wait for."""
        return self._thread.is_alive() and time.monotonic() < self._deadline_seconds

    def result(self) -> tuple[Instrument, TakeSpeed]:
        """The instrument, and how fast it makes takes.

        Raises:
            RequestError: there is no such preset, a file of it is wrong, or it took too long.
        """
        if self._loaded:
            return self._loaded
        if isinstance(self._error, ValueError):
            raise RequestError("unknown_preset", str(self._error)) from self._error
        if self._error:
            raise self._error
        raise RequestError("unknown_preset", f"{self._preset} was not loaded within {LOADING_SECONDS:g} s: try again")
