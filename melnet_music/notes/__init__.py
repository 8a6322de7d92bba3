"""Notes: MIDI files, held keys and pedals, and the note map that the model is conditioned on.

Imports ``model`` and ``sound`` for the mel scale.
No threads of its own.
"""
