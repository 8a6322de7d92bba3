"""The player process: owns the model, listens, makes takes and feeds the output ring.

Imports ``tape`` and below; only ``stage`` starts it.
One loop on the main thread; sampling runs on the engine's threads; loading has a thread of its own.
"""
