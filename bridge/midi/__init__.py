"""MIDI: ports in a process of their own, mapping, learning, soft takeover, and the keys that are held.

Imports ``processes``, ``protocol`` and ``clock``, and the note map of the model.
python-rtmidi calls back on its own threads inside the ports process; all else is on the daemon's main thread.
"""
