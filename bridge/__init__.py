"""The stage around the instrument: OSC, MIDI, clocks, sound devices, the session tape and the command line.

Imports ``melnet_music``, never the other way; the order of its own packages is in ``tests/test_layering.py``.
Runs in four processes (daemon, player, audio device, MIDI ports): ``docs/how-it-works.md`` has the diagram.
"""
