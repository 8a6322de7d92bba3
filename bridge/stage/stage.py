"""The stage: builds what carries out commands and handles what the other processes report, and passes both on.

Nothing here waits. Every command gets an answer: what can be said at once is said at once, the rest when
the player reports, refuses or dies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

from bridge.audio.device_process import AudioDeviceOpened
from bridge.audio.loop_player import LoopPlayer
from bridge.audio.output_ring import OutputRing
from bridge.clock.midi_clock_ticks import ClockPlan
from bridge.midi.controller import MidiController
from bridge.midi.notes_script import NotesRequest
from bridge.midi.ports import MidiReport
from bridge.osc.answers import SURPRISE, Answers, Asked, Send
from bridge.osc.datagrams import MalformedDatagram, parse_datagram
from bridge.osc.udp_server import Address
from bridge.player.settings import PlayerSettings
from bridge.processes.child_process import ChildProcess
from bridge.processes.messages import PlayerEvent, Surprised
from bridge.protocol.errors import NO_ID, CommandError
from bridge.protocol.parse import parse
from bridge.protocol.surprise_arguments import ON_SURPRISE, SURPRISE_HOLD, SURPRISE_LEVEL, SURPRISE_THRESHOLD
from bridge.protocol.table import COMMANDS, ID, TEMPO
from bridge.protocol.timed_bundles import TimedBundles
from bridge.protocol.types import Invocation
from bridge.stage.allowed_folders import AllowedFolders
from bridge.stage.clock_selection import ClockSelection
from bridge.stage.commands.clients import ClientCommands
from bridge.stage.commands.clock import ClockCommands
from bridge.stage.commands.dispatcher import HELD_COMMANDS, CommandDispatcher
from bridge.stage.commands.handlers import one_handler_each
from bridge.stage.commands.job_request import JobRequests
from bridge.stage.commands.jobs import JobCommands
from bridge.stage.commands.listening import ListeningCommands
from bridge.stage.commands.loop import LoopCommands
from bridge.stage.commands.midi import MidiCommands
from bridge.stage.commands.notes import NoteCommands
from bridge.stage.commands.panic import PanicCommand
from bridge.stage.commands.presets import PresetCommands
from bridge.stage.commands.properties import PropertyCommands
from bridge.stage.commands.status import StatusCommand
from bridge.stage.commands.takes import TakeCommands
from bridge.stage.device_transport import DeviceTransport
from bridge.stage.live_notes import LiveNotes
from bridge.stage.midi_input import MidiInput
from bridge.stage.open_requests import OpenRequests
from bridge.stage.pending_lines import PendingLines
from bridge.stage.planned_notes import PlannedNotesOut
from bridge.stage.player_events import PlayerEvents
from bridge.stage.player_lifecycle import PlayerLifecycle, PlayerStatus
from bridge.stage.properties import Properties, Publish
from bridge.stage.requested_bars import RequestedBars
from bridge.stage.sound_device import SoundDevice
from bridge.stage.variations.open_variations import OpenVariations
from bridge.takes.surprise_trigger import SurpriseTrigger
from bridge.takes.take_list import TakeList
from bridge.tape.tape_index import TapeIndex
from bridge.tape.tape_memory import TapeMemory


class Stage:
    """All methods belong to the daemon's one thread."""

    def __init__(
        self,
        *,
        send: Send,
        player: ChildProcess[PlayerSettings],
        output_ring: OutputRing,
        tape: TapeMemory,
        loop: LoopPlayer,
        controller: MidiController[Asked],
        preset: str,
        allowed_folders: Sequence[Path],
        takes_folder: Path,
        dropped_datagrams: Callable[[], int],
        publish: Sequence[Publish],
        reply_hosts: Mapping[str, str],
        send_clock_plan: Callable[[ClockPlan | None], None] | None = None,
        send_notes: Callable[[NotesRequest], None] | None = None,
    ) -> None:
        """
        Args:
            controller: what MIDI controllers do.
            publish: all are told every property at once, and then whenever one changes; they must not wait.
            reply_hosts: to which clients may have their answers sent, besides their own, with their addresses.
            send_clock_plan: passes a plan to the MIDI clock sender, None to stop it; it must not wait. None: no sender.
            send_notes: the same for what sends planned notes.
        """
        answers = Answers(send, reply_hosts)
        properties = Properties(answers, publish)
        transport = DeviceTransport(output_ring.clock, float(cast(float, TEMPO.default)), properties.meter)
        clock = ClockSelection(transport, send_clock_plan, send_notes)
        planned_notes = PlannedNotesOut(answers, transport, send_notes)
        lines = PendingLines(transport, player.send)
        requests = OpenRequests(player, answers)
        notes = LiveNotes(player)
        tape_index, takes = TapeIndex(), TakeList()
        variations = OpenVariations(answers, takes)
        status = PlayerStatus(preset, preset)
        sound = SoundDevice(
            answers=answers,
            player=player,
            requests=requests,
            properties=properties,
            transport=transport,
            lines=lines,
            tape=tape,
            tape_index=tape_index,
            takes=takes,
            takes_folder=takes_folder,
        )
        lifecycle = PlayerLifecycle(
            status=status,
            player=player,
            output_ring=output_ring,
            answers=answers,
            requests=requests,
            lines=lines,
            sound=sound,
            notes=notes,
            tape_index=tape_index,
            takes=takes,
            planned_notes=planned_notes,
            properties=properties,
            variations=variations,
        )
        midi = MidiInput(
            controller=controller,
            clock=clock.midi,
            answers=answers,
            notes=notes,
            dispatch=lambda asked: self._dispatcher.dispatch(asked),
        )
        folders = AllowedFolders(allowed_folders)
        bars = RequestedBars(transport, tape, properties)
        job_requests = JobRequests(
            bars=bars,
            transport=transport,
            tape=tape,
            takes=takes,
            properties=properties,
            folders=folders,
            next_number=requests.next_number,
        )
        held: TimedBundles[Asked] = TimedBundles(HELD_COMMANDS)
        loop_commands = LoopCommands(
            answers=answers,
            requests=requests,
            bars=bars,
            loop_player=loop,
            properties=properties,
            transport=transport,
            tape=tape,
            tape_index=tape_index,
            takes=takes,
        )
        families = (
            ClientCommands(answers, requests, properties),
            StatusCommand(
                answers=answers,
                player=player,
                status=status,
                requests=requests,
                held=held,
                sound=sound,
                midi=midi,
                output_ring=output_ring,
                dropped_datagrams=dropped_datagrams,
                takes_folder=takes_folder,
            ),
            ClockCommands(answers=answers, transport=transport, clock=clock, lines=lines, loop=loop_commands),
            PropertyCommands(
                answers=answers,
                properties=properties,
                player=player,
                output_ring=output_ring,
                sound=sound,
                transport=transport,
                clock=clock,
                lines=lines,
                loop=loop_commands,
            ),
            JobCommands(
                requests=requests,
                job_requests=job_requests,
                properties=properties,
                notes=notes,
                lines=lines,
                variations=variations,
            ),
            loop_commands,
            TakeCommands(
                answers=answers,
                requests=requests,
                bars=bars,
                folders=folders,
                transport=transport,
                tape_index=tape_index,
                takes=takes,
            ),
            NoteCommands(answers=answers, requests=requests, properties=properties, notes=notes),
            MidiCommands(answers=answers, controller=controller, midi=midi),
            PresetCommands(requests=requests, bars=bars, properties=properties, lines=lines, lifecycle=lifecycle),
            ListeningCommands(requests, folders),
            PanicCommand(
                answers=answers,
                requests=requests,
                held=held,
                notes=notes,
                tape_index=tape_index,
                output_ring=output_ring,
                loop_player=loop,
                planned_notes=planned_notes,
            ),
        )
        self._dispatcher = CommandDispatcher(answers, held, one_handler_each(family.handlers for family in families))
        self._player_events = PlayerEvents(
            status=status,
            answers=answers,
            requests=requests,
            transport=transport,
            lines=lines,
            sound=sound,
            tape_index=tape_index,
            takes=takes,
            planned_notes=planned_notes,
            variations=variations,
            use_preset_map=midi.use_preset_map,
        )
        self._surprise_trigger, self._surprise_takes = SurpriseTrigger(), 0
        self._answers, self._requests, self._held = answers, requests, held
        self._properties, self._transport, self._clock, self._lines = properties, transport, clock, lines
        self._controller, self._midi = controller, midi
        self._sound, self._lifecycle, self._status = sound, lifecycle, status
        self._output_ring, self._loop, self._planned_notes = output_ring, loop, planned_notes
        self._variations = variations

    # --- life -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the player and have it load the preset."""
        self._lifecycle.start()

    @property
    def startup_error(self) -> str | None:
        """Why the first preset could not be loaded."""
        return self._status.startup_error

    def close(self) -> None:
        """Fade out, and tell everybody who waits for an answer that none is coming."""
        self._clock.close()
        self._output_ring.hush()
        self._loop.hush()
        self._planned_notes.end_all()
        for asked in (*self._requests.waiting, *self._held.clear()):
            kept = "; what is made of the take by now is kept as a file" if asked.is_job else ""
            self._answers.fail(asked, "cancelled", f"the daemon is stopping{kept}")
        self._variations.lose_all("cancelled", "the daemon is stopping")

    # --- in: datagrams, and the reports of the other processes ------------------------------------------

    def receive(self, sender: Address, data: bytes) -> None:
        """Carry out the commands of a datagram, or hold them until their time, or answer why not."""
        try:
            messages = parse_datagram(data)
        except MalformedDatagram as error:
            self._answers.fail_to(sender, "", NO_ID, "malformed", str(error))
            return
        for message in messages:
            try:
                invocation = parse(message.address, message.values)
            except CommandError as error:
                self._answers.fail_to(sender, error.command, error.job_id, error.code, str(error))
            else:
                self._dispatcher.dispatch(Asked(sender, invocation), message.due_unix_seconds)

    def dropped(self, sender: Address, count: int) -> None:
        """Tell a client that so many of its datagrams came faster than they are looked at, and were dropped."""
        self._answers.fail_to(
            sender,
            "",
            NO_ID,
            "busy",
            f"{count} datagrams of yours were dropped: they came too fast; send fewer",
        )

    def player_event(self, event: PlayerEvent) -> None:
        """Pass on what the player reports."""
        if isinstance(event, Surprised):
            self._surprised(event)
        else:
            self._player_events.handle(event)

    def _surprised(self, event: Surprised) -> None:
        """Tell how surprising what was heard was, and continue it where that is asked for."""
        self._answers.tell("surprise", ["nats", event.nats, "over_usual", event.over_usual])
        level = min(max(event.over_usual, SURPRISE_LEVEL.low), SURPRISE_LEVEL.high)
        self._properties.change(SURPRISE_LEVEL.name, level)
        on = str(self._properties.values[ON_SURPRISE.name])
        threshold, hold = (self._properties.number(each.name) for each in (SURPRISE_THRESHOLD, SURPRISE_HOLD))
        if self._surprise_trigger.follow(
            event.over_usual, time.monotonic(), on=on, threshold=threshold, hold_seconds=hold
        ):
            self._surprise_takes += 1
            self._dispatcher.dispatch(
                Asked(SURPRISE, Invocation(COMMANDS["continue"], {ID.name: self._surprise_takes}))
            )

    def player_died(self, *, hung: bool = False) -> None:
        """Start another player; ``hung``: see `PlayerLifecycle.died`."""
        self._lifecycle.died(hung=hung)

    def midi_event(self, event: MidiReport) -> None:
        """Take what came in by MIDI, and which ports it may come by."""
        self._midi.handle(event)

    def sound_changed(self, opened: AudioDeviceOpened | None) -> None:
        """Use the devices that are open now; None: they are gone."""
        if opened is None or opened.output is None:
            self._planned_notes.stop()
        self._sound.changed(opened)

    # --- what is due ------------------------------------------------------------------------------------

    @property
    def next_due_seconds(self) -> float | None:
        """Monotonic time at which ``run_due`` has something to do."""
        dues = (self._held.next_due_seconds, self._controller.next_due_seconds, self._clock.next_due_seconds)
        return min((due for due in dues if due is not None), default=None)

    def run_due(self) -> None:
        """Carry out held commands whose time has come, follow the clock, and send MIDI controllers what has changed."""
        self._dispatcher.run_due()
        clock_due = self._clock.next_due_seconds
        if clock_due is not None and clock_due <= time.monotonic():
            self._follow_clock()
        self._midi.perform(self._controller.run_due())
        if self._status.loaded:
            self._lines.tell_bars()

    def _follow_clock(self) -> None:
        looked = self._clock.look()
        if looked.state:
            self._answers.tell("clock", [self._clock.name, looked.state])
        if looked.tempo_bpm is not None:
            self._properties.change(TEMPO.name, looked.tempo_bpm)
        if looked.followed == "jumped":
            self._lines.jump()
        elif looked.followed == "steered":
            self._lines.steer()
