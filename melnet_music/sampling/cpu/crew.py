"""A few threads that work off tasks, oldest first. The thread that wants the results is one of them."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from functools import partial

Task = Callable[[], None]
_BEFORE_ALL = -2


class Crew:
    """All methods may be called by any thread. None is real-time safe: they take a lock."""

    def __init__(self, threads: int) -> None:
        """``threads`` counts the caller: one thread is nobody else. The others start with the first task."""
        self.threads = threads
        self._changed = threading.Condition()
        self._tasks: list[tuple[int, int, object, Task]] = []
        self._serials = itertools.count()
        self._running: dict[object, list[int]] = {}
        """The threads that are at an owner's tasks."""
        self._idle = 0
        self._closed = False
        self._helpers: list[threading.Thread] = []

    def submit(self, owner: object, age: int, task: Task) -> None:
        """Have a task done; lower ages first. The task must not raise."""
        self._start_helpers()
        with self._changed:
            self._push(age, owner, task)
            self._changed.notify()

    def work(self, patience_seconds: float) -> None:
        """Do one task; if there is none, wait that long at most for one, or for something to be done."""
        with self._changed:
            if not self._tasks:
                self._changed.wait(patience_seconds)
            taken = self._take()
        if taken:
            self._do(*taken)

    def together(self, work: Callable[[int, int], None]) -> None:
        """Run ``work(part, parts)`` on this thread and on all that are idle now, and wait for all of them."""
        self._start_helpers()
        with self._changed:
            helpers = max(0, self._idle - len(self._tasks))
            missing = helpers

            def help_out(part: int) -> None:
                nonlocal missing
                try:
                    work(part, 1 + helpers)
                finally:
                    with self._changed:
                        missing -= 1
                        self._changed.notify_all()

            for part in range(1, 1 + helpers):
                self._push(_BEFORE_ALL, None, partial(help_out, part))  # whoever is idle takes these
            self._changed.notify(helpers)
        work(0, 1 + helpers)
        with self._changed:
            self._changed.wait_for(lambda: not missing)

    def drop(self, owner: object) -> bool:
        """Forget an owner's tasks, and wait for those that are being done, unless this thread is at a task itself.

        That is so where the interpreter happens to clean up there what was dropped unfinished. Two threads that
        waited for each other's tasks would wait for ever.

        Returns:
            whether none is being done any more.
        """
        here = threading.get_ident()
        with self._changed:
            # in place: the interpreter may clean up while this thread pushes a task
            self._tasks[:] = [entry for entry in self._tasks if entry[2] is not owner]
            heapq.heapify(self._tasks)
            if not any(here in threads for threads in self._running.values()):
                self._changed.wait_for(lambda: owner not in self._running)
            return owner not in self._running

    def dismiss(self) -> None:
        """Send the threads home; tasks that nobody began are dropped. Does not wait: a finalizer may call it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def close(self) -> None:
        """`dismiss`, and wait until the threads are gone."""
        self.dismiss()
        for helper in self._helpers:
            helper.join()

    def _push(self, age: int, owner: object, task: Task) -> None:
        heapq.heappush(self._tasks, (age, next(self._serials), owner, task))

    def _start_helpers(self) -> None:
        with self._changed:
            if self._helpers or self._closed:
                return
            helpers = [
                threading.Thread(target=self._help, name=f"crew {number}", daemon=True)
                for number in range(1, self.threads)
            ]
            self._helpers = helpers
            self._idle += len(helpers)  # they will come, and the first thing they do is to look for a task
        for helper in helpers:  # without the lock: a thread that starts may have to clean up, and want it
            helper.start()

    def _help(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._tasks or self._closed)
                if self._closed:
                    return
                taken = self._take()
                if taken is None:  # this thread cleaned up meanwhile, and waited
                    continue
                self._idle -= 1
            self._do(*taken)
            del taken  # and what the task holds, an engine perhaps, before the lock is taken again
            with self._changed:
                self._idle += 1

    def _take(self) -> tuple[object, Task] | None:
        if not self._tasks:
            return None
        _, _, owner, task = heapq.heappop(self._tasks)
        self._running.setdefault(owner, []).append(threading.get_ident())
        return owner, task

    def _do(self, owner: object, task: Task) -> None:
        try:
            task()
        finally:
            with self._changed:
                self._running[owner].remove(threading.get_ident())
                if not self._running[owner]:
                    del self._running[owner]
                self._changed.notify_all()
