"""The instrument: hears audio, and continues, repaints or generates, block by block.

Imports ``sampling``, ``sound``, ``notes`` and ``model``.
Belongs to one thread, the one that calls it.
"""
