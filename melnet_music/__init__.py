"""MelNet for live music: the model, its sampling engines, sound, notes, composed training data and training.

Imports nothing of ``bridge``, no sockets and no sound devices.
Threads: those of the CPU engine (`sampling.cpu.crew`); workers of training and rendering are processes.
"""
