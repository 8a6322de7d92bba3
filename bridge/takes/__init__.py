"""One take from request to file: when it may start, its queue, its files, and hand-over between presets.

Imports ``audio``, ``clock`` and ``processes``; not the tape.
Runs on the player's main thread; the list of takes on the daemon's.
"""
