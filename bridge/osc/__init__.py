"""OSC over UDP: datagrams in and out, which client asked and where its answers go; OSCQuery in a sub-package.

Imports ``protocol``; no audio, no takes.
Datagrams are received and sent on the daemon's main thread; OSCQuery has a thread of its own.
"""
