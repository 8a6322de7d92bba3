"""What is measured of a sound: descriptors, onsets and notes, distances between sets.

Imports ``sound`` and ``notes``.
No threads.
"""
