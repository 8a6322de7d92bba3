"""Alternatives to takes: made beside whatever is more urgent, and played when they are asked for.

Imports ``tape`` and below, and the player's other modules; only the player's loop starts anything here.
Runs on the player's main thread.
"""
