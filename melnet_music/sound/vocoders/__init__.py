"""From log-mel frames to sound.

Imports ``model`` and ``sound``.
No threads of its own.
"""
