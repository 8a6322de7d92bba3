"""Handlers by the names of their commands: exactly one for each command of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from bridge.osc.answers import Asked
from bridge.protocol.table import COMMANDS

Handler: TypeAlias = Callable[[Asked], None]
"""Carries out one command and answers it, or has the player do so. Raises CommandError where it cannot be."""
Handlers: TypeAlias = Mapping[str, Handler]


def one_handler_each(families: Iterable[Handlers]) -> Handlers:
    """The handlers of all families in one mapping.

    Raises:
        ValueError: a command of the table has no handler or two, or a handler is for no command of the table.
    """
    handlers: dict[str, Handler] = {}
    for family in families:
        if twice := sorted(handlers.keys() & family.keys()):
            raise ValueError(f"commands with two handlers: {', '.join(twice)}; keep one of each")
        handlers.update(family)
    if missing := sorted(COMMANDS.keys() - handlers.keys()):
        raise ValueError(f"commands without a handler: {', '.join(missing)}; add one in bridge/stage/commands")
    if unknown := sorted(handlers.keys() - COMMANDS.keys()):
        raise ValueError(f"handlers for no command: {', '.join(unknown)}; remove them, or add the commands")
    return handlers
