"""Measures of planned notes: beat, key, density and returning rhythms, against what was heard and real music.

Imports the notes and what trains and composes; no torch.
No threads of its own.
"""
