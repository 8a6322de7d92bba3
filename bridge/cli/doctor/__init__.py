"""The ``melnet-music doctor`` command: what would keep `serve` from playing, and what to change.

May import what `serve` uses, and checks with it; nothing but the command line imports it.
Runs on the main thread of the command; sound devices are opened in an audio process, ports listed in another.
"""
