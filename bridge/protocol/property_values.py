"""Values of the properties, shared by the thread that changes them and the one that shows them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bridge.protocol.types import Value


class PropertyValues:
    """All methods may be called from any thread, and hold a lock no longer than it takes to copy a dozen values.

    A newer value takes the place of an older one that nobody has taken yet, so nothing piles up for a slow
    reader.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, Value | None] = {}
        self._changed: dict[str, None] = {}
        """Names, in the order in which they first changed."""
        self._wake: Callable[[], object] | None = None

    def put(self, name: str, value: Value | None) -> None:
        """The value from now on; None: the preset's own. From any thread."""
        with self._lock:
            self._values[name] = value
            first = not self._changed
            self._changed[name] = None
            if first and self._wake is not None:
                self._wake()

    def values(self) -> dict[str, Value | None]:
        """All of them, as they are now. From any thread."""
        with self._lock:
            return dict(self._values)

    def take_changed(self) -> dict[str, Value | None]:
        """Those that have changed since they were last taken, as they are now. From any thread."""
        with self._lock:
            changed = {name: self._values[name] for name in self._changed}
            self._changed.clear()
            return changed

    def watch(self, wake: Callable[[], object] | None) -> None:
        """Have ``wake`` called when there is something to take again; None: have nothing called. From any thread.

        The thread that puts calls it, under the lock: it must neither wait nor use the values.
        """
        with self._lock:
            self._changed.clear()
            self._wake = wake
