"""The folders that files named by clients must be in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bridge.protocol.errors import CommandError, shown


class AllowedFolders:
    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = [folder.resolve() for folder in folders]

    def path(self, text: str) -> Path:
        """The file meant by a path from a client: absolute, or relative to an allowed folder.

        Raises:
            CommandError: it is in none of the folders, or is no path at all.
        """
        for folder in self._folders:
            try:
                path = (folder / text).resolve()
                # A missing file in the last folder is for the player to report.
                chosen = path.exists() or folder == self._folders[-1]
            except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links
                raise CommandError("bad_file", f"{shown(text)}: {error}") from error
            if chosen and path.is_relative_to(folder):
                return path
        folders = ", ".join(str(folder) for folder in self._folders) or "none; see --allow-folder"
        raise CommandError("forbidden_path", f"{shown(text)} is outside the allowed folders: {folders}")
