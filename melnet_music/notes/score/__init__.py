"""The score model: what it knows of notes on a beat grid, and how it goes on with them or fills bars between them.

Imports the notes; numpy and numba, never torch.
No threads of its own.
"""
