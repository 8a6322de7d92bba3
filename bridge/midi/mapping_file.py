"""The user's mapping file: read, and changed so that everything else in it stays as it was written."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from bridge.midi.mapping import Entry, MidiMap, SetProperty, Source, read_midi_map, toml_entry

_LOG = logging.getLogger(__name__)

FILE_NAME = "midi.toml"


def read_preset_map(folder: Path) -> str:
    """The text of the mapping that a preset contains; empty: it contains none."""
    try:
        return (folder / FILE_NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        _LOG.warning("the preset's %s cannot be read: %s", FILE_NAME, error)
        return ""


class MidiMapFile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> MidiMap:
        """The mapping in the file; empty while there is no such file.

        Raises:
            ValueError: it cannot be read, or something in it is wrong; the message names the line.
        """
        return read_midi_map(self._text(), str(self.path))

    def bind(self, source: Source, target: SetProperty) -> MidiMap:
        """Make this control set the property and nothing else; other controls that set it are removed from the file.

        Raises:
            ValueError: it cannot be read or written, or something in it is wrong.
        """
        text = self._without(
            lambda entry: (
                isinstance(entry.target, SetProperty)
                and (entry.target.name == target.name or entry.source.overlaps(source))
            )
        )
        gap = "\n" if text and not text.endswith("\n\n") else ""
        return self._write(f"{text}{gap}{toml_entry(source, target)}")

    def forget(self, name: str) -> MidiMap:
        """Remove the controls that set the property from the file.

        Raises:
            ValueError: there is none, it cannot be read or written, or something in it is wrong.
        """
        before = self._text()
        after = self._without(lambda entry: isinstance(entry.target, SetProperty) and entry.target.name == name)
        if after == before:
            raise ValueError(f"{self.path} maps nothing to {name}")
        return self._write(after)

    def _text(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the mapping file {self.path} cannot be read: {error}") from None

    def _without(self, is_meant: Callable[[Entry], bool]) -> str:
        text = self._text()
        lines = text.splitlines(keepends=True)
        entries = read_midi_map(text, str(self.path)).entries
        spans = pairwise([*(entry.line - 1 for entry in entries), len(lines)])
        for entry, (first, stop) in reversed(list(zip(entries, spans, strict=True))):
            if not is_meant(entry):
                continue
            # comments right before the next entry belong to that one
            while stop < len(lines) and stop > first + 1 and lines[stop - 1].lstrip()[:1] in ("", "#"):
                stop -= 1
            del lines[first:stop]
        return "".join(lines)

    def _write(self, text: str) -> MidiMap:
        """Replace the file in one step: if the daemon is stopped meanwhile, the old file is left, or the new one."""
        read = read_midi_map(text, str(self.path))
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(text, encoding="utf-8")
            draft.replace(self.path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise ValueError(f"the mapping file {self.path} cannot be written: {error}") from None
        return read
