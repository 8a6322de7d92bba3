"""From performed notes to sound: SoundFonts, one-shots, rooms, equalisers, mixing.

Imports ``score`` and `perform`.
No threads; FluidSynth is called from one.
"""
