"""What a training step sees: works on the device, note rolls, clips, rows with carried state.

Imports ``training.data`` and ``composing``.
Works are composed by worker processes; all else runs on the trainer's thread.
"""
