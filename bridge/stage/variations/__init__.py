"""Alternatives to takes, as clients know them: who asked for which of them, and what became of it.

Imports ``takes`` and below; not the other modules of the stage.
Belongs to the daemon's one thread.
"""
