"""A client of the melnet-music daemon: triggers, answers, takes and events over OSC, plain or with asyncio.

    with MelNet() as net:
        net.command("prime/file", "piece.wav")
        take = net.continue_(seconds=8, seed=7)
        print(take.accepted["start_in"], take.wait()["file"])

Commands, their keys, answers and error codes are those of the daemon's OSC reference, by the same names: a command is
its address without ``/melnet/``, keys are keyword arguments. `AsyncMelNet` has the methods of `MelNet`, to be awaited.

A thread reads the socket; all methods may be called from any thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import queue
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, Self, TypeVar

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

__all__ = ["Answer", "AsyncMelNet", "AsyncTake", "DaemonFailed", "Event", "MelNet", "NoAnswer", "Take", "Value"]

Value = int | float | bool | str
"""What OSC carries. Integers travel as int32, floats as float32, booleans as T and F."""
Answer = dict[str, Any]
"""Named values of an answer, such as ``seconds`` of ``done``."""

NAMESPACE = "/melnet"
DEFAULT_PORT = 9100
JOBS = ("continue", "generate", "inpaint", "take/reroll", "take/render", "take/play")
"""Commands that make a take. Their id is chosen here."""
_LISTS = frozenset({"take/list", "midi/map"})
"""Queries that are answered by any number of replies, and then `done`."""
_MOST_BYTES = 65_507
_LOOK_EVERY_SECONDS = 0.25
_CANCEL_SECONDS = 10.0
_LOG = logging.getLogger(__name__)

T = TypeVar("T")
J = TypeVar("J")
K = TypeVar("K", bound="_AnyTake")


class DaemonFailed(RuntimeError):  # noqa: N818 - what happened, in the daemon's words
    """The daemon answered ``fail``: ``code`` is one of its error codes, the text says what was expected."""

    def __init__(self, command: str, job_id: int, code: str, message: str) -> None:
        super().__init__(f"{command}: {message} ({code})")
        self.command, self.job_id, self.code, self.message = command, job_id, code, message


class NoAnswer(TimeoutError):  # noqa: N818 - what happened
    """Nothing listens at the daemon's port, or no answer came in time."""


@dataclass(frozen=True)
class Event:
    """News to subscribers: ``name`` as in the OSC reference, such as ``property`` or ``finished``."""

    name: str
    values: tuple[Value, ...]


@dataclass
class _Pending:
    """A command that is not answered yet."""

    future: Future[Any] = field(default_factory=Future)
    replies: list[Answer] = field(default_factory=list)


class _AnyTake:
    """What is known of a take in the making; changed by the reading thread only."""

    def __init__(self, connection: _Connection, command: str, job_id: int) -> None:
        self._connection = connection
        self.command, self.id = command, job_id
        """What makes it, and the job's id: of this client, counted from 1."""
        self.progress: Answer = {}
        """``generated``, ``played`` and ``of`` of the last `progress`, in seconds; empty before the first."""
        self.warnings: list[str] = []
        """What did not go quite as asked."""
        self.handed: list[Answer] = []
        """Takes that a `load` ended on a line; the job went on as another."""
        self.variations: list[Answer] = []
        """Alternatives that are made, or will not be: ``take``, ``seed``, ``ready``...; also when it is over."""
        self._left = 0
        self._accepted: Future[Answer] = Future()
        self._started: Future[Answer] = Future()
        self._finished: Future[Answer] = Future()

    @property
    def accepted(self) -> Answer:
        """Values of `done`: ``seed``, ``seconds``, ``start_in``, ``bar``..."""
        return self._accepted.result(0)

    @property
    def is_over(self) -> bool:
        return self._finished.done()

    def _hear(self, answer: str, values: Sequence[Any]) -> None:
        match answer:
            case "done":
                self._left = _named(values).get("variations", 1) - 1
                _resolve(self._accepted, _named(values))
            case "started":
                _resolve(self._started, _named(values))
            case "progress":
                self.progress = _named(values)
            case "warning":
                self.warnings.append(str(values[0]))
            case "handed":
                self.handed.append(_named(values))
            case "variation":
                self.variations.append(_named(values))
                self._left = self.variations[-1]["left"]
            case "finished":
                _resolve(self._started, {})  # of a take that never sounded
                _resolve(self._finished, _named(values))
            case "fail":
                self._fail(DaemonFailed(self.command, self.id, *map(str, values)))

    def _fail(self, error: Exception) -> None:
        for future in (self._accepted, self._started, self._finished):
            _resolve(future, error)


class _Connection:
    """The socket, the thread that reads it, and what waits for answers."""

    def __init__(self, host: str, port: int) -> None:
        self.daemon = f"{host}:{port}"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.connect((host, port))
        except OSError as error:
            self._socket.close()
            raise NoAnswer(f"cannot reach {self.daemon}: {error}") from error
        self._socket.settimeout(_LOOK_EVERY_SECONDS)
        self._sending, self._lock = threading.Lock(), threading.Lock()
        self._pending: defaultdict[str, deque[_Pending]] = defaultdict(deque)
        self._takes: dict[int, _AnyTake] = {}
        self._ids = itertools.count(1)
        self._listeners: list[Callable[[Event], None]] = []
        self._lease_seconds, self._renew_at = 0.0, float("inf")
        self._closed = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def command(self, name: str, arguments: Sequence[Value], keys: dict[str, Value]) -> Future[Any]:
        """The future of its `done`, reply, `pong` or `synced`."""
        pending = _Pending()
        with self._sending:  # commands of one name are answered in the order in which they are sent
            with self._lock:
                self._pending[name].append(pending)
            self._send(name, arguments, keys)
        return pending.future

    def job(self, kind: type[K], name: str, arguments: Sequence[Value], keys: dict[str, Value]) -> K:
        if name not in JOBS:
            raise ValueError(f"{name!r} makes no take; those that do are {', '.join(JOBS)}")
        with self._lock:
            take = kind(self, name, next(self._ids))
            self._takes[take.id] = take
        self._send(name, [take.id, *arguments], keys)
        return take

    def forget(self, name: str, future: Future[Any]) -> None:
        """Wait no longer for this answer, so that it is not taken for the next command's."""
        with self._lock:
            self._pending[name] = deque(each for each in self._pending[name] if each.future is not future)

    def listen(self, listener: Callable[[Event], None], lease_seconds: float) -> None:
        """Have the reading thread pass on events, and renew the subscription before its lease ends."""
        with self._lock:
            self._listeners.append(listener)
            self._lease_seconds = lease_seconds
            self._renew_at = time.monotonic() + lease_seconds / 2

    def unlisten(self, listener: Callable[[Event], None]) -> None:
        with self._lock:
            self._listeners.remove(listener)
            if self._listeners or self._closed.is_set():
                return
            self._renew_at = float("inf")
        self.command("unsubscribe", [], {})

    def close(self) -> None:
        self._closed.set()
        with contextlib.suppress(OSError):  # wakes the reading thread, where the system lets it
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()
        self._fail_all(NoAnswer("the client was closed"))

    def _send(self, name: str, arguments: Sequence[Value], keys: dict[str, Value]) -> None:
        if self._closed.is_set():
            raise NoAnswer("the client was closed")
        builder = OscMessageBuilder(f"{NAMESPACE}/{name}")
        for value in (*arguments, *(each for pair in keys.items() for each in pair)):
            builder.add_arg(value)
        data = builder.build().dgram
        try:
            self._socket.send(data)
        except ConnectionRefusedError:  # of an earlier datagram; whether this one is, the reading thread is told
            self._socket.send(data)

    def _read(self) -> None:
        while not self._closed.is_set():
            if time.monotonic() >= self._renew_at:
                self._renew_at = time.monotonic() + self._lease_seconds / 2
                self.command("subscribe", [], {"lease": self._lease_seconds})
            try:
                data = self._socket.recv(_MOST_BYTES)
            except TimeoutError:
                continue
            except ConnectionError:
                self._fail_all(NoAnswer(f"nothing listens at {self.daemon}: start the daemon, `melnet-music serve`"))
                continue
            try:
                self._hear(OscMessage(data))
            except Exception:  # whatever came: the next answer is read
                if not self._closed.is_set():
                    _LOG.exception("what came from %s is no answer", self.daemon)

    def _hear(self, message: OscMessage) -> None:
        answer, values = message.address.removeprefix(f"{NAMESPACE}/"), list(message.params)
        if answer == "event":
            with self._lock:
                listeners = list(self._listeners)
            for listener in listeners:
                listener(Event(str(values[0]), tuple(values[1:])))
        elif answer.endswith(".reply"):
            self._reply(answer.removesuffix(".reply"), values)
        elif answer in ("pong", "synced"):
            self._answer("ping" if answer == "pong" else "sync", dict(zip(("id",), values, strict=False)))
        else:
            self._hear_of_command(answer, str(values[0]), values[1], values[2:])

    def _hear_of_command(self, answer: str, name: str, job_id: int, values: list[Any]) -> None:
        with self._lock:
            take = self._takes.get(job_id)
        if take is not None and take.command == name:
            take._hear(answer, values)
            if take.is_over and not take._left:
                with self._lock:
                    self._takes.pop(job_id, None)
        elif answer == "done":
            self._answer(name, _named(values))
        elif answer == "fail":
            code, message = map(str, values)
            if not self._answer(name, DaemonFailed(name, job_id, code, message)):
                _LOG.warning("%s: %s", name or self.daemon, message)

    def _reply(self, name: str, values: list[Any]) -> None:
        if name in _LISTS:
            with self._lock:
                for oldest in itertools.islice(self._pending[name], 1):
                    oldest.replies.append(_named(values))
        else:
            self._answer(name, {name: values[0]} if name == "version" else _named(values))

    def _answer(self, name: str, outcome: Answer | Exception) -> bool:
        """Give the oldest command of that name its answer; False: none waits."""
        with self._lock:
            pending = self._pending[name].popleft() if self._pending[name] else None
        if pending is None:
            return False
        is_list = name in _LISTS and not isinstance(outcome, Exception)
        _resolve(pending.future, pending.replies if is_list else outcome)
        return True

    def _fail_all(self, error: Exception) -> None:
        with self._lock:
            waiting = [each.future for several in self._pending.values() for each in several]
            takes = list(self._takes.values())
            self._pending.clear()
            self._takes.clear()
        for future in waiting:
            _resolve(future, error)
        for take in takes:
            take._fail(error)


def _resolve(future: Future[T], outcome: T | Exception) -> None:
    """Unless it is answered already."""
    if not future.done():
        (future.set_exception if isinstance(outcome, Exception) else future.set_result)(outcome)  # type: ignore[arg-type]


def _named(values: Sequence[Any]) -> Answer:
    """Keys and values alternate."""
    return {str(key): value for key, value in zip(values[::2], values[1::2], strict=False)}


class Take(_AnyTake):
    """A take in the making."""

    def wait_started(self, timeout_seconds: float | None = None) -> Answer:
        """Values of `started`, once it sounds; empty when it ended without having sounded. Raises as `wait`."""
        return _result(self._started, timeout_seconds, "`started`")

    def wait(self, timeout_seconds: float | None = None) -> Answer:
        """Values of `finished`: ``take``, ``file``, ``seed``, ``seconds``, ``gaps``...

        Raises:
            DaemonFailed: it was cancelled or failed.
            NoAnswer: it was not finished in time, or the daemon is gone.
        """
        return _result(self._finished, timeout_seconds, "`finished`")

    def cancel(self) -> None:
        """Drop it; if it sounds, fade it out. `wait` then raises DaemonFailed with the code ``cancelled``."""
        _result(self._connection.command("cancel", [self.id], {}), _CANCEL_SECONDS, "answer to cancel")


class AsyncTake(_AnyTake):
    """A take in the making, of `AsyncMelNet`."""

    async def wait_started(self) -> Answer:
        """As `Take.wait_started`."""
        return await _await(self._started)

    async def wait(self) -> Answer:
        """As `Take.wait`; `asyncio.timeout` bounds it."""
        return await _await(self._finished)

    async def cancel(self) -> None:
        """As `Take.cancel`."""
        await _await(self._connection.command("cancel", [self.id], {}))


class _Jobs(ABC, Generic[J]):
    """The commands that make takes."""

    @abstractmethod
    def job(self, name: str, *arguments: Value, **keys: Value) -> J: ...

    def continue_(self, **keys: Value) -> J:
        """Continue what was heard: ``seconds`` or ``bars``, ``seed``, ``lead``, ``quantise``..."""
        return self.job("continue", **keys)

    def generate(self, **keys: Value) -> J:
        """Play something new."""
        return self.job("generate", **keys)

    def inpaint(self, **keys: Value) -> J:
        """Repaint ``from_bar`` to ``to_bar`` of the tape, or ``start`` to ``stop`` seconds of what was heard."""
        return self.job("inpaint", **keys)

    def reroll(self, **keys: Value) -> J:
        """Make a take again with another seed: ``take``, or the last one."""
        return self.job("take/reroll", **keys)

    def render(self, **keys: Value) -> J:
        """Make a take again with the ``notes`` of a MIDI file."""
        return self.job("take/render", **keys)


class MelNet(_Jobs[Take]):
    """A client with one socket. Every wait for an answer ends after ``timeout_seconds``: long enough for a daemon that
    still loads its preset."""

    def __init__(self, host: str = "127.0.0.1", port: int = DEFAULT_PORT, *, timeout_seconds: float = 60.0) -> None:
        self._connection = _Connection(host, port)
        self._timeout_seconds = timeout_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Takes in the making go on without this client."""
        self._connection.close()

    def command(self, name: str, *arguments: Value, **keys: Value) -> Any:
        """Send any command that makes no take, and return its answer's named values; of `take/list` and `midi/map`
        a list of them.

        Raises:
            DaemonFailed: it is not carried out.
            NoAnswer: nothing listens, or no answer came in time.
        """
        future = self._connection.command(name, arguments, keys)
        try:
            return _result(future, self._timeout_seconds, f"answer to {name}")
        finally:
            self._connection.forget(name, future)

    def job(self, name: str, *arguments: Value, **keys: Value) -> Take:
        """Send a command that makes a take, and wait until it is accepted. Raises as `command`."""
        take = self._connection.job(Take, name, arguments, keys)
        _result(take._accepted, self._timeout_seconds, f"answer to {name}")
        return take

    def set(self, **properties: Value) -> None:
        """Set properties, such as ``tempo=96``; the word ``preset`` gives one back to the preset."""
        for name, value in properties.items():
            self.command("set", name, value)

    def get(self, name: str) -> Any:
        """The value of a property."""
        return self.command("get", name)[name]

    @contextlib.contextmanager
    def events(self, lease_seconds: float = 60.0) -> Iterator[Iterator[Event]]:
        """Subscribe: the block's iterator waits for event after event, without end. First come all properties."""
        waiting: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._connection.listen(waiting.put, lease_seconds)
        try:
            self.command("subscribe", lease=lease_seconds)
            yield iter(waiting.get, None)
        finally:
            self._connection.unlisten(waiting.put)


class AsyncMelNet(_Jobs[Coroutine[Any, Any, AsyncTake]]):
    """`MelNet` for asyncio: the same methods, awaited. Bound waits by `asyncio.timeout`."""

    def __init__(self, host: str = "127.0.0.1", port: int = DEFAULT_PORT) -> None:
        self._connection = _Connection(host, port)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.to_thread(self._connection.close)

    async def command(self, name: str, *arguments: Value, **keys: Value) -> Any:
        """As `MelNet.command`."""
        future = self._connection.command(name, arguments, keys)
        try:
            return await _await(future)
        finally:
            self._connection.forget(name, future)

    async def job(self, name: str, *arguments: Value, **keys: Value) -> AsyncTake:
        """As `MelNet.job`."""
        take = self._connection.job(AsyncTake, name, arguments, keys)
        await _await(take._accepted)
        return take

    async def set(self, **properties: Value) -> None:
        """As `MelNet.set`."""
        for name, value in properties.items():
            await self.command("set", name, value)

    async def get(self, name: str) -> Any:
        """As `MelNet.get`."""
        return (await self.command("get", name))[name]

    @contextlib.asynccontextmanager
    async def events(self, lease_seconds: float = 60.0) -> AsyncIterator[AsyncIterator[Event]]:
        """As `MelNet.events`, with ``async for``."""
        waiting: asyncio.Queue[Event] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def put(event: Event) -> None:
            loop.call_soon_threadsafe(waiting.put_nowait, event)

        async def each() -> AsyncIterator[Event]:
            while True:
                yield await waiting.get()

        self._connection.listen(put, lease_seconds)
        try:
            await self.command("subscribe", lease=lease_seconds)
            yield each()
        finally:
            self._connection.unlisten(put)


def _result(future: Future[T], timeout_seconds: float | None, what: str) -> T:
    """Raises NoAnswer: it does not come in time."""
    try:
        return future.result(timeout_seconds)
    except TimeoutError as error:
        if future.done():  # the answer is a NoAnswer, which is a TimeoutError too
            raise
        raise NoAnswer(f"no {what} within {timeout_seconds:g} s") from error


async def _await(future: Future[T]) -> T:
    """Whoever stops waiting does not take the answer from others."""
    return await asyncio.shield(asyncio.wrap_future(future))
