"""The session's timeline of sound and notes by bar: edits, undo, loops, export.

Imports ``takes`` and below.
Runs on the player's main thread; `tape_memory` and `prompt_memory` are shared memory that outlives it.
"""
