"""Planning of takes on files, ``--plan`` of continue, inpaint and generate: its options, and what becomes of them."""

from __future__ import annotations

import logging
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from melnet_music.instrument.instrument import Instrument
    from melnet_music.instrument.planning.offline_plan import PlanOrder, TakePlan
    from melnet_music.notes.score.planned_notes import PlannedNotes

_LOG = logging.getLogger(__name__)

_USUAL_METER = "4/4"
_SETTINGS = {"plan_temperature": "temperature", "density": "density", "scale": "scale", "register": "register"}
"""Options, and the settings of a plan that they are."""
_ONLY_WITH_PLAN = ("tempo", "meter", *_SETTINGS, "plan_out", "ear")


def add_plan_arguments(parser: ArgumentParser, usual_tempo: str) -> None:
    """Add ``--plan`` and the options that go with it."""
    parser.add_argument(
        "--plan",
        action=BooleanOptionalAction,
        help="plan the notes on the beat grid first, and play them; or do not (as the preset does by itself)",
    )
    parser.add_argument("--tempo", type=float, metavar="BPM", help=f"of the plan, in quarters a minute ({usual_tempo})")
    parser.add_argument("--meter", metavar="N/D", help=f"of the plan ({_USUAL_METER})")
    parser.add_argument("--plan-temperature", type=float, help="of the plan: 1 as trained, less is tamer")
    parser.add_argument("--density", type=float, help="planned notes a beat, relative to what was there")
    parser.add_argument("--scale", help="a key for the plan to keep to, as 'c major' or 'f# dorian' (free)")
    parser.add_argument("--register", type=float, help="semitones by which the plan is above what was there")
    parser.add_argument("--plan-out", type=Path, metavar="FILE.mid", help="write the planned notes there")


def add_ear_argument(parser: ArgumentParser) -> None:
    """Add ``--ear``, for takes that are planned from what is heard."""
    parser.add_argument("--ear", type=Path, metavar="DIR", help="an ear from train-ear (the one that comes with it)")


@dataclass
class Planner:
    """Plans one take. Where it cannot be planned it says so in one line, and the take is made without a plan."""

    order: PlanOrder
    ear: Path | None
    out: Path | None
    plan: TakePlan | None = None

    def give_ear(self, instrument: Instrument) -> None:
        """Have the instrument hear notes, with the ear that is given or the one that comes with the program.

        Raises:
            ValueError: the ear that is given cannot be read, or hears another sound than the preset's.
        """
        from melnet_music.notes.ear.ear import bundled_ear, load_ear

        if not instrument.follows_notes:
            return
        if self.ear is not None:
            instrument.use_ear(load_ear(self.ear))
        elif bundled_ear() is not None:
            ear = load_ear()
            if ear.config.sound == instrument.sound:
                instrument.use_ear(ear)

    def notes_after(self, instrument: Instrument) -> Callable[[Any], PlannedNotes | None]:
        """A function of the mono sound that the instrument has heard: notes that go on from it."""
        from melnet_music.instrument.planning.offline_plan import plan_after

        return lambda heard: self._planned(lambda: plan_after(instrument, heard, self.order))

    def notes_within(
        self, instrument: Instrument, start_seconds: float, stop_seconds: float
    ) -> Callable[[Any], PlannedNotes | None]:
        """A function of the mono sound that the instrument has heard: notes for a part of it."""
        from melnet_music.instrument.planning.offline_plan import plan_within

        return lambda heard: self._planned(
            lambda: plan_within(instrument, heard, self.order, start_seconds, stop_seconds)
        )

    def notes_from_nothing(self, instrument: Instrument) -> PlannedNotes | None:
        """Notes out of nothing."""
        from melnet_music.instrument.planning.offline_plan import plan_from_nothing

        return self._planned(lambda: plan_from_nothing(instrument, self.order))

    def written(self) -> int:
        """How many notes were planned; they are written where that was asked for.

        Raises:
            ValueError: the file cannot be written.
        """
        if self.plan is None:
            return 0
        if self.out is not None:
            self.plan.write(self.out)
        return len(self.plan.notes.given)

    def _planned(self, make: Callable[[], TakePlan]) -> PlannedNotes | None:
        from melnet_music.instrument.planning.take_plan import NotPlannableError

        try:
            self.plan = make()
        except NotPlannableError as error:
            _LOG.warning("the notes are not planned: %s", error)
            return None
        return self.plan.notes


def planner_of(arguments: Namespace) -> Planner | None:
    """None where no plan is asked for, nor made by the preset itself.

    Raises:
        ValueError: there is no such preset; an option is out of range, or given without a plan.
    """
    given_notes = getattr(arguments, "notes", None) is not None
    if arguments.plan and given_notes:
        raise ValueError("--plan plans the notes, and --notes gives them: leave one of them out")
    if not (_preset_plans(arguments.preset) and not given_notes if arguments.plan is None else arguments.plan):
        for name in _ONLY_WITH_PLAN:
            if getattr(arguments, name, None) is not None:
                raise ValueError(f"--{name.replace('_', '-')} is of a plan: give --plan too")
        return None
    from melnet_music.instrument.planning.offline_plan import PlanOrder
    from melnet_music.notes.score.settings import PlanSettings

    if arguments.tempo is not None and not 20 <= arguments.tempo <= 400:
        raise ValueError(f"--tempo is {arguments.tempo:g}, want 20 to 400 quarters a minute")
    asked = {setting: getattr(arguments, option) for option, setting in _SETTINGS.items()}
    settings = PlanSettings(**{name: value for name, value in asked.items() if value is not None})
    order = PlanOrder(settings, _meter(arguments.meter or _USUAL_METER), arguments.tempo, arguments.seed)
    return Planner(order, getattr(arguments, "ear", None), arguments.plan_out)


def _preset_plans(preset: str) -> bool:
    from melnet_music.model.config import read_preset_config
    from melnet_music.model.preset import CONFIG_FILE, find_preset

    return read_preset_config(find_preset(preset) / CONFIG_FILE).sampling.plan


def _meter(text: str) -> Any:
    from melnet_music.notes.score.grid import Meter

    numerator, slash, denominator = text.partition("/")
    if not (slash and numerator.isdecimal() and denominator.isdecimal()):
        raise ValueError(f"--meter is {text!r}, want one such as 4/4 or 6/8")
    return Meter(int(numerator), int(denominator))
