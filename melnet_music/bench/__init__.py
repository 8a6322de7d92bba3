"""How fast takes are made on this machine, and how close to its limits.

Imports ``instrument`` and below.
Times one thread, then as many as the engine uses.
"""
