"""The ear: from log-mel frames to notes, while they are played; numpy alone.

Imports ``model`` and ``sound`` for settings and the mel scale.
No threads of its own.
"""
