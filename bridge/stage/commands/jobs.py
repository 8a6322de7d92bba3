"""Commands that make takes, and the one that cancels them."""

from __future__ import annotations

from bridge.osc.answers import Asked
from bridge.processes.messages import Cancel
from bridge.protocol.errors import CommandError
from bridge.protocol.table import SEED
from bridge.protocol.take_arguments import TAKE
from bridge.stage.commands.handlers import Handlers
from bridge.stage.commands.job_request import JobRequests, next_seed
from bridge.stage.live_notes import LiveNotes
from bridge.stage.open_requests import OpenRequests
from bridge.stage.pending_lines import PendingLines
from bridge.stage.properties import Properties
from bridge.stage.variations.open_variations import OpenVariations


class JobCommands:
    def __init__(
        self,
        *,
        requests: OpenRequests,
        job_requests: JobRequests,
        properties: Properties,
        notes: LiveNotes,
        lines: PendingLines,
        variations: OpenVariations,
    ) -> None:
        self._requests, self._job_requests, self._properties = requests, job_requests, properties
        self._notes, self._lines, self._variations = notes, lines, variations
        self.handlers: Handlers = {
            "continue": self._start,
            "generate": self._start,
            "inpaint": self._start,
            "take/reroll": self._start,
            "take/render": self._start,
            "take/play": self._start,
            "cancel": self._cancel,
        }

    def _start(self, asked: Asked) -> None:
        if self._requests.job_number(asked) is not None:
            raise CommandError("id_in_use", f"your job {asked.invocation.job_id} is still running")
        job, line = self._job_requests.job(asked.invocation, phrase_is_played=self._notes.phrase_is_played)
        self._variations.check_room(len(job.variations))
        if job.again is None and SEED.name not in asked.invocation.arguments:
            self._properties.change(SEED.name, next_seed(job.seed, 1 + len(job.variations)))
        self._requests.send(asked, job)
        self._variations.put(asked, job)
        self._notes.phrase_is_played = self._notes.phrase_is_played and not job.ends_phrase
        self._requests.jobs[job.number] = job
        if line:
            self._lines.put(job.number, line)

    def _cancel(self, asked: Asked) -> None:
        job_id, job_number = asked.invocation.job_id, self._requests.job_number(asked)
        variations, take = self._variations.of_job(asked), asked.invocation.arguments.get(TAKE.name)
        if take is not None and take not in variations:
            raise CommandError("unknown_id", f"take {take} is no alternative of your job {job_id} that is to be made")
        if take is not None:
            job_number, variations = None, (int(take),)
        if job_number is None and not variations:
            raise CommandError("unknown_id", f"no job {job_id} of yours is waiting or running")
        self._requests.send(asked, Cancel(self._requests.next_number(), job_number, variations))
