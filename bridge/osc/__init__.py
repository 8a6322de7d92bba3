"""OSC over UDP: datagrams in and out, who asked and where answers go; OSCQuery in a sub-package.

Imports ``protocol``; no audio, no takes.
One thread receives datagrams; answers are sent from the daemon's main thread.
"""
