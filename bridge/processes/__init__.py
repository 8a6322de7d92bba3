"""Child processes, the messages between them, and the watchdog that sees whether they live.

Imports ``protocol`` and ``clock``; every process may import it.
Used on the main thread of each process; a child that is sent to has one sending thread.
"""
