"""Sound devices, the rings in shared memory that feed and drain them, and loop playback.

Imports no other package of ours; every package that moves samples may import it.
The device callbacks run on the real-time threads of the audio process: they never block, allocate or log.
"""
