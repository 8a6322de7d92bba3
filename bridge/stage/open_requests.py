"""The requests that the player has not closed yet, and who asked for each of them."""

from __future__ import annotations

from bridge.osc.answers import Answers, Asked
from bridge.player.settings import PlayerSettings
from bridge.processes.child_process import ChildProcess
from bridge.processes.job import Job
from bridge.processes.messages import NumberedRequest, Panic
from bridge.protocol.errors import CommandError
from bridge.protocol.types import NAMESPACE

MOST_OPEN = 32  # so few fit into the pipe whatever the player is doing
PLAYER_DOWN = "the player keeps dying; see the log, then load a preset"


class OpenRequests:
    """Belongs to the daemon's one thread; nothing here waits."""

    def __init__(self, player: ChildProcess[PlayerSettings], answers: Answers) -> None:
        self._player, self._answers = player, answers
        self._last_number = 0
        self.asked: dict[int, Asked] = {}
        """Who asked, by the number of the request."""
        self.jobs: dict[int, Job] = {}
        """Jobs that are not finished, by number."""
        self._syncs: list[tuple[Asked, set[int]]] = []
        """Who waits for which requests to be closed."""
        self._more_panics: list[Asked] = []
        """Who asked for panic while another one was open."""

    def next_number(self) -> int:
        """A number that no request has had."""
        self._last_number += 1
        return self._last_number

    @property
    def waiting(self) -> tuple[Asked, ...]:
        """Everybody who waits for an answer of the player."""
        return (*self.asked.values(), *self._more_panics)

    def send(self, asked: Asked, request: NumberedRequest) -> None:
        """Send a request to the player; ``asked`` gets the answer.

        Raises:
            CommandError: the player is dead, or too many requests are open.
        """
        self.require_player()
        if len(self.asked) >= MOST_OPEN and not isinstance(request, Panic):
            raise CommandError("busy", f"{MOST_OPEN} commands wait for the player already")
        self.asked[request.number] = asked
        self._player.send(request)

    def require_player(self) -> None:
        """Raises CommandError: the player is dead, and stays so until a preset is loaded."""
        if not self._player.running:
            raise CommandError("player_died", PLAYER_DOWN)

    def job_number(self, asked: Asked) -> int | None:
        """The number of the open job with the sender and id of ``asked``; None: there is none."""
        for number, other in self.asked.items():
            if other.is_job and asked.is_same_job(other):
                return number
        return None

    # --- sync -------------------------------------------------------------------------------------------

    def sync(self, asked: Asked) -> None:
        """Answer when every open request of this sender is closed; jobs are not waited for.

        Raises:
            CommandError: too many wait already.
        """
        waits_for = {
            number for number, other in self.asked.items() if other.sender == asked.sender and not other.is_job
        }
        if not waits_for:
            self._tell_synced(asked)
        elif len(self._syncs) >= MOST_OPEN:
            raise CommandError("busy", f"{MOST_OPEN} syncs wait already")
        else:
            self._syncs.append((asked, waits_for))

    def tell_syncs(self, number: int) -> None:
        """A request is closed and answered: tell every ``sync`` that waited for nothing else."""
        for asked, waits_for in self._syncs:
            waits_for.discard(number)
            if not waits_for:
                self._tell_synced(asked)
        self._syncs = [(asked, waits_for) for asked, waits_for in self._syncs if waits_for]

    def _tell_synced(self, asked: Asked) -> None:
        self._answers.to(asked.sender, f"{NAMESPACE}/synced", [asked.invocation.job_id])

    # --- panic ------------------------------------------------------------------------------------------

    def send_panic(self, asked: Asked) -> None:
        """Have the player panic. One request at a time: a stuck button must not fill the pipe of a busy player."""
        if not self._player.running:
            self._answers.answer(asked, "done", [])
        elif not any(other.invocation.command.name == "panic" for other in self.asked.values()):
            self.send(asked, Panic(self.next_number()))
        elif len(self._more_panics) < MOST_OPEN:
            self._more_panics.append(asked)
        else:
            self._answers.answer(asked, "done", [])

    def panic_done(self) -> None:
        """A panic is over: one more, for the jobs that came in between, answers all who asked meanwhile."""
        if not self._more_panics:
            return
        last, *others = reversed(self._more_panics)
        self._more_panics.clear()
        self.send(last, Panic(self.next_number()))
        for other in others:
            self._answers.answer(other, "done", [])

    # --- death ------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """The player is dead, and everybody who waited was told."""
        for number in self.asked:
            self.tell_syncs(number)
        self.asked.clear()
        self.jobs.clear()
        self._more_panics.clear()
