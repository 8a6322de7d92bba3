"""Commands that make takes, and the one that cancels them."""

from __future__ import annotations

from bridge.osc.answers import Asked
from bridge.processes.messages import Cancel
from bridge.protocol.errors import CommandError
from bridge.protocol.table import SEED
from bridge.protocol.types import INT32_MAX
from bridge.stage.commands.handlers import Handlers
from bridge.stage.commands.job_request import JobRequests
from bridge.stage.live_notes import LiveNotes
from bridge.stage.open_requests import OpenRequests
from bridge.stage.pending_lines import PendingLines
from bridge.stage.properties import Properties


class JobCommands:
    def __init__(
        self,
        *,
        requests: OpenRequests,
        job_requests: JobRequests,
        properties: Properties,
        notes: LiveNotes,
        lines: PendingLines,
    ) -> None:
        self._requests, self._job_requests, self._properties = requests, job_requests, properties
        self._notes, self._lines = notes, lines
        self.handlers: Handlers = {
            "continue": self._start,
            "generate": self._start,
            "inpaint": self._start,
            "take/reroll": self._start,
            "take/render": self._start,
            "cancel": self._cancel,
        }

    def _start(self, asked: Asked) -> None:
        if self._requests.job_number(asked) is not None:
            raise CommandError("id_in_use", f"your job {asked.invocation.job_id} is still running")
        job, line = self._job_requests.job(asked.invocation, phrase_is_played=self._notes.phrase_is_played)
        if job.again is None and SEED.name not in asked.invocation.arguments:
            self._properties.change(SEED.name, job.seed + 1 if job.seed < INT32_MAX else 0)
        self._requests.send(asked, job)
        self._notes.phrase_is_played = self._notes.phrase_is_played and not job.ends_phrase
        self._requests.jobs[job.number] = job
        if line:
            self._lines.put(job.number, line)

    def _cancel(self, asked: Asked) -> None:
        job_number = self._requests.job_number(asked)
        if job_number is None:
            raise CommandError("unknown_id", f"no job {asked.invocation.job_id} of yours is waiting or running")
        self._requests.send(asked, Cancel(self._requests.next_number(), job_number))
