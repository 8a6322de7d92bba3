"""Training of the ear: composed works as it hears them, its network in torch, runs.

Imports ``composing`` and ``notes``; ``evaluation`` and ``cli`` import it.
No threads of its own.
"""
